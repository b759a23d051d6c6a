// A counter whose count outlives it: what examples/counter.cpp shows, and tests/counter_example_test.cpp kills at every
// point.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>

namespace counting {

// [worker]
using counts = kv::table<std::string, int>;

/// Counts in a table that it has from the manager.
class worker {
 public:
  worker() {
    kv::continue_with([this] { table_ = kv::claim_table<counts>("manager", "counts"); });
  }

  int count() { return table_->update_counter("count", 1, 0); }
  int check() const { return table_->lookup("count").value_or(0); }
  void die(const kv::exit_reason& reason) { kv::exit(reason); }

 private:
  std::optional<counts> table_;
};
// [/worker]

// [tree]
inline kv::ref<kv::supervisor> start(kv::runtime& home) {
  const auto children = [] {
    const auto table = kv::manage<counts>({.name = "counts"}, "worker", kv::handover::pull);
    return std::vector{kv::worker("manager", kv::start_table_manager("manager", {table})),
                       kv::worker("worker", [] { return kv::spawn_link_named<worker>("worker").id(); })};
  };
  return home.spawn<kv::supervisor>(kv::supervisor_options{.max_restarts = 100}, children);
}
// [/tree]

}  // namespace counting
