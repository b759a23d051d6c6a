// Clients that use a table at random, all at once, and write down what they were told.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "linearizability.hpp"

/// Counts a value that is a number, or has one.
template <class Table>
std::optional<int> count(Table& table, const linearizability::call& c) {
  const auto step = kv::add(c.argument).wrap_past(linearizability::wrap_at, 0);
  if constexpr (std::is_arithmetic_v<typename Table::mapped_type>) {
    return table.update_counter(c.key, step);
  } else {
    return table.update_counter(c.key, step.to(&Table::mapped_type::number));
  }
}

/// Makes that call and returns the table's answer.
template <class Table>
linearizability::answer perform(Table& table, const linearizability::call& c) {
  using enum linearizability::verb;
  try {
    switch (c.what) {
      case insert: table.insert(c.key, c.argument); return std::monostate{};
      case insert_new: return std::optional<int>(table.insert_new(c.key, c.argument));
      case erase: return table.erase(c.key);
      case erase_if_equal: return table.erase_if_equal(c.key, c.argument);
      case update: return std::optional<int>(table.update(c.key, [&](int old) { return old + c.argument; }));
      case update_or: return std::optional<int>(table.update(c.key, [&](int old) { return old + c.argument; }, 0));
      case update_counter: return count(table, c);
      case replace_if: return table.replace_if(c.key, c.argument, c.argument + 1);
      case take: return std::optional<int>(table.take(c.key));
      case lookup: return std::optional<int>(table.lookup(c.key));
      case member: return table.member(c.key);
      case read_in_place: break;
    }
    return std::optional<int>(table.read(c.key, [](int value) { return value; }));
  } catch (const kv::table_error& e) {
    if (e.why() != kv::table_error::code::no_table) throw;
    return linearizability::no_table{};
  }
}

/// Used by one thread or process. Its calls follow from its number and the seed.
template <class Table>
class table_client {
 public:
  table_client(Table table, int number, std::uint64_t seed)
      : table_(std::move(table)), number_(number), random_(seed + static_cast<std::uint64_t>(number)) {}

  /// Makes one call and returns the answer.
  linearizability::answer make(linearizability::verb what, int key, int argument = 0) {
    linearizability::call c{.what = what, .key = key, .argument = argument, .client = number_};
    c.start = linearizability::now();
    c.answered = perform(table_, c);
    c.end = linearizability::now();
    history_.push_back(c);
    return c.answered;
  }
  /// Makes some call on one of `keys` keys from `first_key` on; false when the table was gone.
  bool make_any(int first_key, int keys) {
    using linearizability::verb;
    const auto what = static_cast<verb>(pick(linearizability::verb_count));
    const int key = first_key + pick(keys);
    const auto said = make(what, key, argument_for(what, key));
    if (const auto* const value = std::get_if<std::optional<int>>(&said); value != nullptr && *value) {
      last_seen_[key] = **value;
    }
    return said != linearizability::answer(linearizability::no_table{});
  }
  const std::vector<linearizability::call>& history() const { return history_; }

 private:
  int pick(int count) { return std::uniform_int_distribution(0, count - 1)(random_); }
  int argument_for(linearizability::verb what, int key) {
    using linearizability::verb;
    // So that it is equal sometimes; and what is inserted is like nothing else, which shows the most.
    if (what == verb::erase_if_equal || what == verb::replace_if) return last_seen_[key];
    if (what == verb::update || what == verb::update_or || what == verb::update_counter) return 1;
    return last_seen_[key] = 1'000 * (number_ + 10 * static_cast<int>(history_.size()));
  }

  Table table_;
  int number_;
  std::mt19937_64 random_;
  std::map<int, int> last_seen_;  // by key
  std::vector<linearizability::call> history_;
};

template <class Table>
using table_clients = std::vector<table_client<Table>>;

template <class Table>
table_clients<Table> make_clients(const Table& table, int count, std::uint64_t seed) {
  table_clients<Table> result;
  for (int i = 0; i < count; ++i) result.emplace_back(table, i, seed);
  return result;
}

template <class Table>
std::optional<std::string> find_violation(const table_clients<Table>& clients) {
  std::vector<linearizability::call> all;
  for (const auto& c : clients) all.insert(all.end(), c.history().begin(), c.history().end());
  return linearizability::find_violation(std::move(all));
}

/// Runs `play(client, number)` for every client on a thread of its own, and waits for all.
template <class Table, class F>
void on_threads(table_clients<Table>& clients, F play) {
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] { play(clients[i], i); });
  }
}

/// The same in processes.
template <class Table, class F>
void on_processes(kv::runtime& home, table_clients<Table>& clients, F play) {
  kv::testing::probe watcher(home);
  std::vector<kv::pid> all;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    all.push_back(home.spawn([&, i] { play(clients[i], i); }));
    watcher.monitor(all.back());
  }
  for (const auto each : all) watcher.expect_down(each);
}
