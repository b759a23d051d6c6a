// More than one runtime in a program: what works between them, and what each says to a name of the other's.
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <kv/bucket.hpp>
#include <kv/events.hpp>
#include <kv/supervision.hpp>
#include <kv/table.hpp>
#include <kv/task.hpp>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"
#include "worlds.hpp"

namespace worlds_test {

using namespace std::chrono_literals;
using kv::exit_reason;
using kv::testing::probe;

// Answers ----------------------------------------------------------------------------------------------------------

TEST_CASE("an answer to who asked from a runtime that has ended is dropped" * needs_threads) {
  kv::runtime y({.threads = 1});
  probe p(y);
  const auto owes = y.spawn<debtor>();
  owes.call(&debtor::tell, p.id());
  {
    kv::runtime x({.threads = 1});
    x.spawn([owes] {
      const auto pending = owes.send_request(&debtor::owe);
      kv::receive<go_on>();
    });
    x.spawn([owes] { owes.call(&debtor::owe); });
    p.expect<finished>();
    p.expect<finished>();
  }
  owes.call(&debtor::pay);
  CHECK(owes.alive());
}

TEST_CASE("what is owed may be kept by a plain thread beyond the end of its caller's runtime" * needs_threads) {
  std::vector<kv::from<int>> kept;
  {
    kv::runtime x({.threads = 1});
    probe p(x);
    const auto owes = x.spawn<debtor>();
    owes.call(&debtor::tell, p.id());
    for (int i = 0; i < 2; ++i) x.spawn([owes] { owes.call(&debtor::owe); });
    p.expect<finished>();
    p.expect<finished>();
    kept = owes.call(&debtor::hand_over);
  }
  REQUIRE(kept.size() == 2);
  kept.front().reply(1);
  kept.clear();  // the other says that there is no reply
}

TEST_CASE("a pending request and a task may be destroyed when their runtime has ended" * needs_threads) {
  std::optional<kv::pending<int>> request;
  std::optional<kv::task<int>> work;
  {
    kv::runtime x({.threads = 1});
    probe p(x);
    const auto owes = x.spawn<debtor>();
    x.spawn([&, to = p.id()] {
      request = owes.send_request(&debtor::owe);
      work.emplace(kv::async_nolink([] { return kv::receive<int>(); }));
      kv::send(to, finished{});
      kv::receive<go_on>();
    });
    p.expect<finished>();
  }
  CHECK_THROWS_AS(request->ready(), std::logic_error);
  request.reset();
  work.reset();
}

// Names of the other's -----------------------------------------------------------------------------------------------

TEST_CASE("a timer of another runtime is not cancelled, nor one of the same number") {
  kv::runtime x({.threads = 1});
  kv::runtime y({.threads = 1});
  probe p(x);
  probe q(y);
  const auto in_x = p.run([&] { return kv::send_after(1h, p, 1); });
  const auto in_y = q.run([&] { return kv::send_after(1h, q, 1); });
  CHECK(in_x != in_y);
  p.run([&] {
    CHECK_FALSE(kv::time_left(in_y));
    CHECK_FALSE(kv::cancel(in_y));
    CHECK_FALSE(kv::cancel(kv::timer_ref{}));
    CHECK(kv::time_left(in_x));
  });
  CHECK(q.run([&] { return kv::cancel(in_y).has_value(); }));
  CHECK(p.run([&] { return kv::cancel(in_x).has_value(); }));
}

TEST_CASE("a monitor of another process is not taken back by mistake") {
  kv::runtime x({.threads = 1});
  probe p(x);
  probe q(x);
  const auto target = x.spawn<blank>();
  const auto mine = p.monitor(target);
  const auto others = q.monitor(target);
  CHECK(mine != others);
  p.run([&] { kv::demonitor(others, true); });
  target.stop();
  CHECK(p.expect_down(target).ref == mine);
  CHECK(q.expect_down(target).ref == others);
}

TEST_CASE("linking and monitoring a process of another runtime that lives is refused, naming both") {
  kv::runtime x({.threads = 1});
  kv::runtime y({.threads = 1});
  probe p(x);
  const auto foreign = y.spawn<blank>();
  const auto text_of = [&](auto function) -> std::string {
    try {
      p.run(function);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "nothing";
  };
  const auto of_x = "runtime " + std::to_string(p.id().node);
  const auto of_y = "runtime " + std::to_string(foreign.id().node);
  for (const auto& text : {text_of([&] { kv::link(foreign); }), text_of([&] { kv::monitor(foreign); })}) {
    CHECK(text.find(to_string(foreign.id())) != std::string::npos);
    CHECK(text.find(of_x) != std::string::npos);
    CHECK(text.find(of_y) != std::string::npos);
  }
  p.run([&] {
    kv::exit(foreign, exit_reason::kill);
    kv::send(foreign, finished{});
    kv::unlink(foreign);
  });
  inside(foreign, [] {});
}

TEST_CASE("a bucket that is given a subscriber of another runtime lives on without it") {
  kv::runtime x({.threads = 1});
  kv::runtime y({.threads = 1});
  const auto shopping = x.spawn<kv::bucket>();
  const auto foreign = y.spawn<blank>();
  shopping.call(&kv::bucket::subscribe, foreign.id());
  shopping.call(&kv::bucket::put, "milk", "3");
  CHECK(shopping.call(&kv::bucket::subscriber_count) == 0);
}

TEST_CASE("a process of another runtime cannot subscribe to events, and the manager goes on" * needs_threads) {
  struct rain {};
  kv::runtime x({.threads = 2});
  kv::runtime y({.threads = 1});
  probe p(x);
  probe q(y);
  const auto rows =
      kv::subscription_table::create(x, {.name = "rows", .access = kv::table_access::public_, .owner = p.id()});
  p.run([&] { kv::start_event_manager("weather", rows, {}); });
  p.run([&] { kv::start_event_manager("news", rows, {}); });
  const kv::events<rain> weather(x, "weather");
  const kv::events<rain> news(x, "news");
  CHECK_THROWS_AS(weather.forward_to(q), std::invalid_argument);
  CHECK_THROWS_AS(q.run([&] { return weather.add_monitored_handler([](const rain&) {}); }), std::invalid_argument);
  const auto mine = weather.forward_to(p);
  CHECK_FALSE(news.remove(mine));
  weather.sync_notify(rain{});
  p.expect<rain>();
  CHECK(weather.remove(mine));
}

// Who may tell whom to end -------------------------------------------------------------------------------------------

TEST_CASE("a plain thread is the parent of what no process has started, and of nothing else") {
  /// Traps exits and has no handle() for them: ends with its parent.
  struct deaf {
    deaf() { kv::trap_exit(true); }
  };
  struct parent {
    kv::ref<deaf> child = kv::spawn_link<deaf>();
    kv::ref<deaf> get() const { return child; }
  };
  kv::runtime x({.threads = 1, .on_report = [](const kv::report&) {}});
  probe p(x);
  const auto root = x.spawn<deaf>();
  const auto grandchild = x.spawn<parent>().call(&parent::get);
  p.monitor(root);
  x.exit(root, exit_reason::normal);
  CHECK(p.expect_down(root).reason == exit_reason::normal);
  x.exit(grandchild, exit_reason::normal);
  x.exit(grandchild, exit_reason::shutdown);
  inside(grandchild, [] {});
  CHECK(grandchild.alive());
  CHECK(kv::testing::exit_and_await(x, grandchild, exit_reason::shutdown) == exit_reason::shutdown);  // as the runtime
}

// Ends ---------------------------------------------------------------------------------------------------------------

TEST_CASE("handles and tables that are used when their runtime has ended say so" * needs_threads) {
  kv::ref<asker> server;
  kv::ref<blank_leaf> leaf;
  std::optional<kv::table<int, int>> table;
  {
    kv::runtime x({.threads = 1});
    probe p(x);
    server = x.spawn<asker>();
    leaf = x.spawn<blank_leaf>();
    table = kv::table<int, int>::create(x, {.name = "kept", .owner = p.id()});
  }
  const auto check = [&] {
    CHECK_FALSE(server.alive());
    CHECK_THROWS_AS(server.call(&asker::add, 1), kv::call_error);
    CHECK_THROWS_AS(inside(leaf, [] {}), kv::call_error);
    CHECK_THROWS_AS(server.stop(), kv::call_error);
    server.cast(&asker::add, 1);
    CHECK_THROWS_AS(static_cast<void>(table->lookup(1)), kv::table_error);
  };
  check();
  kv::runtime y({.threads = 1});  // may be where the other was
  check();
  probe p(y);
  p.run(check);
  p.run([&] { CHECK_THROWS_AS(server.send_request(&asker::add, 1).get(), kv::call_error); });
}

TEST_CASE("two runtimes begin and end in any order while they talk" * needs_threads) {
  const auto begin = [] {
    return std::make_unique<kv::runtime>(kv::runtime_options{.threads = 1, .on_report = [](const kv::report&) {}});
  };
  const auto talk = [](kv::runtime& home, kv::ref<asker> to, kv::pid tell) {
    home.spawn([to, tell] {
      try {
        for (bool first = true;; first = false) {
          to.call(&asker::add, 1);
          to.cast(&asker::add, 1);
          if (first) kv::send(tell, finished{});
        }
      } catch (const kv::call_error&) {
        kv::send(tell, go_on{});
      }
    });
  };
  for (const bool first_ends_first : {true, false}) {
    auto x = begin();
    auto y = begin();
    const auto in_x = x->spawn<asker>();
    const auto in_y = y->spawn<asker>();
    auto& stays = first_ends_first ? y : x;
    auto& goes = first_ends_first ? x : y;
    probe p(*stays);
    {
      probe q(*goes);
      talk(*stays, first_ends_first ? in_x : in_y, p);
      talk(*goes, first_ends_first ? in_y : in_x, q);
      p.expect<finished>();
      q.expect<finished>();
    }
    goes.reset();
    p.expect<go_on>();
    CHECK((first_ends_first ? in_y : in_x).call(&asker::add, 1) == 2);
  }
}

TEST_CASE("each runtime has names, tables and reports of its own") {
  std::vector<kv::pid> of_x;
  std::vector<kv::pid> of_y;
  const auto into = [](std::vector<kv::pid>& all) {
    return [&all](const kv::report& entry) {
      if (const auto* const crash = std::get_if<kv::crash_report>(&entry)) all.push_back(crash->who);
    };
  };
  kv::runtime x({.threads = 1, .on_report = into(of_x)});
  kv::runtime y({.threads = 1, .on_report = into(of_y)});
  probe p(x);
  probe q(y);
  const auto in_x = x.spawn_named<blank>("same");
  const auto in_y = y.spawn_named<blank>("same");
  CHECK(x.whereis("same") == in_x.id());
  CHECK(y.whereis("same") == in_y.id());
  auto mine = kv::table<int, int>::create(x, {.name = "same", .owner = p.id()});
  auto others = kv::table<int, int>::create(y, {.name = "same", .owner = q.id()});
  p.run([&] { mine.insert(1, 1); });
  CHECK(others.size() == 0);
  CHECK_THROWS_AS(p.run([&] { others.insert(1, 1); }), kv::table_error);
  CHECK_THROWS(inside(in_x, [] { throw std::runtime_error("only here"); }));
  CHECK(of_x == std::vector{in_x.id()});
  CHECK(of_y.empty());
}

}  // namespace worlds_test
