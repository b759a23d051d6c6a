// Promises under test: what a process with a thread of its own leaves to the end of that thread holds up nobody but the
// end of the runtime, and may use the runtime; what its function has captured is destroyed inside it.
#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "cues.hpp"
#include "threads.hpp"

namespace own_thread_test {

using kv::testing::probe;

namespace {

/// Runs a function when its thread ends.
struct at_end_of_thread {
  std::function<void()> run;
  ~at_end_of_thread() {
    if (run) run();
  }
};
thread_local at_end_of_thread at_end;

/// Tells as whom it is destroyed.
struct tells_at_end {
  kv::pid to;
  explicit tells_at_end(kv::pid reader) : to(reader) {}
  tells_at_end(const tells_at_end&) = delete;
  tells_at_end& operator=(const tells_at_end&) = delete;
  ~tells_at_end() { kv::send(to, kv::self_if_any().value_or(kv::pid{})); }
};

}  // namespace

TEST_CASE("a thread_local object may start another thread when it is destroyed" * needs_threads) {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  runtime.spawn_thread([&runtime, to = p.id()] {
    at_end.run = [&runtime, to] { runtime.spawn_thread([to] { kv::send(to, finished{}); }); };
  });
  p.expect<finished>();
}

TEST_CASE("a thread_local object may take its time: others start and end meanwhile" * needs_threads) {
  std::promise<void> leave;
  {
    kv::runtime runtime({.threads = 1});
    probe p(runtime);
    std::promise<void> ends;
    const auto slow = runtime.spawn_thread([&] {
      at_end.run = [&, waits = leave.get_future().share()] {
        ends.set_value();
        waits.wait();
      };
    });
    p.monitor(slow);
    p.expect_down(slow);
    ends.get_future().wait();
    for (int i = 0; i < 20; ++i) {
      const auto other = runtime.spawn_thread([to = p.id()] { kv::send(to, finished{}); });
      p.monitor(other);
      p.expect<finished>();
      p.expect_down(other);
    }
    leave.set_value();
  }
}

TEST_CASE("the runtime ends after the thread_local objects of its threads" * needs_threads) {
  std::atomic<int> destroyed{0};
  {
    kv::runtime runtime({.threads = 1});
    probe p(runtime);
    for (int i = 0; i < 3; ++i) {
      const auto each = runtime.spawn_thread([&] { at_end.run = [&] { ++destroyed; }; });
      p.monitor(each);
      p.expect_down(each);
    }
  }
  CHECK(destroyed == 3);
}

TEST_CASE("a thread_local object may try to start a thread while the runtime ends" * needs_threads) {
  std::promise<void> ends;
  std::promise<void> has_tried;
  std::optional<kv::runtime> home(std::in_place, kv::runtime_options{.threads = 1});
  home->spawn_thread([&, there = &*home] {
    at_end.run = [&, there] {
      ends.get_future().wait();
      try {
        there->spawn_thread([] {});  // refused, unless it is early
      } catch (const std::runtime_error&) {
        has_tried.set_value();
        return;
      }
      has_tried.set_value();
    };
  });
  // Destroyed when the runtime asks its roots to end.
  struct sets {
    std::promise<void>& cue;
    explicit sets(std::promise<void>& p) : cue(p) {}
    sets(const sets&) = delete;
    sets& operator=(const sets&) = delete;
    ~sets() { cue.set_value(); }
  };
  {
    probe p(*home);
    home->spawn([&ends, to = p.id()] {
      const sets at_end_of_process(ends);
      kv::send(to, go_on{});
      kv::receive<go_on>();
    });
    p.expect<go_on>();
  }
  home.reset();
  has_tried.get_future().wait();
}

TEST_CASE("what the function has captured is destroyed inside the process") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto who = runtime.spawn_thread([mine = std::make_unique<tells_at_end>(p.id())] {});
  p.monitor(who);
  CHECK(p.expect<kv::pid>() == who);
  p.expect_down(who);
}

TEST_CASE("a waiting process of a thread has its exceptions and its messages, and wakes in time" * needs_threads) {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  constexpr int many = 500;
  const auto echo = runtime.spawn_thread([to = p.id()] {
    for (int i = 0; i < many; ++i) kv::send(to, kv::receive<int>());
  });
  for (int i = 0; i < many; ++i) {
    runtime.send(echo, i);
    CHECK(p.expect<int>() == i);
  }
}

}  // namespace own_thread_test
