// Owners, heirs and receivers of tables, for the suites about how these change hands.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "refusal.hpp"
#include "servers.hpp"

using numbers = kv::table<std::string, int>;
using transfer = kv::table_transfer<numbers>;
using expired = kv::gift_expired<numbers>;
using kv::heir;
using kv::table_access;
using code = kv::table_error::code;

/// A table of one row.
template <class... Data>
numbers make_table(kv::runtime& home, kv::table_options options, Data... heir_data) {
  options.access = table_access::public_;
  auto made = numbers::create(home, std::move(options), heir_data...);
  made.insert("milk", 3);
  return made;
}

inline bool is_whole(const numbers& t) { return t.to_vector() == std::vector{std::pair(std::string("milk"), 3)}; }

inline bool is_gone(const numbers& t) {
  return refusal([&] { t.size(); }) == code::no_table && refusal([&] { t.info(); }) == code::no_table;
}

/// Remembers what tables it was given, in order, whether they were its own by then, and how many it could not give.
struct taker {
  std::vector<transfer> got = {};
  bool were_mine = true;
  std::size_t expiries = 0;

  using messages = kv::message_types<transfer, expired>;
  void handle(const transfer& t) {
    were_mine = were_mine && t.table.owner() == kv::self();
    got.push_back(t);
  }
  void handle(const expired&) { ++expiries; }
};

/// Finds in its constructor which tables it owns already.
struct early_taker : taker {
  std::size_t owned = 0;

  explicit early_taker(const numbers& t) { owned = t.owner() == kv::self() ? 1 : 0; }
};

/// The same as a leaf.
struct early_leaf : early_taker {
  static constexpr bool leaf = true;
  using early_taker::early_taker;
};

/// Does not start.
struct stillborn {
  stillborn() { throw std::runtime_error("no flour"); }
};
