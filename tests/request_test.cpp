// Requests whose answers are looked for later, and answers that are given later.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <kv/testing.hpp>

#include "servers.hpp"
#include "threads.hpp"

namespace request_test {

using namespace std::chrono_literals;

namespace {

struct done {};
struct go_on {};

/// Has answers for those who ask when they come, later, elsewhere, or never.
class counter {
 public:
  int add(int n) { return total_ += n; }
  void nothing() {}
  [[noreturn]] void crash() { throw std::runtime_error("out of paper"); }
  void slowly() { kv::receive<go_on>(); }

  void later(kv::from<int> caller, int n) { waiting_.emplace_back(std::move(caller), n); }
  void at_once(kv::from<std::string> caller, const std::string& text) { caller.reply(text + "!"); }
  void when_through(kv::from<void> caller) { through_.push_back(std::move(caller)); }
  void never(kv::from<int> /*caller*/) {}
  void crash_with(kv::from<int> /*caller*/) { throw std::runtime_error("out of ink"); }
  void elsewhere(kv::from<int> caller) {
    kv::spawn([caller = std::move(caller)]() mutable { caller.reply(7); });
  }
  void refuse(kv::from<int> caller) { caller.refuse(kv::exit_reason::custom("not today")); }

  void answer_all() {
    for (auto& [caller, n] : waiting_) caller.reply(add(n));
    waiting_.clear();
    for (auto& caller : through_) caller.reply();
    through_.clear();
  }
  void forget_all() { waiting_.clear(); }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  int total_ = 0;
  std::vector<std::pair<kv::from<int>, int>> waiting_;
  std::vector<kv::from<void>> through_;
};

kv::exit_reason reason_of(const std::function<void()>& ask) {
  try {
    ask();
  } catch (const kv::call_error& e) {
    return e.reason();
  }
  return kv::exit_reason::custom("it was answered");
}

struct till {
  static constexpr bool leaf = true;
  std::vector<kv::from<int>> customers;
  void queue_up(kv::from<int> customer) { customers.push_back(std::move(customer)); }
  void open() {
    for (auto& each : customers) each.reply(3);
    customers.clear();
  }
  void close() { customers.clear(); }
};

}  // namespace

// Requests ---------------------------------------------------------------------------------------------------------

TEST_CASE("a request returns at once, and its answer is there later") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    auto first = server.send_request(&counter::add, 1);
    auto second = server.send_request(&counter::add, 10);
    CHECK(first.callee() == server.id());
    CHECK(second.get() == 11);  // in any order
    CHECK(first.ready());
    CHECK(first.get() == 1);
    auto third = server.send_request(&counter::nothing);
    third.get();
  });
}

TEST_CASE("an answer can be taken once") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    auto request = server.send_request(&counter::add, 1);
    CHECK(request.get() == 1);
    CHECK_THROWS_AS(request.get(), std::logic_error);
  });
}

TEST_CASE("several requests are waited for at a time") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto slow = runtime.spawn<counter>();
  const auto fast = runtime.spawn<counter>();
  probe.run([&] {
    std::vector<kv::pending<int>> requests;
    requests.push_back(slow.send_request(&counter::later, 1));
    requests.push_back(fast.send_request(&counter::add, 2));
    REQUIRE(kv::wait_any(requests) == 1);
    CHECK(requests[1].get() == 2);
    requests.pop_back();
    CHECK_FALSE(kv::wait_any(requests, 0ns));
    slow.cast(&counter::answer_all);
    REQUIRE(kv::wait_any(requests) == 0);
    CHECK(requests[0].get() == 1);
    requests.clear();
    CHECK_FALSE(kv::wait_any(requests));  // nothing to wait for
  });
}

TEST_CASE("a request to the dead, or to who dies, is answered so") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    auto lost = server.send_request(&counter::crash);
    CHECK(reason_of([&] { lost.get(); }).text() == "out of paper");
    auto late = server.send_request(&counter::add, 1);
    CHECK(late.ready());
    CHECK_THROWS_WITH_AS(late.get(), ("call to " + to_string(server.id()) + ": noproc").c_str(), kv::call_error);
    CHECK_THROWS_AS(kv::ref<counter>().send_request(&counter::add, 1), kv::call_error);
  });
}

TEST_CASE("who waits too short a time can wait again") {
  kv::simulation world;
  kv::testing::probe probe(world);
  const auto server = world.spawn<counter>();
  probe.run([&] {
    auto request = server.send_request(&counter::later, 5);
    CHECK_THROWS_AS(request.get(1s), kv::call_error);
    CHECK_FALSE(request.ready());
    server.cast(&counter::answer_all);
    CHECK(request.get(1s) == 5);
  });
}

TEST_CASE("a request that nobody waits for any more leaves nothing behind") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    for (int i = 0; i < 3; ++i) static_cast<void>(server.send_request(&counter::add, 1));
    {
      auto moved = std::make_unique<kv::pending<int>>(server.send_request(&counter::add, 1));
    }
    CHECK(server.call(&counter::add, 0) == 4);  // so all have come
    CHECK_FALSE(kv::receive_for(0ns, [](const int&) {}));
    CHECK(kv::detail::current_process->business().replies.empty());
  });
}

TEST_CASE("the answer to a call is never that to a request, whatever comes first") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    auto request = server.send_request(&counter::later, 100);
    CHECK(server.call(&counter::add, 1) == 1);
    server.call(&counter::answer_all);
    CHECK(request.get() == 101);
  });
}

TEST_CASE("a request belongs to the process that made it") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  auto request = probe.run([&] { return server.send_request(&counter::add, 1); });
  CHECK_THROWS_AS(request.get(), std::logic_error);
  CHECK_THROWS_AS(static_cast<void>(request.ready()), std::logic_error);
  kv::testing::probe other(runtime);
  CHECK_THROWS_AS(other.run([&] { return request.get(); }), std::logic_error);
  CHECK(probe.run([&] { return request.get(); }) == 1);
  CHECK_THROWS_AS(server.send_request(&counter::add, 1), std::logic_error);  // a plain thread has nowhere to wait
  CHECK_THROWS_AS(inside(server, [server] { static_cast<void>(server.send_request(&counter::add, 1)); }),
                  kv::call_error);
}

TEST_CASE("a request may go to another thread and end there") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  {
    auto request = probe.run([&] { return server.send_request(&counter::later, 1); });
    CHECK(server.call(&counter::waiting) == 1);
  }  // on no process: the probe is told
  server.call(&counter::answer_all);
  CHECK(probe.run([] {
    static_cast<void>(kv::receive_for(0ns, [](const int&) {}));
    return kv::detail::current_process->business().replies.empty();
  }));
}

TEST_CASE("who waits for an answer can be killed, and the answer then finds nobody") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  const auto wait_in = [&](auto wait) {
    const auto caller = runtime.spawn([server, wait, to = probe.id()] {
      std::vector<kv::pending<int>> requests;
      requests.push_back(server.send_request(&counter::later, 1));
      kv::send(to, done{});
      wait(requests);
    });
    probe.monitor(caller);
    probe.expect<done>();
    runtime.exit(caller, kv::exit_reason::kill);
    CHECK(probe.expect_down(caller).reason == kv::exit_reason::killed);
  };
  wait_in([](auto& requests) { static_cast<void>(requests[0].get(kv::infinity)); });
  wait_in([](auto& requests) { static_cast<void>(kv::wait_any(requests, kv::infinity)); });
  server.call(&counter::answer_all);
  CHECK(runtime.alive(server));
}

// Answers ----------------------------------------------------------------------------------------------------------

TEST_CASE("a server answers later, and others meanwhile") {
  kv::runtime runtime({.threads = 2});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    auto request = server.send_request(&counter::later, 5);
    CHECK(server.call(&counter::add, 1) == 1);
    CHECK_FALSE(request.ready());
    server.call(&counter::answer_all);
    CHECK(request.get() == 6);
  });
}

TEST_CASE("an answer may come at once, or from another process, or be a refusal") {
  kv::runtime runtime({.threads = 2});
  const auto server = runtime.spawn<counter>();
  CHECK(server.call(&counter::at_once, "hello") == "hello!");
  CHECK(server.call(&counter::elsewhere) == 7);
  CHECK(reason_of([&] { server.call(&counter::refuse); }) == kv::exit_reason::custom("not today"));
  CHECK(runtime.alive(server));
}

TEST_CASE("a function object may answer later, too") {
  kv::runtime runtime({.threads = 1});
  const auto server = runtime.spawn<counter>();
  const int answer = server.call([](counter& c, kv::from<int> caller, int n) { caller.reply(c.add(n)); }, 3);
  CHECK(answer == 3);
}

TEST_CASE("an answer of nothing tells that it is done") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  probe.run([&] {
    auto request = server.send_request(&counter::when_through);
    server.call(&counter::answer_all);
    request.get();
  });
}

TEST_CASE("a caller that nobody owes an answer any more is told so") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  CHECK(reason_of([&] { server.call(&counter::never); }) == kv::exit_reason::custom("no reply"));
  probe.run([&] {
    auto request = server.send_request(&counter::later, 1);
    server.call(&counter::forget_all);
    CHECK(reason_of([&] { request.get(); }) == kv::exit_reason::custom("no reply"));
  });
  CHECK(runtime.alive(server));
}

TEST_CASE("a caller that is owed an answer hears of the server's end") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  kv::testing::probe probe(runtime);
  const auto crashed = runtime.spawn<counter>();
  CHECK(reason_of([&] { crashed.call(&counter::crash_with); }).text() == "out of ink");

  const auto killed = runtime.spawn<counter>();
  probe.run([&] {
    kv::monitor(killed);
    auto request = killed.send_request(&counter::later, 1);
    CHECK(killed.call(&counter::waiting) == 1);
    kv::exit(killed, kv::exit_reason::kill);
    CHECK(reason_of([&] { request.get(); }) == kv::exit_reason::killed);
    CHECK(kv::receive_for<kv::down>(0ns));  // watchers are told before callers
  });
}

TEST_CASE("a second answer is dropped, and one to a caller who is gone is, too") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<counter>();
  const int answer = server.call([](counter&, kv::from<int> caller) {
    caller.reply(1);
    caller.reply(2);
    caller.refuse(kv::exit_reason::normal);
    CHECK_FALSE(caller.caller());
  });
  CHECK(answer == 1);
  const auto caller = runtime.spawn([server, to = probe.id()] {
    server.call([to](counter& c, kv::from<int> me) {
      c.later(std::move(me), 1);
      kv::send(to, done{});
    });
  });
  probe.monitor(caller);
  probe.expect<done>();
  runtime.exit(caller, kv::exit_reason::kill);
  probe.expect_down(caller);
  server.call(&counter::answer_all);
  CHECK(runtime.alive(server));
}

TEST_CASE("a leaf answers later") {
  kv::runtime runtime({.threads = 1});
  kv::testing::probe probe(runtime);
  const auto server = runtime.spawn<till>();
  probe.run([&] {
    auto first = server.send_request(&till::queue_up);
    server.call([](till&) {});  // behind it
    server.call(&till::open);
    CHECK(first.get() == 3);
    auto second = server.send_request(&till::queue_up);
    server.call([](till&) {});
    server.call(&till::close);
    CHECK(reason_of([&] { second.get(); }) == kv::exit_reason::custom("no reply"));
  });
}

}  // namespace request_test
