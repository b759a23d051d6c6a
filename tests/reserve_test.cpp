// Promises under test: where processes hold every stack, supervisors and what they start go on with the reserve, and no
// other process gets any of it; who is told that there is no stack has left nothing behind.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <kv/kv.hpp>
#include <kv/testing.hpp>

#include "children.hpp"
#include "cues.hpp"
#include "reports.hpp"
#include "servers.hpp"

namespace reserve_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

kv::runtime_options few_stacks(reports& seen, std::size_t reserved = 4) {
  return {.threads = 1, .max_stacks = 2, .reserved_stacks = reserved, .on_report = seen.sink()};
}

/// Processes that hold every stack there is for processes.
class crowd {
 public:
  explicit crowd(kv::runtime& home, probe& p, std::size_t size = 2) {
    for (std::size_t i = 0; i < size; ++i) {
      all_.push_back(home.spawn([to = p.id()] {
        kv::send(to, true);
        kv::receive<go_on>();
      }));
      p.expect<bool>();
    }
  }
  const std::vector<kv::pid>& all() const { return all_; }

 private:
  std::vector<kv::pid> all_;
};

/// Tells whether a process can wait now. A call cannot be made without.
bool can_wait(kv::runtime& home, probe& p) {
  const auto callee = home.spawn<blank>();
  const auto one = home.spawn([to = p.id(), callee] {
    try {
      callee.call([](blank&) {});
      kv::send(to, std::string("waited"));
    } catch (const kv::out_of_stacks&) {
      kv::send(to, std::string("refused"));
    }
  });
  p.monitor(one);
  const bool result = p.expect<std::string>() == "waited";
  p.expect_down(one);
  kill_and_await(home, callee);
  return result;
}

/// Many depend on it.
struct essential {
  static constexpr bool reserved_stack = true;
  void wait(kv::pid to) {
    kv::send(to, true);
    kv::receive<go_on>();
    kv::receive<go_on>();
    kv::send(to, finished{});
  }
};
struct derived_from_essential : essential {};

/// Waits while it starts, as those do that ask another for what they need.
class asking_child : public child {
 public:
  asking_child(kv::pid test, const std::string& id, const kv::ref<blank>& other) : child(test, id) {
    other.call([](blank&) {});
  }
};

struct counter {
  int calls = 0;
  int count() { return ++calls; }
};

}  // namespace

TEST_CASE("a supervisor restarts what has died while processes hold every stack") {
  reports seen;
  kv::runtime runtime(few_stacks(seen));
  probe p(runtime);
  const auto s = supervise(runtime, {spec_of(p, "a")}, {}, 100);
  auto who = p.expect<started>().who;
  const crowd others(runtime, p);
  CHECK_FALSE(can_wait(runtime, p));
  for (int i = 0; i < 10; ++i) {
    kill_and_await(runtime, who);
    p.expect<stopped>();
    who = p.expect<started>().who;
  }
  CHECK(info_of(s, "a").who == who);
  CHECK_FALSE(can_wait(runtime, p));
  CHECK(seen.all<kv::give_up_report>().empty());
}

TEST_CASE("a child may wait while its supervisor starts it, and not afterwards") {
  reports seen;
  kv::runtime runtime(few_stacks(seen));
  probe p(runtime);
  const auto s = runtime.spawn<kv::dynamic_supervisor>(kv::dynamic_supervisor_options{.max_restarts = 0});
  const auto other = runtime.spawn<blank>();
  const crowd others(runtime, p);
  const auto test = p.id();
  const auto added = s.call([=](kv::dynamic_supervisor& d) {
    return d.start_child(kv::worker("a", [=] { return kv::spawn_link<asking_child>(test, "a", other).id(); }));
  });
  REQUIRE(added.who);
  CHECK(p.expect<started>().who == added.who);
  const auto child = runtime.as<asking_child>(added.who);
  REQUIRE(child);
  CHECK(child->call([other](asking_child&) {
    try {
      other.call([](blank&) {});
      return false;
    } catch (const kv::out_of_stacks&) {
      return true;
    }
  }));
}

TEST_CASE("a tree serves while processes hold every stack") {
  reports seen;
  kv::runtime runtime(few_stacks(seen));
  probe p(runtime);
  const auto tree = kv::start_tree(runtime);
  tree.registry.create("shopping").call(&kv::bucket::put, "milk", "3");
  const crowd others(runtime, p);
  for (int i = 0; i < 10; ++i) {
    const auto b = tree.registry.create("bucket-" + std::to_string(i));
    kill_and_await(runtime, b);
  }
  const auto registry = runtime.whereis("kv.registry");
  REQUIRE(registry);
  kill_and_await(runtime, *registry);
  REQUIRE(runtime.await_name("kv.registry"));
  CHECK(tree.registry.create("shopping").call(&kv::bucket::get, "milk") == "3");
  CHECK(tree.root.alive());
}

TEST_CASE("a class that many depend on waits on the reserve, and gives it back") {
  reports seen;
  kv::runtime runtime(few_stacks(seen, 1));
  probe p(runtime);
  const auto one = runtime.spawn<essential>();
  const auto other = runtime.spawn<derived_from_essential>();
  const crowd others(runtime, p);
  for (int i = 0; i < 10; ++i) {
    for (const kv::pid who : {one.id(), other.id()}) {
      runtime.as<essential>(who) ? one.cast(&essential::wait, p.id())
                                 : other.cast([to = p.id()](derived_from_essential& e) { e.wait(to); });
      p.expect<bool>();
      CHECK_FALSE(can_wait(runtime, p));
      runtime.send(who, go_on{});
      CHECK_FALSE(can_wait(runtime, p));
      runtime.send(who, go_on{});
      p.expect<finished>();
    }
  }
}

TEST_CASE("the reserve has an end, too") {
  reports seen;
  kv::runtime runtime(few_stacks(seen, 1));
  probe p(runtime);
  const auto first = runtime.spawn<essential>();
  const auto second = runtime.spawn<essential>();
  const crowd others(runtime, p);
  first.cast(&essential::wait, p.id());
  p.expect<bool>();
  p.monitor(second);
  second.cast(&essential::wait, p.id());
  CHECK(p.expect_down(second).reason.text().find("max_stacks") != std::string::npos);
  // It is there again when who had it is dead.
  kill_and_await(runtime, first);
  const auto third = runtime.spawn<essential>();
  p.expect<bool>();  // the second one's
  third.cast(&essential::wait, p.id());
  p.expect<bool>();
  for (int i = 0; i < 2; ++i) runtime.send(third, go_on{});
  p.expect<finished>();
}

TEST_CASE("stacks that are free again are everybody's, whoever used the reserve meanwhile") {
  reports seen;
  kv::runtime runtime(few_stacks(seen, 1));
  probe p(runtime);
  const auto e = runtime.spawn<essential>();
  for (int round = 0; round < 5; ++round) {
    const crowd others(runtime, p);
    e.cast(&essential::wait, p.id());
    p.expect<bool>();
    for (const auto who : others.all()) kill_and_await(runtime, who);
    const crowd successors(runtime, p);
    CHECK_FALSE(can_wait(runtime, p));
    for (int i = 0; i < 2; ++i) runtime.send(e, go_on{});
    p.expect<finished>();
    CHECK_FALSE(can_wait(runtime, p));
    for (const auto who : successors.all()) kill_and_await(runtime, who);
  }
}

TEST_CASE("who cannot wait for its child has no child, and the name is free") {
  reports seen;
  kv::runtime runtime(few_stacks(seen));
  probe p(runtime);
  const crowd others(runtime, p);
  const auto before = runtime.processes().size();
  const auto parent = runtime.spawn([to = p.id()] {
    int refused = 0;
    const auto attempt = [&](auto start) {
      try {
        start();
      } catch (const kv::out_of_stacks&) {
        ++refused;
      }
    };
    attempt([] { kv::spawn<blank>(); });
    attempt([] { kv::spawn_link<blank>(); });
    attempt([] { kv::spawn_link_named<blank>("a name"); });
    attempt([] { kv::spawn_monitor<blank>(); });
    kv::send(to, refused);
  });
  p.monitor(parent);
  CHECK(p.expect<int>() == 4);
  p.expect_down(parent);
  CHECK_FALSE(runtime.whereis("a name"));
  CHECK(runtime.processes().size() == before);
  CHECK(seen.all<kv::crash_report>().empty());
}

TEST_CASE("a call that cannot be waited for is not made") {
  reports seen;
  kv::runtime runtime(few_stacks(seen));
  probe p(runtime);
  const auto callee = runtime.spawn<counter>();
  const crowd others(runtime, p);
  runtime.spawn([to = p.id(), callee] {
    try {
      callee.call(&counter::count);
    } catch (const kv::out_of_stacks&) {
      kv::send(to, true);
    }
  });
  CHECK(p.expect<bool>());
  CHECK(callee.call(&counter::count) == 1);
}

TEST_CASE("who waits already can go on waiting, whatever comes in between") {
  reports seen;
  kv::runtime runtime(few_stacks(seen, 1));
  probe p(runtime);
  const auto e = runtime.spawn<essential>();
  const crowd one(runtime, p, 1);
  const auto patient = runtime.spawn([to = p.id()] {
    kv::send(to, true);
    kv::receive<go_on>();
    kv::send(to, finished{});
  });
  p.expect<bool>();
  e.cast(&essential::wait, p.id());
  p.expect<bool>();
  for (int i = 0; i < 10; ++i) {
    runtime.send(patient, i);  // wakes it, and is not what it waits for
    CHECK_FALSE(can_wait(runtime, p));
    runtime.send(e, i);
    CHECK_FALSE(can_wait(runtime, p));
  }
  runtime.send(patient, go_on{});
  p.expect<finished>();
  for (int i = 0; i < 2; ++i) runtime.send(e, go_on{});
  p.expect<finished>();
}

}  // namespace reserve_test
