// Promises under test: a runtime starts, stops and stands beside others; its destructor ends every process in order,
// whatever it is doing, and leaves nothing behind; nonsense in its options is refused by name and value.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace runtime_test {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

struct waiter {
  std::shared_ptr<int> token;
  explicit waiter(std::shared_ptr<int> counted = {}) : token(std::move(counted)) {}
  int wait() { return kv::receive<int>(); }
};

/// Writes its name down when it ends. Any thread may.
class diary {
 public:
  void write(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

struct mortal {
  diary* book;
  std::string name;
  mortal(diary* where, std::string called) : book(where), name(std::move(called)) {}
  mortal(const mortal&) = delete;
  mortal& operator=(const mortal&) = delete;
  ~mortal() { book->write(name); }
};

std::string refusal(const kv::runtime_options& options) {
  try {
    kv::runtime runtime(options);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a runtime starts and stops a thousand times") {
  for (int i = 0; i < 1000; ++i) {
    kv::runtime runtime({.threads = 2});
    if (i % 2 == 0) CHECK(runtime.spawn<blank>().call([](blank&) { return 1; }) == 1);
  }
}

TEST_CASE("two runtimes live in one program, and a process of one may use the other") {
  kv::runtime here({.threads = 1});
  const auto in_here = here.spawn<blank>();
  {
    kv::runtime there({.threads = 1});
    const auto in_there = there.spawn<blank>();
    CHECK(in_there.call([in_here](blank&) { return in_here.call([](blank&) { return kv::self(); }); }) == in_here.id());
  }
  inside(in_here, [] {});
}

TEST_CASE("options out of range are refused with the value and what is allowed") {
  CHECK(refusal({.threads = 0}) == "runtime_options::threads is 0; at least 1 is needed");
  const auto small = refusal({.stack_size = 16 * 1024 - 1});
  CHECK(small.find("stack_size is 16383") != std::string::npos);
  CHECK(small.find("16384") != std::string::npos);
  const auto few = refusal({.threads = 4, .max_stacks = 3});
  CHECK(few.find("max_stacks is 3") != std::string::npos);
  CHECK(few.find("4") != std::string::npos);
}

TEST_CASE("options at the edge of their range are accepted") {
  kv::runtime runtime({.threads = 1, .stack_size = 16 * 1024, .max_stacks = 1, .shutdown_timeout = 0ns});
  const auto w = runtime.spawn<waiter>();
  w.cast(&waiter::wait);
  runtime.send(w, 1);
  CHECK(w.call([](waiter&) { return 1; }) == 1);
}

TEST_CASE("a negative shutdown timeout kills at once") {
  const auto token = std::make_shared<int>();
  {
    kv::runtime runtime({.threads = 1, .shutdown_timeout = -1s});
    probe p(runtime);
    runtime.spawn([token, to = kv::pid(p)] {
      kv::trap_exit(true);
      kv::send(to, true);
      kv::receive<int>();
    });
    p.expect<bool>();
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("the destructor ends the roots, the youngest first") {
  diary book;
  {
    kv::runtime runtime({.threads = 2});
    for (const auto* const name : {"a", "b", "c", "d"}) runtime.spawn<mortal>(&book, name);
  }
  CHECK(book.lines() == std::vector<std::string>{"d", "c", "b", "a"});
}

TEST_CASE("children end with the root that they are linked to, before older roots") {
  diary book;
  {
    kv::runtime runtime({.threads = 2});
    runtime.spawn<mortal>(&book, "old");
    probe p(runtime);
    runtime.spawn([&book, to = kv::pid(p)] {
      kv::trap_exit(true);
      const auto child = kv::spawn_link<mortal>(&book, "child");
      kv::send(to, true);
      const auto ending = kv::receive<kv::exit_signal>();
      kv::exit(child, ending.reason);
      kv::receive<kv::exit_signal>();
      book.write("root " + to_string(ending.reason));
    });
    p.expect<bool>();
  }
  CHECK(book.lines() == std::vector<std::string>{"child", "root shutdown", "old"});
}

TEST_CASE("a process that traps exits and does not end is killed after the shutdown timeout") {
  diary book;
  {
    kv::runtime runtime({.threads = 1, .shutdown_timeout = 1ms});
    probe p(runtime);
    runtime.spawn([&, to = kv::pid(p)] {
      const mortal last(&book, "killed");
      kv::trap_exit(true);
      kv::send(to, true);
      for (;;) kv::receive([](const kv::exit_signal& s) { static_cast<void>(s); });
    });
    p.expect<bool>();
  }
  CHECK(book.lines() == std::vector<std::string>{"killed"});
}

TEST_CASE("a runtime that is destroyed while it is busy leaves nothing behind" * needs_threads) {
  const auto token = std::make_shared<int>();
  for (int round = 0; round < 50; ++round) {
    reports seen;  // of those whose call fails
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    const auto blocked = runtime.spawn<waiter>(token);
    blocked.cast(&waiter::wait);
    for (int i = 0; i < 100; ++i) blocked.cast([token](waiter&) {});  // queued behind it
    for (int i = 0; i < 100; ++i) runtime.send(blocked, token);       // messages nobody wants
    for (int i = 0; i < 20; ++i) {
      runtime.spawn([token, blocked] { blocked.call(&waiter::wait); });          // blocked in a call
      runtime.spawn([token] { kv::receive<bool>(); });                           // in a receive
      runtime.spawn([token] { static_cast<void>(kv::receive_for<bool>(1h)); });  // with a deadline
      runtime.spawn([token, blocked] { kv::monitor(blocked, "tag"), kv::link(blocked), kv::receive<bool>(); });
      runtime.spawn([token] { kv::spawn_link<waiter>(token).call(&waiter::wait); });
    }
    const auto leaf = runtime.spawn<blank_leaf>();
    std::thread caster([&] {
      for (int i = 0; i < 100; ++i) {
        leaf.cast([token](blank_leaf&) {});
        blocked.cast([token](waiter&) {});
      }
    });
    caster.join();
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("a call that is answered, one that times out and one that fails leave nothing behind") {
  const auto token = std::make_shared<int>();
  {
    reports seen;  // holds the exception, and so what it carries
    kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
    const auto w = runtime.spawn<waiter>(token);
    CHECK(w.call([token](waiter&) { return token; }) == token);
    CHECK_THROWS_AS(w.call_for(1ms, [token](waiter& s) { return s.wait(), token; }), kv::call_error);
    runtime.send(w, 1);
    CHECK_THROWS_AS(w.call([token](waiter&) -> std::shared_ptr<int> { throw token; }), kv::call_error);
    CHECK_THROWS_AS(w.call([token](waiter&) { return token; }), kv::call_error);
    w.cast([token](waiter&) {});
    runtime.send(w, token);
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("the state of a dead process is destroyed before its death is told, and its messages with it") {
  const auto state = std::make_shared<int>();
  const auto queued = std::make_shared<int>();
  {
    kv::runtime runtime({.threads = 2});
    const auto w = runtime.spawn<waiter>(state);
    const kv::testing::suspended frozen(runtime, w);
    for (int i = 0; i < 100; ++i) w.cast([queued](waiter&) {});
    runtime.send(w, queued);
    kill_and_await(runtime, w);
    CHECK(state.use_count() == 1);
  }
  CHECK(queued.use_count() == 1);
}

TEST_CASE("nothing can be started while the runtime shuts down, and who tries is told" * needs_threads) {
  std::atomic<bool> went_on{false};
  struct busy_at_end {
    std::atomic<bool>* told;
    explicit busy_at_end(std::atomic<bool>* where) : told(where) {}
    busy_at_end(const busy_at_end&) = delete;
    busy_at_end& operator=(const busy_at_end&) = delete;
    ~busy_at_end() {
      try {
        for (;;) kv::spawn([] { kv::receive<int>(); });  // at first it works
      } catch (const std::runtime_error& e) {
        *told = std::string(e.what()).find("shutting down") != std::string::npos;
      }
    }
  };
  {
    kv::runtime runtime({.threads = 2, .shutdown_timeout = 1ms});
    runtime.spawn<busy_at_end>(&went_on);
  }
  CHECK(went_on);
}

TEST_CASE("a process that is born at the very moment when the runtime kills all it has ends with the others" *
          needs_threads) {
  struct mother {
    mother() = default;
    mother(const mother&) = delete;
    mother& operator=(const mother&) = delete;
    ~mother() {
      try {
        for (;;) kv::spawn<blank>();
      } catch (const std::runtime_error&) {
        // the runtime takes no more
      }
    }
  };
  for (int round = 0; round < 50; ++round) {
    kv::runtime runtime({.threads = 4, .shutdown_timeout = 0ms, .on_report = [](const kv::report&) {}});
    for (int i = 0; i < 4; ++i) runtime.spawn<mother>();
  }
}

TEST_CASE("processes that start others as they end do not outlive the runtime") {
  std::atomic<int> ended{0};
  struct phoenix {
    std::atomic<int>* count;
    int lives;
    phoenix(std::atomic<int>* where, int left) : count(where), lives(left) {}
    phoenix(const phoenix&) = delete;
    phoenix& operator=(const phoenix&) = delete;
    ~phoenix() {
      ++*count;
      try {
        if (lives > 0) kv::spawn<phoenix>(count, lives - 1);
      } catch (const std::exception&) {
        // the runtime takes no more
      }
    }
  };
  {
    kv::runtime runtime({.threads = 2});
    for (int i = 0; i < 10; ++i) runtime.spawn<phoenix>(&ended, 3);
  }
  CHECK(ended >= 10);
}

TEST_CASE("a report sink that throws does no harm") {
  std::atomic<int> reported{0};
  kv::runtime runtime({.threads = 2, .on_report = [&](const kv::report&) {
                         ++reported;
                         throw std::runtime_error("no paper");
                       }});
  for (int i = 0; i < 10; ++i) {
    const auto leaf = runtime.spawn<blank_leaf>();
    CHECK_THROWS_AS(inside(leaf, [] { throw std::runtime_error("x"); }), kv::call_error);
    const auto server = runtime.spawn<blank>();
    CHECK_THROWS_AS(inside(server, [] { throw std::runtime_error("x"); }), kv::call_error);
  }
  CHECK(reported == 20);
}

TEST_CASE("processes are listed and counted while they live") {
  kv::runtime runtime({.threads = 1});
  CHECK(runtime.process_count() == 0);
  CHECK(runtime.processes().empty());
  const auto a = runtime.spawn<blank>();
  const auto b = runtime.spawn<blank_leaf>();
  CHECK(runtime.process_count() == 2);
  CHECK(runtime.processes() == std::vector<kv::pid>{a, b});
}

}  // namespace runtime_test
