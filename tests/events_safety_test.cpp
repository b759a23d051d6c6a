// Promises under test: a request to the manager is all or nothing; no object of a client's, no row and no message ends it
// or makes it wait; what cannot be attached hurts nobody else, and is attached later.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

#include "weather.hpp"

namespace events_safety_test {

using namespace std::chrono_literals;

namespace {

struct never {};

/// Cannot be copied after that many times, and cannot be moved.
struct fragile {
  explicit fragile(int copies) : left(copies) {}
  fragile(const fragile& other) : left(other.left - 1) {
    if (left < 0) throw std::runtime_error("broken");
  }
  void operator()(const rain&) const {}
  int left;
};

/// Tells where it is destroyed.
struct tells_where {
  struct gone {
    kv::pid by;
  };
  explicit tells_where(kv::pid who) : test(std::make_shared<kv::pid>(who)) {}
  tells_where(tells_where&&) = default;
  ~tells_where() {
    if (test) kv::send(*test, gone{kv::self()});
  }
  void operator()(const rain&) {}
  std::shared_ptr<kv::pid> test;
};
struct wants_all : tells_where {
  using tells_where::tells_where;
  bool operator()(const rain&) const { return true; }
};

/// An event that says who copies it, and then may not be copied.
struct hail {
  hail(bool copies, std::vector<kv::pid>& by) : can_be_copied(copies), copied_by(&by) {}
  hail(hail&&) = default;
  hail(const hail& other) : can_be_copied(other.can_be_copied), copied_by(other.copied_by) {
    copied_by->push_back(kv::self());
    if (!can_be_copied) throw std::runtime_error("broken");
  }
  bool can_be_copied;
  std::vector<kv::pid>* copied_by;
};

}  // namespace

// Clients' objects -------------------------------------------------------------------------------------------------

TEST_CASE("a handler that cannot be copied into place is not added, and its client is told") {
  weather_station w;
  const auto manager = w.events.manager_pid();
  CHECK_THROWS_WITH_AS(w.events.add_handler(fragile(1)), "broken", std::runtime_error);
  CHECK(w.events.count() == 0);
  CHECK(w.rows.size() == 0);
  w.events.add_handler(fragile(10));
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 1);
  CHECK(w.events.manager_pid() == manager);
}

TEST_CASE("a handler need not be copied: it may own what it uses") {
  weather_station w;
  w.events.add_handler([to = std::make_unique<kv::pid>(w.p.id())](const rain& r) { kv::send(*to, r); });
  w.events.sync_notify(rain{7});
  CHECK(w.p.has<rain>());
}

TEST_CASE("what a client gave is destroyed once, in a process that is not the manager") {
  weather_station w;
  const auto manager = w.events.manager_pid().value();
  const auto handler = w.events.add_handler(tells_where(w.p));
  const auto forward = w.events.forward_to(w.p, wants_all(w.p));
  w.events.sync_notify(rain{1});
  CHECK_FALSE(w.p.has<tells_where::gone>());
  for (const auto id : {handler, forward}) {
    CHECK(w.events.remove(id));
    CHECK(w.p.expect<tells_where::gone>().by != manager);
  }
  CHECK_FALSE(w.p.has<tells_where::gone>());
}

TEST_CASE("a filter that throws whatever, waits or ends its process costs its subscription and nothing else") {
  weather_station w;
  const auto manager = w.events.manager_pid();
  const auto bucket = w.runtime.spawn([] { kv::receive<never>(); });
  w.events.forward_to(w.p, [](const rain&) -> bool { throw std::bad_alloc(); });
  w.events.forward_to(w.p, [](const rain&) -> bool { throw 42; });
  w.events.forward_to(w.p, [](const rain&) -> bool { kv::exit(kv::exit_reason::custom("tired")); });
  w.events.forward_to(w.p, [](const rain&) { return kv::receive_for<never>(1h).has_value(); });
  w.events.forward_to(w.p, [&](const rain&) { return kv::await(kv::monitor(bucket)).has_value(); });
  w.events.forward_to(w.p, [&](const rain&) { return w.events.count() > 0; });
  w.events.forward_to(w.p, [&](const rain&) {
    w.events.sync_notify(rain{2});
    return true;
  });
  w.events.forward_to(w.p, [&](const rain& r) { return r.number == 1 && kv::self() != manager; });
  w.events.sync_notify(rain{1});
  for (int i = 0; i < 7; ++i) w.p.expect<kv::handler_removed>();
  CHECK(w.p.expect<rain>().number == 1);
  CHECK_FALSE(w.p.has<rain>());
  CHECK(w.events.count() == 1);
  CHECK(w.removals().size() == 7);
  CHECK(w.events.manager_pid() == manager);
  kv::testing::kill_and_await(w.runtime, bucket);
}

TEST_CASE("what a filter does to the process it runs in, it does not do to the manager") {
  weather_station w;
  w.events.forward_to(w.p, [](const rain&) {
    kv::limit_mailbox(1);
    kv::trap_exit(true);
    kv::register_name("filter", kv::self());
    kv::send(kv::self(), rain{0});
    kv::continue_with([] { throw std::runtime_error("not here"); });
    static_cast<void>(kv::receive_for<kv::detail::handled>(0s));
    return true;
  });
  for (int i = 0; i < 100; ++i) w.events.notify(rain{i});
  w.events.sync_notify(rain{100});
  for (int i = 0; i <= 100; ++i) CHECK(w.p.expect<rain>().number == i);
  CHECK_FALSE(w.runtime.whereis("filter"));
  CHECK(w.events.count() == 1);
}

TEST_CASE("an event is copied by its receiver, which alone misses one that cannot be copied") {
  using storms = kv::events<hail>;
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  kv::testing::probe p(runtime);
  auto rows = kv::subscription_table::create(runtime, {.name = {}, .access = kv::table_access::public_, .owner = p});
  const auto manager = p.run([&] { return kv::start_event_manager("storms", rows, {}); });
  const storms events(runtime, "storms");
  std::vector<kv::pid> copied_by;
  events.forward_to(p);
  events.forward_to(p, [](const hail& h) { return h.can_be_copied; });
  int heard = 0;
  events.add_handler([&heard](const hail&) { ++heard; });
  for (const bool copies : {false, true}) events.sync_notify(hail(copies, copied_by));
  CHECK(heard == 2);
  CHECK(copied_by.empty());
  for (int i = 0; i < 2; ++i) CHECK(p.expect<hail>().can_be_copied);
  CHECK_FALSE(p.has<hail>());
  CHECK(copied_by.size() >= 3);
  CHECK(std::ranges::count(copied_by, p.id()) == std::ssize(copied_by));
  CHECK(events.manager_pid() == manager);
  CHECK(events.count() == 3);
  CHECK(seen.all<kv::oddity_report>().size() == 1);
  kv::testing::kill_and_await(runtime, manager);
}

TEST_CASE("an owner whose mailbox is full and makes senders wait does not make the manager wait") {
  weather_station w;
  const auto owner = w.runtime.spawn([&w, to = w.p.id()] {
    kv::limit_mailbox(1, kv::when_full::block);
    w.events.add_monitored_handler([](const rain&) { throw std::runtime_error("too wet"); });
    w.events.forward_to(kv::self(), [](const rain&) -> bool { throw std::runtime_error("too wet"); });
    kv::send(kv::self(), never{});
    kv::send(to, go_on{});
    kv::receive<go_on>();
  });
  w.p.expect<go_on>();
  w.events.sync_notify(rain{1});
  w.events.sync_notify(rain{2});
  CHECK(w.events.count() == 0);
  kv::testing::kill_and_await(w.runtime, owner);
}

TEST_CASE("a `down` that is no monitor's of the manager's is ignored") {
  weather_station w;
  const auto manager = w.events.manager_pid().value();
  w.events.forward_to(w.p);
  for (const char* tag : {"", "1", "no number", "99999999999999999999999"}) {
    w.runtime.send(manager, kv::down{.from = w.p.id(), .reason = kv::exit_reason::killed, .ref = {}, .tag = tag});
  }
  w.events.sync_notify(rain{1});
  CHECK(w.p.has<rain>());
  CHECK(w.events.count() == 1);
  CHECK(w.events.manager_pid() == manager);
}

// Rows -------------------------------------------------------------------------------------------------------------

TEST_CASE("rows that name nothing to run are set aside at the start, and the others are attached") {
  weather_station w;
  w.events.forward_to(w.p);
  w.stop();
  w.rows.insert(0, {.what = nullptr, .label = "nothing"});
  w.rows.insert(std::numeric_limits<std::uint64_t>::max(), {.what = nullptr, .owner = w.p, .label = "nothing"});
  w.start();
  CHECK(w.events.count() == 1);
  CHECK(w.rows.size() == 1);
  CHECK(w.removals().size() == 2);
  CHECK(w.p.has<kv::handler_removed>());
  w.events.add_handler([](const rain&) {});  // its number is not one that is taken
  w.events.sync_notify(rain{1});
  CHECK(w.events.count() == 2);
  CHECK(w.p.has<rain>());
}

TEST_CASE("a row that names another's process as a handler's does that process no harm") {
  weather_station w;
  const auto id = w.events.add_handler([to = w.p.id()](const rain& r) { kv::send(to, r); });
  w.stop();
  const auto stranger = w.runtime.spawn([] { kv::receive<never>(); });
  const auto number = id.value & kv::detail::counted_up;
  auto row = w.rows.lookup(number).value();
  const auto old = std::exchange(row.runner, stranger);
  w.rows.insert(number, row);
  kv::testing::kill_and_await(w.runtime, old);
  w.start();
  w.events.sync_notify(rain{1});
  CHECK(w.p.has<rain>());
  CHECK(w.events.remove(id));
  CHECK(w.runtime.alive(stranger));
  kv::testing::kill_and_await(w.runtime, stranger);
}

}  // namespace events_safety_test
