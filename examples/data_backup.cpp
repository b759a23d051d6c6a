// A server that takes long to start, because it has to fetch its data. Dead, it leaves them to a backup with its last
// words, or to an heir. One of the two loses them when it is killed, and pays for them twice when it is not.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>
#include <kv/testing.hpp>

namespace {

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
constexpr int row_count = 10'000;
std::atomic<int> warm_ups = 0;

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

// [story]
/// Starts a server below a supervisor, lets it end twice, and tells what that has cost.
template <class Server>
class story {
 public:
  template <class... Args>
  explicit story(kv::runtime& home, Args... args)
      : home_(home), start_([args...] { return kv::spawn_link_named<Server>("server", args...).id(); }) {
    warm_ups = 0;
  }

  void tell(std::string_view technique) {
    std::cout << technique << '\n';
    std::cerr << technique << '\n';
    after("start", [this] {
      root_ = home_.spawn<kv::supervisor>(kv::supervisor_options{},
                                          [this] { return std::vector{kv::worker("server", start_)}; });
    });
    after("kill", [this] { kv::testing::kill_and_await(home_, current()); });
    after("exception", [this] {
      try {
        current().call(&Server::fail);
      } catch (const kv::call_error&) {
        // it has ended
      }
    });
  }

 private:
  template <class F>
  void after(std::string_view what, F happens) {
    record::bytes_copied = 0;
    const auto begin = std::chrono::steady_clock::now();
    happens();
    const auto rows = current().call(&Server::rows);
    const auto time = std::chrono::steady_clock::now() - begin;
    const auto found = current().call(&Server::found);
    std::cout << "  " << std::left << std::setw(10) << what << std::right << std::setw(8) << found << std::setw(8)
              << rows << std::setw(10) << warm_ups << std::setw(14) << record::bytes_copied << '\n';
    std::cerr << what << ": there again after " << time / std::chrono::microseconds(1) << " us\n";
  }
  kv::ref<Server> current() {
    root_.call(&kv::supervisor::which_children);  // once this is answered, whoever has died is there again
    return home_.whereis<Server>("server").value();
  }

  kv::runtime& home_;
  std::function<kv::pid()> start_;
  kv::ref<kv::supervisor> root_;
};
// [/story]

}  // namespace

int main() {
  std::cout << "               found    rows  warm-ups  bytes copied\n";
  const kv::runtime_options quiet{.on_report = [](const kv::report&) {}};
  {
    kv::runtime runtime(quiet);
    story<server_with_backup>(runtime, runtime.spawn<backup>()).tell("last words to a backup");
  }
  {
    kv::runtime runtime(quiet);
    // [master]
    runtime.spawn_named<kv::table_manager>("master",
                                           std::vector{kv::manage<record_table>({.name = "records"}, "server")});
    // [/master]
    story<server_with_table>(runtime).tell("a table with an heir");
  }
}
