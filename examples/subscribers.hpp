// Meters whose table is lost with them, or not: what examples/subscribers.cpp compares, and
// tests/subscribers_example_test.cpp kills at every point.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>

namespace metering {

// [meter]
struct usage {
  int sessions = 0;
  int bandwidth = 0;  // Mbit/s
};
using usage_table = kv::table<std::string, usage>;

class meter {
 public:
  void start_session(const std::string& subscriber, int bandwidth) {
    const auto both = std::vector{kv::add(1).to(&usage::sessions), kv::add(bandwidth).to(&usage::bandwidth)};
    table_->update_counter(subscriber, both, usage{});
  }
  usage check(const std::string& subscriber) const { return table_->lookup(subscriber).value(); }  // or so they thought
  std::size_t subscribers() const { return table_->size(); }

 protected:
  std::optional<usage_table> table_;
};
// [/meter]

// [alone]
class lone_meter : public meter {
 public:
  lone_meter() { table_ = usage_table::create({.name = "usage"}); }
};
// [/alone]

// [heir]
class meter_with_heir : public meter {
 public:
  meter_with_heir() {
    table_ = usage_table::find("usage");
    if (!table_) table_ = usage_table::create({.name = "usage", .heirs = {"meter"}});
  }
};
// [/heir]

// [keeper]
/// Keeps what it is given, and does nothing that could go wrong.
class keeper {
 public:
  using messages = kv::message_types<kv::table_transfer<usage_table>>;
  void handle(const kv::table_transfer<usage_table>&) {}

  bool give_back(kv::pid to) {
    auto kept = usage_table::find("usage");
    if (kept) kept->give_away(to);
    return kept.has_value();
  }
};
// [/keeper]

// [gift]
class giving_meter : public meter {
 public:
  explicit giving_meter(kv::ref<keeper> friend_in_need) : keeper_(friend_in_need) {
    const bool is_there = keeper_.call(&keeper::give_back, kv::self());
    table_ = is_there ? kv::receive<kv::table_transfer<usage_table>>().table : usage_table::create({.name = "usage"});
  }
  void on_exit(const kv::exit_reason&) { table_->give_away(keeper_); }

 private:
  kv::ref<keeper> keeper_;
};
// [/gift]

// [public]
/// Owns the table that others work with.
class owner {
 public:
  owner() { usage_table::create({.name = "usage", .access = kv::table_access::public_}); }
};

class guest_meter : public meter {
 public:
  guest_meter() { table_ = usage_table::find("usage"); }
};
// [/public]

// [managed]
class managed_meter : public meter {
 public:
  managed_meter() {
    kv::continue_with([this] { table_ = kv::claim_table<usage_table>("manager", "usage"); });
  }
};
// [/managed]

template <class Meter, class... Args>
kv::child_spec meter_child(Args... args) {
  return kv::worker("meter", [args...] { return kv::spawn_link_named<Meter>("meter", args...).id(); });
}
inline kv::ref<kv::supervisor> supervise(kv::runtime& home, std::vector<kv::child_spec> children) {
  return home.spawn<kv::supervisor>(kv::supervisor_options{.max_restarts = 100},
                                    [children = std::move(children)] { return children; });
}

/// Starts a meter below a supervisor, with all that it needs.
template <class Meter>
kv::ref<kv::supervisor> start(kv::runtime& home) {
  return supervise(home, {meter_child<Meter>()});
}
template <>
inline kv::ref<kv::supervisor> start<giving_meter>(kv::runtime& home) {
  return supervise(home, {meter_child<giving_meter>(home.spawn<keeper>())});
}
template <>
inline kv::ref<kv::supervisor> start<guest_meter>(kv::runtime& home) {
  return supervise(home,
                   {kv::worker("owner", [] { return kv::spawn_link<owner>().id(); }), meter_child<guest_meter>()});
}
// [manager]
template <>
inline kv::ref<kv::supervisor> start<managed_meter>(kv::runtime& home) {
  const auto table = kv::manage<usage_table>({.name = "usage"}, "meter", kv::handover::pull);
  return supervise(home,
                   {kv::worker("manager", kv::start_table_manager("manager", {table})), meter_child<managed_meter>()});
}
// [/manager]

}  // namespace metering
