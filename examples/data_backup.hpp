// Servers that take long to start, and what they leave to the next: what examples/data_backup.cpp measures, and
// tests/data_backup_example_test.cpp kills at every point.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>

namespace warm {

// [record]
/// Text that counts what copies of it cost.
struct record {
  explicit record(std::string what) : text(std::move(what)) {}
  record(const record& other) : text(other.text) { bytes_copied += text.size(); }
  record(record&&) noexcept = default;
  record& operator=(record other) noexcept { return std::swap(text, other.text), *this; }
  ~record() = default;

  std::string text;
  static inline std::atomic<std::size_t> bytes_copied = 0;
};

using records = std::map<int, record>;
// [/record]

// [warm-up]
inline int row_count = 10'000;
inline std::atomic<int> warm_ups = 0;

/// Calls `take(number, record)` for each record of a database that is far away.
template <class F>
void warm_up(F take) {
  ++warm_ups;
  for (int i = 0; i < row_count; ++i) take(i, record("record " + std::to_string(i) + std::string(90, '.')));
}
// [/warm-up]

// [backup]
/// Holds what it is given until somebody asks for it.
class backup {
 public:
  void hold(records all) { held_ = std::move(all); }
  records give_back() const { return held_; }  // and keeps it: who asks may die before he has it

 private:
  records held_;
};
// [/backup]

// [last-words]
class server_with_backup {
 public:
  explicit server_with_backup(kv::ref<backup> holds) : backup_(holds), records_(holds.call(&backup::give_back)) {
    found_ = records_.size();
    if (records_.empty()) warm_up([this](int number, record r) { records_.emplace(number, std::move(r)); });
  }
  void on_exit(const kv::exit_reason&) { backup_.call(&backup::hold, records_); }

  std::size_t found() const { return found_; }
  std::size_t rows() const { return records_.size(); }
  void fail() { throw std::runtime_error("no flour"); }

 private:
  kv::ref<backup> backup_;
  records records_;
  std::size_t found_ = 0;
};
// [/last-words]

// [heir]
using record_table = kv::table<int, record>;
using handed = kv::table_transfer<record_table>;

class server_with_table {
 public:
  server_with_table() {
    kv::continue_with([this] { take(kv::receive<handed>().table); });
  }

  std::size_t found() const { return found_; }
  std::size_t rows() const { return table_->size(); }
  void fail() { throw std::runtime_error("no flour"); }

 private:
  void take(const record_table& table) {
    table_ = table;
    found_ = table_->size();
    if (found_ > 0) return;
    std::vector<record_table::entry> all;
    warm_up([&](int number, record r) { all.emplace_back(number, std::move(r)); });
    table_->insert(std::move(all));  // in one step: whoever dies here leaves all or nothing
  }

  std::optional<record_table> table_;
  std::size_t found_ = 0;
};
// [/heir]

inline kv::ref<kv::supervisor> supervise(kv::runtime& home, std::vector<kv::child_spec> children) {
  return home.spawn<kv::supervisor>(kv::supervisor_options{.max_restarts = 100},
                                    [children = std::move(children)] { return children; });
}

/// Starts a server below a supervisor, with all that it needs.
template <class Server>
kv::ref<kv::supervisor> start(kv::runtime& home);
template <>
inline kv::ref<kv::supervisor> start<server_with_backup>(kv::runtime& home) {
  const auto start = [holds = home.spawn<backup>()] {
    return kv::spawn_link_named<server_with_backup>("server", holds).id();
  };
  return supervise(home, {kv::worker("server", start)});
}
template <>
inline kv::ref<kv::supervisor> start<server_with_table>(kv::runtime& home) {
  // [master]
  const auto table = kv::manage<record_table>({.name = "records"}, "server");
  // [/master]
  const auto start = [] { return kv::spawn_link_named<server_with_table>("server").id(); };
  return supervise(home,
                   {kv::worker("master", kv::start_table_manager("master", {table})), kv::worker("server", start)});
}

}  // namespace warm
