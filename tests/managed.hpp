// Processes that count in a managed table, for the suites about table managers.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>
#include <kv/testing.hpp>

using counts = kv::table<std::string, int>;
using handed = kv::table_transfer<counts>;

/// Counts in its table. Nothing comes back while it has none.
class counter {
 public:
  std::optional<int> add() {
    if (!table_) return std::nullopt;
    table_->insert_new("n", 0);
    return table_->update("n", [](int n) { return n + 1; });
  }
  void drop() { table_->drop(); }
  bool has_table() const { return table_ && table_->owner() == kv::self(); }
  void end(const kv::exit_reason& reason) { kv::exit(reason); }
  void fail() { throw std::runtime_error("no flour"); }

 protected:
  std::optional<counts> table_;
};

/// Takes its table when it comes.
class pushed_counter : public counter {
 public:
  using messages = kv::message_types<handed>;
  void handle(const handed& news) {
    table_ = news.table;
    said_ = news.data;
  }
  std::string said() const { return said_; }

 private:
  std::string said_;
};

/// Takes its table before it does anything else.
class pulling_counter : public counter {
 public:
  pulling_counter() { table_ = kv::claim_table<counts>("manager", "counts"); }
};

/// The same, without keeping whoever starts it waiting.
class later_counter : public counter {
 public:
  later_counter() {
    kv::continue_with([this] { table_ = kv::claim_table<counts>("manager", "counts"); });
  }
};

template <class T>
inline constexpr auto style_of = kv::handover::pull;
template <>
inline constexpr auto style_of<pushed_counter> = kv::handover::push;

template <class T>
std::vector<kv::managed_table> counts_for() {
  return {kv::manage<counts>({.name = "counts"}, "counter", style_of<T>, "go on")};
}

inline kv::child_spec manager_child(std::vector<kv::managed_table> tables) {
  return kv::worker("manager", kv::start_table_manager("manager", std::move(tables)));
}

template <class T>
kv::child_spec counter_child(const std::string& name = "counter") {
  return kv::worker(name, [name] { return kv::spawn_link_named<T>(name).id(); });
}

/// Starts a supervisor that never gives up.
inline kv::ref<kv::supervisor> supervise_counting(kv::runtime& home, std::vector<kv::child_spec> children) {
  return home.spawn<kv::supervisor>(kv::supervisor_options{.max_restarts = 1'000'000, .period = std::chrono::hours(1)},
                                    [children = std::move(children)] { return children; });
}
