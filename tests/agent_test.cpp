// Promises under test: an agent holds a state and runs the functions that it is given, one after the other and inside its
// process; what Elixir's tests of Agent ask for.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <kv/agent.hpp>
#include <kv/supervision.hpp>
#include <kv/testing.hpp>

#include "children.hpp"
#include "exploring.hpp"
#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace agent_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

using counter = kv::agent<int>;
using dictionary = kv::agent<std::map<std::string, std::string>>;

int zero() { return 0; }
std::map<std::string, std::string> nothing() { return {}; }
int value(int n) { return n; }

kv::call_error::code refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const kv::call_error& e) {
    return e.why();
  }
  throw std::logic_error("it was not refused");
}

}  // namespace

// As Elixir's tests ------------------------------------------------------------------------------------------------

TEST_CASE("start_link workflow with unregistered name and functions") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = p.run([] { return dictionary::start_link(nothing); });
  a.update([](auto& words) { words["hello"] = "world"; });
  CHECK(a.get([](const auto& words) { return words.at("hello"); }) == "world");
  const auto old = a.get_and_update([](auto& words) { return std::exchange(words["hello"], "there"); });
  CHECK(old == "world");
  a.cast([](auto& words) { words.clear(); });
  CHECK(a.get(&std::map<std::string, std::string>::empty));
  a.stop();
  CHECK_FALSE(a.alive());
  CHECK(p.expect<kv::exit_signal>().from == a.id());  // it was linked
}

TEST_CASE("start workflow with registered name and members") {
  kv::runtime runtime({.threads = 2});
  const auto a = dictionary::start_named(runtime, "words", nothing);
  CHECK(runtime.whereis("words") == a.id());
  CHECK(dictionary::find(runtime, "words") == a);
  CHECK(a.get(&std::map<std::string, std::string>::size) == 0);
  a.update(&std::map<std::string, std::string>::clear);
  a.stop();
  CHECK_FALSE(runtime.whereis("words"));
  CHECK_FALSE(dictionary::find(runtime, "words"));
}

TEST_CASE("an agent is a child of a supervisor, and begins anew when it is restarted") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  const auto top = supervise(
      runtime, {kv::worker("counter", [] { return counter::start_link_named("counter", [] { return 7; }).id(); })});
  const auto first = counter::find(runtime, "counter").value();
  first.update([](int& n) { ++n; });
  CHECK_THROWS_AS(first.update([](int&) { throw std::runtime_error("sour"); }), kv::call_error);
  CHECK(info_of(top, "counter").restarts == 1);
  const auto second = counter::find(runtime, "counter").value();
  CHECK(second != first);
  CHECK(second.get(value) == 7);
}

// Start ------------------------------------------------------------------------------------------------------------

TEST_CASE("the first state is made inside the process") {
  kv::runtime runtime({.threads = 2});
  const auto a = kv::agent<kv::pid>::start(runtime, [] { return kv::self(); });
  CHECK(a.get([](kv::pid who) { return who; }) == a.id());
}

TEST_CASE("an agent starts others") {
  kv::runtime runtime({.threads = 2});
  const auto a = counter::start(runtime, zero);
  const auto b = a.get([](int) { return counter::start([] { return 1; }); });
  CHECK(b.get(value) == 1);
}

TEST_CASE("a first state that cannot be made is a start_error that says why, and leaves no process and no name") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto fail = []() -> int { throw std::runtime_error("no milk"); };
  CHECK_THROWS_WITH_AS(counter::start(runtime, fail), doctest::Contains("no milk"), kv::start_error);
  CHECK_THROWS_AS(counter::start_named(runtime, "counter", fail), kv::start_error);
  CHECK_THROWS_AS(p.run([&] { return counter::start_link(fail); }), kv::start_error);
  CHECK_FALSE(p.has<kv::exit_signal>());
  CHECK_FALSE(runtime.whereis("counter"));
  CHECK(runtime.process_count() == 0);
}

TEST_CASE("a name that is taken is refused, and only an agent of that state is found") {
  kv::runtime runtime({.threads = 2});
  counter::start_named(runtime, "counter", zero);
  CHECK_THROWS_AS(counter::start_named(runtime, "counter", zero), kv::name_taken);
  CHECK_FALSE(dictionary::find(runtime, "counter"));
  CHECK_FALSE(counter::find(runtime, "nobody"));
  runtime.spawn_named<blank>("blank");
  CHECK_FALSE(counter::find(runtime, "blank"));
}

TEST_CASE("an agent that was linked ends with who started it") {
  kv::runtime runtime({.threads = 2, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  const auto parent = runtime.spawn<blank>();
  const auto a = parent.call([](blank&) { return counter::start_link(zero); });
  p.monitor(a);
  CHECK_THROWS_AS(inside(parent, [] { throw std::runtime_error("sour"); }), kv::call_error);
  CHECK(p.expect_down(a).reason.what() == kv::exit_reason::kind::error);
}

// Use --------------------------------------------------------------------------------------------------------------

TEST_CASE("what the functions return comes back by value") {
  kv::runtime runtime({.threads = 2});
  const auto a =
      kv::agent<std::vector<std::string>>::start(runtime, [] { return std::vector<std::string>{"milk", "eggs"}; });
  const auto first = a.get([](const auto& all) -> const std::string& { return all[0]; });
  a.update([](auto& all) { all[0] = "bread"; });
  CHECK(first == "milk");
  auto second = a.get_and_update([](auto& all) -> std::string& { return all[1]; });
  second += " and more";
  CHECK(a.get([](const auto& all) { return all[1]; }) == "eggs");
}

TEST_CASE("a state that can only be moved, and functions that can") {
  kv::runtime runtime({.threads = 2});
  const auto a = kv::agent<std::unique_ptr<int>>::start(
      runtime, [n = std::make_unique<int>(1)]() mutable { return std::move(n); });
  a.update([two = std::make_unique<int>(2)](auto& n) mutable { n = std::move(two); });
  CHECK(a.get([](const auto& n) { return *n; }) == 2);
  const auto out = a.get_and_update([](auto& n) { return std::move(n); });
  CHECK(*out == 2);
}

TEST_CASE("casts are done in order, and before a later call") {
  kv::runtime runtime({.threads = 2});
  const auto a = kv::agent<std::vector<int>>::start(runtime, [] { return std::vector<int>(); });
  for (int i = 0; i < 100; ++i) a.cast([i](auto& all) { all.push_back(i); });
  const auto all = a.get([](const auto& them) { return them; });
  REQUIRE(all.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(all[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("updates of many threads and processes are each done once" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = counter::start(runtime, zero);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([a] {
        for (int k = 0; k < 1000; ++k) a.update([](int& n) { ++n; });
      });
      runtime.spawn([a, to = p.id()] {
        for (int k = 0; k < 1000; ++k) a.cast([](int& n) { ++n; });
        kv::send(to, finished{});
      });
    }
    for (int i = 0; i < 4; ++i) p.expect<finished>();
  }
  CHECK(a.get(value) == 8000);
}

// End --------------------------------------------------------------------------------------------------------------

TEST_CASE("a function that throws ends the agent and not the caller") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  for (const bool waits : {true, false}) {
    const auto a = counter::start(runtime, zero);
    p.monitor(a);
    const auto fail = [](int&) { throw std::runtime_error("sour"); };
    if (waits) {
      CHECK(refusal([&] { a.update(fail); }) == kv::call_error::code::exited);
    } else {
      a.cast(fail);
    }
    CHECK(to_string(p.expect_down(a).reason) == "error: sour");
  }
  CHECK(seen.all<kv::crash_report>().size() == 2);
}

TEST_CASE("a dead agent is noproc for all who ask, and a cast to it is nothing") {
  kv::runtime runtime({.threads = 2});
  const auto a = counter::start(runtime, zero);
  kill_and_await(runtime, a);
  const auto touch = [](int& n) { return ++n; };
  const auto noproc = kv::call_error::code::noproc;
  CHECK(refusal([&] { static_cast<void>(a.get(value)); }) == noproc);
  CHECK(refusal([&] { a.update(touch); }) == noproc);
  CHECK(refusal([&] { static_cast<void>(a.get_and_update(touch)); }) == noproc);
  CHECK(refusal([&] { a.stop(); }) == noproc);
  a.cast(touch);
  CHECK_FALSE(a.alive());
  CHECK(refusal([] { static_cast<void>(counter().get(value)); }) == noproc);
}

TEST_CASE("stop does what was told before, ends with the reason, and waits for that") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = counter::start(runtime, zero);
  p.monitor(a);
  a.cast([to = p.id()](int&) { kv::send(to, finished{}); });
  a.stop(kv::exit_reason::shutdown);
  CHECK_FALSE(a.alive());
  CHECK(p.has<finished>());
  CHECK(p.expect_down(a).reason == kv::exit_reason::shutdown);
}

TEST_CASE("an agent cannot call itself") {
  kv::runtime runtime({.threads = 2});
  const auto a = counter::start(runtime, zero);
  a.update([a](int& n) { n = refusal([&] { a.update([](int&) {}); }) == kv::call_error::code::calling_self ? 1 : 2; });
  CHECK(a.get(value) == 1);
}

TEST_SUITE_BEGIN("in simulation");

TEST_CASE("who asks an agent that is busy waits as long as he said, and it does what he asked all the same") {
  kv::simulation world;
  probe p(world);
  const auto a = counter::start(world, zero);
  std::optional<kv::testing::suspended> busy(std::in_place, world, a);
  const auto ask = [&](const std::function<void()>& call) {
    world.spawn([to = p.id(), call] {
      const auto why = refusal(call);
      kv::send(to, why);
    });
  };
  ask([a] { static_cast<void>(a.get(value, 1s)); });
  ask([a] { a.update([](int& n) { n += 1; }, 2s); });
  ask([a] { static_cast<void>(a.get_and_update([](int& n) { return n += 10; }, 3s)); });
  ask([a] { a.update([](int& n) { n += 100; }); });  // 5 s
  for (const auto wait : {1s, 1s, 1s, 2s}) {
    world.advance(wait - 1ms);
    CHECK_FALSE(p.has<kv::call_error::code>());
    world.advance(1ms);
    CHECK(p.has<kv::call_error::code>());
  }
  busy.reset();
  CHECK(a.get(value) == 111);
}

TEST_CASE("no update is lost or done twice, in whatever order everybody runs") {
  kv::explore(
      affordable(300),
      [](kv::simulation& world) {
        const auto a = counter::start(world, zero);
        for (int i = 0; i < 3; ++i) {
          world.spawn([a] {
            a.update([](int& n) { ++n; });
            a.cast([](int& n) { ++n; });
            static_cast<void>(a.get_and_update([](int& n) { return ++n; }));
          });
        }
        world.run_until_idle();
        require(a.get(value) == 9, "an update was lost");
      },
      replayable());
}

TEST_SUITE_END();

}  // namespace agent_test
