// Promises under test: a pid outlives its process safely; a call runs inside the process and returns by value; errors
// name who was called; messages and signals keep their order; an exception ends one process and nothing else.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "threads.hpp"

namespace process_test {

using namespace std::chrono_literals;
using kv::testing::probe;

namespace {

struct ping {
  int number;
};

struct counter {
  static constexpr bool leaf = true;
  int value = 0;

  int add(int n) { return value += n; }
  void fail(const std::string& why) { throw std::runtime_error(why); }
  void fail_strangely() { throw 42; }
  void handle(const ping& p) { value += p.number; }
};

/// The same with a fiber of its own.
struct patient_counter {
  int value = 0;

  int add(int n) { return value += n; }
  void wait_for_ping() { value += kv::receive<ping>().number; }
  void fail(const std::string& why) { throw std::runtime_error(why); }
  void handle(const ping& p) { value += p.number; }
};

}  // namespace

TEST_CASE_TEMPLATE("a call runs inside the process and returns its result", T, counter, patient_counter) {
  kv::runtime runtime({.threads = 2});
  const auto c = runtime.spawn<T>();
  CHECK(c.call(&T::add, 3) == 3);
  CHECK(c.call([](T& state) { return state.value * 2; }) == 6);
  CHECK(c.call([](T&) { return kv::self(); }) == c.id());
}

TEST_CASE_TEMPLATE("casts and messages are handled in the order they were sent", T, counter, patient_counter) {
  kv::runtime runtime({.threads = 2});
  const auto c = runtime.spawn<T>();
  c.cast([](T& state) { state.value = 10; });
  c.send(ping{5});
  c.cast([](T& state) { state.value *= 2; });
  CHECK(c.call([](T& state) { return state.value; }) == 30);
}

TEST_CASE("text arguments of a queued call are kept by value") {
  struct listener {
    std::string heard;
    void hear(std::string_view text) { heard = text; }
    void wait_for_ping() { kv::receive<ping>(); }
  };
  kv::runtime runtime({.threads = 1});
  const auto l = runtime.spawn<listener>();
  l.cast(&listener::wait_for_ping);
  {
    const auto text = std::make_unique<std::string>("a text that is too long for the small string buffer");
    l.cast(&listener::hear, std::string_view(*text));
  }
  runtime.send(l, ping{0});
  CHECK(l.call([](listener& s) { return s.heard; }) == "a text that is too long for the small string buffer");
}

TEST_CASE("a dead pid answers noproc and sends to it go nowhere") {
  kv::runtime runtime({.threads = 1});
  const auto c = runtime.spawn<counter>();
  c.stop();
  CHECK_FALSE(c.alive());
  CHECK_FALSE(runtime.alive(c));
  c.cast(&counter::add, 1);
  c.send(ping{1});
  runtime.send(c, ping{1});
  runtime.exit(c, kv::exit_reason::kill);
  try {
    c.call(&counter::add, 1);
    FAIL("a dead process answered");
  } catch (const kv::call_error& e) {
    CHECK(e.why() == kv::call_error::code::noproc);
    CHECK(e.callee() == c.id());
    CHECK(std::string(e.what()) == "call to " + to_string(c.id()) + ": noproc");
  }
  CHECK_THROWS_AS(c.stop(), kv::call_error);
}

TEST_CASE("a pid never reaches the next process of its slot") {
  kv::runtime runtime({.threads = 1});
  std::set<kv::pid> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto c = runtime.spawn<counter>();
    CHECK(seen.insert(c).second);
    c.stop();
  }
  std::set<std::uint32_t> slots;
  for (const auto id : seen) slots.insert(id.slot);
  CHECK(slots.size() < 10);  // they were used again, and again
  const auto living = runtime.spawn<counter>();
  for (const auto id : seen) runtime.exit(id, kv::exit_reason::kill);
  CHECK(living.call(&counter::add, 1) == 1);
}

TEST_CASE("a pid of another runtime is nobody here") {
  kv::runtime here({.threads = 1});
  kv::runtime there({.threads = 1});
  const auto c = there.spawn<counter>();
  const auto d = here.spawn<counter>();
  CHECK(c.id() != d.id());
  CHECK_FALSE(here.alive(c));
  here.exit(c, kv::exit_reason::kill);
  CHECK(c.call(&counter::add, 1) == 1);
}

TEST_CASE("a default ref and a default pid name nobody") {
  kv::runtime runtime({.threads = 1});
  const kv::ref<counter> nobody;
  CHECK_FALSE(nobody.alive());
  CHECK_THROWS_AS(nobody.call(&counter::add, 1), kv::call_error);
  nobody.cast(&counter::add, 1);
  CHECK(to_string(kv::pid{}) == "<none>");
  CHECK_FALSE(runtime.alive({}));
}

TEST_CASE("an exception ends the process, is reported once, and the caller learns of it") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  const auto c = runtime.spawn<counter>();
  try {
    c.call(&counter::fail, "no milk");
    FAIL("the call returned");
  } catch (const kv::call_error& e) {
    CHECK(e.why() == kv::call_error::code::exited);
    CHECK(e.reason() == kv::exit_reason::error(std::make_exception_ptr(std::runtime_error("no milk"))));
    CHECK_THROWS_WITH_AS(std::rethrow_exception(e.reason().exception()), "no milk", std::runtime_error);
  }
  CHECK_FALSE(c.alive());
  const auto crashes = seen.all<kv::crash_report>();
  REQUIRE(crashes.size() == 1);
  CHECK(crashes[0].who == c.id());
  CHECK(crashes[0].type.find("counter") != std::string::npos);
  CHECK(crashes[0].last_message.find("counter") != std::string::npos);
}

TEST_CASE("something that is no std::exception ends the process the same way") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  const auto c = runtime.spawn<counter>();
  CHECK_THROWS_WITH(c.call(&counter::fail_strangely), doctest::Contains("unknown exception"));
  CHECK(seen.all<kv::crash_report>().size() == 1);
}

TEST_CASE("an exception in a queued call, a cast or a message ends the process and not its sender") {
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  const auto called = runtime.spawn<patient_counter>();
  CHECK_THROWS_WITH_AS(called.call(&patient_counter::fail, "in a call"), doctest::Contains("in a call"),
                       kv::call_error);
  probe p(runtime);
  const auto cast = runtime.spawn<counter>();
  p.monitor(cast);
  cast.cast(&counter::fail, "in a cast");
  CHECK(p.expect<kv::down>().reason.text() == "in a cast");
  CHECK(seen.all<kv::crash_report>().size() == 2);
}

TEST_CASE("calls that wait when the process ends get its reason") {
  // One thread: whoever ends the callee runs only once the caller is blocked, with its call in the callee's mailbox.
  kv::runtime runtime({.threads = 1});
  const auto c = runtime.spawn<patient_counter>();
  probe p(runtime);
  runtime.spawn([&, to = kv::pid(p)] {
    c.cast(&patient_counter::wait_for_ping);
    kv::spawn([&] { kv::exit(c, kv::exit_reason::custom("enough")); });
    try {
      c.call(&patient_counter::add, 1);
    } catch (const kv::call_error& e) {
      kv::send(to, e.reason());
    }
  });
  CHECK(p.expect<kv::exit_reason>() == kv::exit_reason::custom("enough"));
}

TEST_CASE("a call that is not answered in time says so, and its late answer reaches no later call") {
  kv::runtime runtime({.threads = 2});
  const auto c = runtime.spawn<patient_counter>();
  try {
    c.call_for(1ms, &patient_counter::wait_for_ping);
    FAIL("nobody pinged");
  } catch (const kv::call_error& e) {
    CHECK(e.why() == kv::call_error::code::timeout);
  }
  // The same process times out, and then calls again while the first answer is on its way.
  probe p(runtime);
  runtime.spawn([&, to = kv::pid(p)] {
    try {
      c.call_for(1ms, &patient_counter::add, 100);
    } catch (const kv::call_error&) {
      kv::send(c, ping{1});
      kv::send(to, c.call(&patient_counter::add, 10));
    }
  });
  CHECK(p.expect<int>() == 111);
}

TEST_CASE("a process cannot call itself") {
  kv::runtime runtime({.threads = 1});
  struct narcissus {
    kv::ref<narcissus> me;
    int look() { return me.call(&narcissus::see); }
    int see() { return 1; }
  };
  const auto n = runtime.spawn<narcissus>();
  n.call([n](narcissus& state) { state.me = n; });
  CHECK_THROWS_WITH(n.call(&narcissus::look), doctest::Contains("cannot call itself"));
}

TEST_CASE("a leaf that calls, waits or starts a process that may block fails loudly") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto other = runtime.spawn<counter>();
  const auto call = runtime.spawn<counter>();
  CHECK_THROWS_WITH(call.call([other](counter&) { return other.call(&counter::add, 1); }), doctest::Contains("leaf"));
  const auto wait = runtime.spawn<counter>();
  CHECK_THROWS_WITH(wait.call([](counter&) { kv::receive<ping>(); }), doctest::Contains("leaf"));
  const auto start = runtime.spawn<counter>();
  CHECK_THROWS_WITH(start.call([](counter&) { kv::spawn<patient_counter>(); }), doctest::Contains("leaf"));
  CHECK(other.call(&counter::add, 1) == 1);
}

TEST_CASE("a leaf is the current process while it runs on its caller's stack") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto c = runtime.spawn<counter>();
  p.run([&] {
    CHECK(kv::self() == p.id());
    CHECK(c.call([](counter&) { return kv::self(); }) == c.id());
    CHECK(kv::self() == p.id());
    CHECK_THROWS_AS(c.call(&counter::fail, "x"), kv::call_error);
    CHECK(kv::self() == p.id());
  });
}

TEST_CASE("two threads that call one leaf exclude each other" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  const auto c = runtime.spawn<counter>();
  const auto work = [&] {
    for (int i = 0; i < 20'000; ++i) c.call(&counter::add, 1);
  };
  probe p(runtime);
  std::thread a(work), b(work);
  p.monitor(runtime.spawn(work));
  a.join();
  b.join();
  p.expect<kv::down>();
  CHECK(c.call(&counter::add, 0) == 60'000);
}

}  // namespace process_test
