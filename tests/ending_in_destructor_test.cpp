// Promises under test: a process that has to end while it waits in a destructor, or in another noexcept function, does not
// bring the program down: the wait ends in the ordinary way, and the process ends afterwards.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/task.hpp>
#include <kv/testing.hpp>

#include "cues.hpp"
#include "reports.hpp"
#include "servers.hpp"

namespace ending_in_destructor_test {

using namespace std::chrono_literals;
using kv::call_error;
using kv::exit_reason;
using kv::testing::exit_and_await;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

const auto enough = exit_reason::custom("enough");

/// A server that answers nothing.
struct silent {
  kv::from<int> asked{nullptr};
  void ask(kv::from<int> caller) { asked = std::move(caller); }
  int never() { return kv::receive<int>(); }
};

struct slow_to_start {
  slow_to_start() { kv::receive<go_on>(); }
};

/// A wait, told by its name to the probe before and by its result after.
struct wait {
  std::string name;
  std::string (*run)(kv::ref<silent>);
  std::string result;
};

std::string said(const std::optional<call_error>& e) {
  if (!e) return "an answer";
  return e->why() == call_error::code::interrupted ? "interrupted" : e->what();
}

template <class F>
std::string call_result_of(F function) {
  try {
    function();
    return said(std::nullopt);
  } catch (const call_error& e) {
    return said(e);
  }
}

const std::vector<wait>& waits() {
  static const std::vector<wait> all = {
      {"call", [](kv::ref<silent> s) { return call_result_of([&] { s.call(&silent::ask); }); }, "interrupted"},
      {"call without a timeout",
       [](kv::ref<silent> s) { return call_result_of([&] { s.call_for(kv::infinity, &silent::ask); }); },
       "interrupted"},
      {"stop", [](kv::ref<silent> s) { return call_result_of([&] { s.cast(&silent::never), s.stop(); }); },
       "interrupted"},
      {"request", [](kv::ref<silent> s) { return call_result_of([&] { s.send_request(&silent::ask).get(); }); },
       "interrupted"},
      {"spawn", [](kv::ref<silent>) { return call_result_of([] { kv::spawn<slow_to_start>(); }); }, "interrupted"},
      {"task", [](kv::ref<silent>) { return call_result_of([] { kv::async([] { kv::receive<go_on>(); }).get(); }); },
       "interrupted"},
      {"receive_for", [](kv::ref<silent>) { return std::string(kv::receive_for<int>(1h) ? "something" : "nothing"); },
       "nothing"},
      {"receive_if",
       [](kv::ref<silent>) {
         return std::string(kv::receive_if<int>([](int) { return true; }) ? "something" : "nothing");
       },
       "nothing"},
      {"await", [](kv::ref<silent> s) { return std::string(kv::await(kv::monitor(s)) ? "something" : "nothing"); },
       "nothing"},
      {"await_name",
       [](kv::ref<silent>) { return std::string(kv::await_name("not there", 1h) ? "something" : "nothing"); },
       "nothing"},
  };
  return all;
}

/// Waits in its destructor, as a careful author writes it.
struct session {
  kv::pid reader;
  kv::ref<silent> other;
  const wait& how;
  session(kv::pid to, kv::ref<silent> s, const wait& w) : reader(to), other(s), how(w) {}
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session() {
    const std::string farewell = "after " + how.name;  // something to destroy besides
    kv::send(reader, go_on{});
    try {
      kv::send(reader, how.run(other));
      kv::send(reader, how.run(other));  // at once
    } catch (const std::exception& e) {
      kv::send(reader, std::string(e.what()));
    }
    kv::send(reader, farewell);
  }
};

/// What holds a session: a scope, in several ways.
using holder = void (*)(kv::pid, kv::ref<silent>, const wait&);
void in_scope(kv::pid to, kv::ref<silent> s, const wait& how) { const session here(to, s, how); }
void in_container(kv::pid to, kv::ref<silent> s, const wait& how) {
  std::vector<std::unique_ptr<session>> all;
  all.push_back(std::make_unique<session>(to, s, how));
}
void in_function(kv::pid to, kv::ref<silent> s, const wait& how) {
  const auto shared = std::make_shared<session>(to, s, how);
  const std::function<void()> holds = [shared] {};
}
void in_handler(kv::pid to, kv::ref<silent> s, const wait& how) {
  try {
    throw std::runtime_error("caught here");
  } catch (const std::exception&) {
    const session here(to, s, how);
  }
}

template <bool is_leaf>
struct throws {
  static constexpr bool leaf = is_leaf;
  std::string content = "something";
  throws() = default;
  throws(const throws&) = delete;
  throws& operator=(const throws&) = delete;
  ~throws() noexcept(false) { throw std::runtime_error("from a destructor"); }
};

struct counter {
  int value = 0;
  int add(int n) { return value += n; }
};
struct calls_at_end {
  static constexpr bool leaf = true;
  kv::ref<counter> c;
  explicit calls_at_end(kv::ref<counter> counts) : c(counts) {}
  calls_at_end(const calls_at_end&) = delete;
  calls_at_end& operator=(const calls_at_end&) = delete;
  ~calls_at_end() { c.call(&counter::add, 1); }
  void fail() { throw std::runtime_error("no milk"); }
};

}  // namespace

TEST_CASE("a wait in a destructor ends the ordinary way when its process has to end, and the process ends afterwards") {
  for (const holder hold : {in_scope, in_container, in_function, in_handler}) {
    for (const auto& how : waits()) {
      CAPTURE(how.name);
      kv::runtime runtime({.threads = 1, .shutdown_timeout = 1ms, .on_report = [](const kv::report&) {}});
      probe p(runtime);
      const auto s = runtime.spawn<silent>();
      const auto ends = runtime.spawn([to = kv::pid(p), s, hold, &how] {
        hold(to, s, how);
        kv::send(to, std::string("outside"));
        kv::receive<int>();
        kv::send(to, std::string("never"));
      });
      p.monitor(ends);
      p.expect<go_on>();
      runtime.exit(ends, exit_reason::kill);
      CHECK(p.expect<std::string>() == how.result);
      CHECK(p.expect<std::string>() == how.result);
      CHECK(p.expect<std::string>() == "after " + how.name);
      CHECK(p.expect<std::string>() == "outside");
      CHECK(p.expect_down(ends).reason == exit_reason::killed);
      CHECK_FALSE(p.has<std::string>());
    }
  }
}

TEST_CASE("so it is for an exit signal, a link, a parent's end and the end of the runtime") {
  const auto& how = waits().front();
  for (int by = 0; by < 4; ++by) {
    auto runtime =
        std::make_unique<kv::runtime>(kv::runtime_options{.threads = 1, .on_report = [](const kv::report&) {}});
    auto p = std::make_unique<probe>(*runtime);
    const auto s = runtime->spawn<silent>();
    const auto parent = runtime->spawn([to = kv::pid(*p), s, &how] {
      const auto child = kv::spawn_link([to, s, &how] { in_scope(to, s, how); });
      kv::send(to, child);
      kv::receive<int>();
    });
    const auto child = p->expect<kv::pid>();
    p->monitor(child);
    p->expect<go_on>();
    if (by == 0) runtime->exit(child, enough);
    if (by == 1) runtime->exit(parent, enough);
    if (by == 2) kill_and_await(*runtime, parent);
    if (by == 3) {
      p.reset();
      runtime.reset();
      continue;
    }
    CHECK(p->expect<std::string>() == "interrupted");
    CHECK(p->expect_down(child).reason == (by == 2 ? exit_reason::killed : enough));
  }
}

TEST_CASE("a receive without a timeout in a destructor goes on, is reported, and the process ends after it") {
  kv::pid test;
  kv::runtime runtime({.threads = 1, .on_report = [&test](const kv::report& entry) {
                         if (const auto* const odd = std::get_if<kv::oddity_report>(&entry)) kv::send(test, *odd);
                       }});
  probe p(runtime);
  test = p;
  struct waits_on {
    kv::pid to;
    explicit waits_on(kv::pid reader) : to(reader) {}
    waits_on(const waits_on&) = delete;
    waits_on& operator=(const waits_on&) = delete;
    ~waits_on() {
      kv::send(to, true);
      kv::receive<std::string>();
      kv::send(to, std::string("received"));
    }
  };
  const auto a = runtime.spawn([to = kv::pid(p)] {
    {
      const waits_on here(to);
    }
    kv::receive<int>();
    kv::send(to, std::string("never"));
  });
  p.monitor(a);
  p.expect<bool>();
  runtime.exit(a, exit_reason::kill);
  p.expect<kv::oddity_report>();  // so it waits: it would not if the message came before
  runtime.send(a, 1);             // nothing that it waits for
  runtime.send(a, std::string("go on"));
  CHECK(p.expect<std::string>() == "received");
  CHECK(p.expect_down(a).reason == exit_reason::killed);
  CHECK_FALSE(p.has<std::string>());
  CHECK_FALSE(p.has<kv::oddity_report>());
}

TEST_CASE("kv::exit in a destructor is an error, and the process ends when its callback returns") {
  struct exits {
    kv::pid to;
    explicit exits(kv::pid reader) : to(reader) {}
    exits(const exits&) = delete;
    exits& operator=(const exits&) = delete;
    ~exits() {
      try {
        kv::exit(enough);
      } catch (const std::logic_error&) {
        kv::send(to, std::string("refused"));
      }
    }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto server = runtime.spawn<blank>();
  p.monitor(server);
  server.cast([to = kv::pid(p)](blank&) {
    {
      const exits here(to);
    }
    kv::send(to, std::string("outside"));
  });
  CHECK(p.expect<std::string>() == "refused");
  CHECK(p.expect<std::string>() == "outside");
  CHECK(p.expect_down(server).reason == enough);
}

TEST_CASE("a process that waits beside a thread or a catch (...) is unwound as ever") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto beside_thread = runtime.spawn([to = kv::pid(p)] {
    std::thread none;
    kv::send(to, true);
    kv::receive<int>();
  });
  p.expect<bool>();
  CHECK(kill_and_await(runtime, beside_thread) == exit_reason::killed);
  const auto rethrows = runtime.spawn([to = kv::pid(p)] {
    try {
      kv::send(to, true);
      kv::receive<int>();
    } catch (...) {
      const std::string tidy = "up";
      kv::send(to, tidy);
      throw;
    }
    kv::send(to, std::string("never"));
  });
  p.expect<bool>();
  CHECK(exit_and_await(runtime, rethrows, enough) == enough);
  CHECK(p.expect<std::string>() == "up");
  CHECK_FALSE(p.has<std::string>());
}

TEST_CASE_TEMPLATE("a state whose destructor throws is reported, and the process has ended as it was told", T,
                   throws<false>, throws<true>) {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  CHECK(kill_and_await(runtime, runtime.spawn<T>()) == exit_reason::killed);
  runtime.spawn<T>().stop();
  const auto oddities = seen.all<kv::oddity_report>();
  REQUIRE(oddities.size() == 2);
  CHECK(oddities[0].what.find("from a destructor") != std::string::npos);
}

TEST_CASE("a leaf may call while it is destroyed, whatever ends it and on whose stack") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  const auto c = runtime.spawn<counter>();
  kill_and_await(runtime, runtime.spawn<calls_at_end>(c));
  CHECK(c.call(&counter::add, 0) == 1);
  runtime.spawn<calls_at_end>(c).stop();
  CHECK(c.call(&counter::add, 0) == 2);
  const auto by_test = runtime.spawn<calls_at_end>(c);
  CHECK_THROWS_AS(by_test.call(&calls_at_end::fail), call_error);
  CHECK_FALSE(by_test.alive());
  CHECK(c.call(&counter::add, 0) == 3);
  const auto by_process = runtime.spawn<calls_at_end>(c);
  const auto calls = runtime.spawn<blank>();
  inside(calls, [by_process] { CHECK_THROWS_AS(by_process.call(&calls_at_end::fail), call_error); });
  CHECK(c.call(&counter::add, 0) == 4);
}

}  // namespace ending_in_destructor_test
