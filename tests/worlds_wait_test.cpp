// Processes of one runtime that wait for another.
#include <chrono>
#include <stdexcept>
#include <string>

#include <doctest/doctest.h>
#include <kv/kv.hpp>
#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "cues.hpp"
#include "servers.hpp"
#include "threads.hpp"
#include "worlds.hpp"

namespace worlds_wait_test {

using namespace std::chrono_literals;
using kv::exit_reason;
using kv::testing::probe;

namespace {

struct said {
  std::string text;
};

}  // namespace

TEST_CASE("processes of two runtimes with one thread each call each other in circles" * needs_threads) {
  pair_of_worlds w;
  const auto in_x = w.x.spawn<asker>();
  const auto also_in_x = w.x.spawn<asker>();
  const auto in_y = w.y.spawn<asker>();
  CHECK(in_x.call(&asker::relay_twice, in_y, also_in_x, 1) == 112);
  CHECK(in_y.call(&asker::relay, in_x, 1) == 12);
}

TEST_CASE("a process that waits for another runtime can be killed" * needs_threads) {
  pair_of_worlds w;
  probe p(w.y);
  const auto owes = w.y.spawn<debtor>();
  owes.call(&debtor::tell, p.id());
  const auto waits = w.x.spawn([owes] { owes.call_for(kv::infinity, &debtor::owe); });
  p.expect<finished>();
  CHECK(kv::testing::kill_and_await(w.x, waits) == exit_reason::killed);
  owes.call(&debtor::pay);
}

TEST_CASE("a runtime ends while its processes wait for another, and the other goes on" * needs_threads) {
  kv::runtime y({.threads = 1});
  probe p(y);
  const auto owes = y.spawn<debtor>();
  owes.call(&debtor::tell, p.id());
  {
    kv::runtime x({.threads = 1});
    x.spawn([owes] { owes.call_for(kv::infinity, &debtor::owe); });
    p.expect<finished>();
  }
  owes.call(&debtor::pay);
}

TEST_CASE("a call into a runtime that ends fails with the reason of its callee" * needs_threads) {
  kv::runtime x({.threads = 1});
  probe p(x);
  {
    kv::runtime y({.threads = 1});
    probe q(y);
    const auto owes = y.spawn<debtor>();
    owes.call(&debtor::tell, q.id());
    x.spawn([owes, to = p.id()] {
      try {
        owes.call_for(kv::infinity, &debtor::owe);
      } catch (const kv::call_error& e) {
        kv::send(to, e.reason());
      }
    });
    q.expect<finished>();
  }
  CHECK(p.expect<exit_reason>() == exit_reason::shutdown);
}

TEST_CASE("a call to another runtime that is not answered in time says so" * needs_threads) {
  pair_of_worlds w;
  probe p(w.x);
  const auto owes = w.y.spawn<debtor>();
  w.x.spawn([owes, to = p.id()] {
    try {
      owes.call_for(1ms, &debtor::owe);
    } catch (const kv::call_error& e) {
      kv::send(to, e.why());
    }
  });
  CHECK(p.expect<kv::call_error::code>() == kv::call_error::code::timeout);
}

TEST_CASE("a process starts a server in another runtime that asks back" * needs_threads) {
  struct curious {
    int learned;
    explicit curious(kv::ref<asker> from) : learned(from.call(&asker::add, 4)) {}
    int ask() const { return learned; }
  };
  pair_of_worlds w;
  probe p(w.x);
  const auto in_x = w.x.spawn<asker>();
  w.x.spawn([&y = w.y, in_x, to = p.id()] {
    const auto started = y.spawn<curious>(in_x);
    kv::send(to, started.call(&curious::ask));
  });
  CHECK(p.expect<int>() == 5);
}

TEST_CASE("a process waits for a name of another runtime" * needs_threads) {
  pair_of_worlds w;
  probe p(w.x);
  w.x.spawn([&y = w.y, to = p.id()] {
    kv::send(to, finished{});
    kv::send(to, y.await_name("late", kv::infinity).value());
  });
  p.expect<finished>();
  w.x.spawn([&y = w.y, to = p.id()] { kv::send(to, said{to_string(y.spawn_named<blank>("late").id())}); });
  CHECK(p.expect<said>().text == to_string(p.expect<kv::pid>()));
}

TEST_CASE("a process waits for room in a mailbox of another runtime, until that ends" * needs_threads) {
  struct narrow {
    narrow() { kv::limit_mailbox(1, kv::when_full::block); }
    void stay(kv::ref<debtor> owes) const { owes.call_for(kv::infinity, &debtor::owe); }
  };
  kv::runtime x({.threads = 1});
  probe p(x);
  for (const bool ends : {false, true}) {
    kv::runtime y({.threads = 1});
    probe q(y);
    const auto full = y.spawn<narrow>();
    const auto owes = y.spawn<debtor>();
    owes.call(&debtor::tell, q.id());
    full.cast(&narrow::stay, owes);
    q.expect<finished>();
    x.spawn([full, to = p.id()] {
      kv::send(to, go_on{});
      for (int i = 0; i < 3; ++i) full.cast([](narrow&) {});
      kv::send(to, finished{});
    });
    p.expect<go_on>();
    const auto beside = x.spawn<asker>();
    CHECK(beside.call(&asker::add, 1) == 2);  // the one thread is free: so the other waits
    if (ends) continue;
    owes.call(&debtor::pay);
    p.expect<finished>();
  }
  p.expect<finished>();  // who waited for room in what has ended goes on, too
}

TEST_CASE("a leaf that calls into another runtime is told that it must not" * needs_threads) {
  pair_of_worlds w;
  const auto leaf = w.x.spawn<blank_leaf>();
  const auto idle = w.y.spawn<blank_leaf>();
  const auto owes = w.y.spawn<debtor>();
  const auto refused = [&](auto function) {
    return leaf.call([function](blank_leaf&) {
      try {
        function();
      } catch (const kv::leaf_blocked&) {
        return true;
      }
      return false;
    });
  };
  CHECK(refused([&] { inside(idle, [] {}); }));
  CHECK(refused([&] { owes.call(&debtor::pay); }));
  CHECK(refused([&] { w.y.spawn<blank>(); }));
  CHECK(refused([&] { static_cast<void>(w.y.await_name("nobody", kv::infinity)); }));
}

TEST_CASE("a process waits for a bucket of another runtime's registry" * needs_threads) {
  pair_of_worlds w;
  probe p(w.x);
  const auto tree = kv::start_tree(w.y);
  w.x.spawn([names = tree.registry, to = p.id()] {
    kv::send(to, finished{});
    kv::send(to, names.await("late", kv::infinity).value().id());
  });
  p.expect<finished>();
  CHECK(w.x.spawn<asker>().call(&asker::add, 1) == 2);  // the one thread is free
  const auto late = tree.registry.create("late");
  CHECK(p.expect<kv::pid>() == late.id());
}

TEST_CASE("a process of a simulation calls a runtime with threads, which cannot answer it later" * needs_threads) {
  kv::simulation x;
  kv::runtime y({.threads = 1});
  probe p(x);
  const auto in_y = y.spawn<asker>();
  x.spawn([in_y, to = p.id()] {
    kv::send(to, in_y.call(&asker::add, 1));
    try {
      in_y.send_request(&asker::add, 1);
    } catch (const std::logic_error&) {
      kv::send(to, finished{});
    }
  });
  CHECK(p.expect<int>() == 2);
  p.expect<finished>();
}

TEST_CASE("a process with a simulation inside it calls what runs there" * needs_threads) {
  kv::runtime x({.threads = 1});
  const auto outside = x.spawn<blank>();
  const auto sum = outside.call([](blank&) {
    kv::simulation inside;
    const auto first = inside.spawn<asker>();
    return first.call(&asker::relay, inside.spawn<asker>(), 1);
  });
  CHECK(sum == 12);
}

}  // namespace worlds_wait_test
