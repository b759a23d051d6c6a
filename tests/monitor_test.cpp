// Promises under test: a down comes exactly once for each monitor, with the owner's tag, after everything that the
// process sent; the dead are answered for at once; a monitor can be taken back, and waited for.
#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/process.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"
#include "servers.hpp"
#include "threads.hpp"

namespace monitor_test {

using namespace std::chrono_literals;
using kv::exit_reason;
using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// Ends a leaf on this thread: when it returns, whoever is to be told of it has been.
void end_now(const kv::ref<blank_leaf>& leaf, const exit_reason& reason = exit_reason::custom("enough")) {
  CHECK_THROWS_AS(inside(leaf, [reason] { kv::exit(reason); }), kv::call_error);
}

}  // namespace

TEST_CASE("a down says who ended, why, which monitor it answers and what the owner gave it") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  const auto ref = p.monitor(a, "milk");
  runtime.exit(a, exit_reason::custom("enough"));
  const auto news = p.expect<kv::down>();
  CHECK(news.from == a.id());
  CHECK(news.reason == exit_reason::custom("enough"));
  CHECK(news.ref == ref);
  CHECK(news.tag == "milk");
}

TEST_CASE("each monitor gets its own down, and one only") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  probe q(runtime);
  const auto a = runtime.spawn<blank_leaf>();
  const std::set refs{p.monitor(a, "x"), p.monitor(a, "x"), p.monitor(a, "x")};
  REQUIRE(refs.size() == 3);
  q.monitor(a, "q");
  end_now(a);
  std::set<kv::monitor_ref> answered;
  for (int i = 0; i < 3; ++i) {
    const auto news = p.expect<kv::down>();
    CHECK(news.tag == "x");
    answered.insert(news.ref);
  }
  CHECK(answered == refs);
  CHECK_FALSE(p.has<kv::down>());
  CHECK(q.expect<kv::down>().tag == "q");
  CHECK_FALSE(q.has<kv::down>());
}

TEST_CASE("monitoring the dead, nobody or a process whose runtime has ended gives noproc at once") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto dead = runtime.spawn<blank_leaf>();
  end_now(dead);
  const auto foreign = [] {
    kv::runtime elsewhere({.threads = 1});
    return elsewhere.spawn<blank_leaf>().id();
  }();
  for (const kv::pid nobody : {dead.id(), foreign, kv::pid{}, kv::pid{1'000'000, 1, dead.id().node}}) {
    const auto ref = p.monitor(nobody, "gone");
    const auto news = p.run([] { return kv::receive_for<kv::down>(0ns); });
    REQUIRE(news);
    CHECK(news->from == nobody);
    CHECK(news->reason == exit_reason::noproc);
    CHECK(news->ref == ref);
    CHECK(news->tag == "gone");
  }
}

TEST_CASE("a monitor that races with the death is answered exactly once") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (int i = 0; i < 2000; ++i) {
    const auto dies = runtime.spawn([] {});
    p.monitor(dies);
    const auto reason = p.expect_down(dies).reason;
    CHECK((reason == exit_reason::normal || reason == exit_reason::noproc));
  }
  CHECK_FALSE(p.has<kv::down>());
}

TEST_CASE("no down comes after demonitor") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn<blank_leaf>();
  const auto ref = p.monitor(a);
  const auto other = p.monitor(a);
  p.run([ref] { kv::demonitor(ref); });
  end_now(a);
  CHECK(p.expect<kv::down>().ref == other);
  CHECK_FALSE(p.has<kv::down>());
}

TEST_CASE("no down comes after demonitor, though the death was first") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn<blank_leaf>();
  const auto ref = p.monitor(a);
  end_now(a);  // the probe has not looked at its mailbox yet
  p.run([ref] { kv::demonitor(ref); });
  CHECK_FALSE(p.has<kv::down>());
}

TEST_CASE("demonitor with flush removes a down that has come, and only that one") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn<blank_leaf>();
  const auto stays = p.monitor(a, "stays");
  const auto goes = p.monitor(a, "goes");
  end_now(a);
  CHECK_FALSE(p.has<int>());  // looks, and so takes both downs into the queue
  p.run([goes] { kv::demonitor(goes, true); });
  CHECK(p.expect<kv::down>().ref == stays);
  CHECK_FALSE(p.has<kv::down>());
}

TEST_CASE("demonitor without flush leaves a down that has come") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn<blank_leaf>();
  const auto ref = p.monitor(a);
  end_now(a);
  CHECK_FALSE(p.has<int>());
  p.run([ref] { kv::demonitor(ref); });
  CHECK(p.expect<kv::down>().ref == ref);
}

TEST_CASE("demonitor of what is no monitor, twice or of another's does nothing") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto other = runtime.spawn<blank_leaf>();
  const auto a = runtime.spawn<blank_leaf>();
  const auto ref = p.monitor(a);
  inside(other, [ref] { kv::demonitor(ref, true); });
  p.run([] { kv::demonitor(kv::monitor_ref{12345}, true); });
  const auto twice = p.monitor(a);
  p.run([twice] {
    kv::demonitor(twice);
    kv::demonitor(twice, true);
  });
  end_now(a);
  CHECK(p.expect<kv::down>().ref == ref);
  CHECK_FALSE(p.has<kv::down>());
}

TEST_CASE("await takes the down of its own monitor and leaves the others") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  const auto b = runtime.spawn<blank>();
  const auto of_a = p.monitor(a);
  const auto of_b = p.monitor(b);
  CHECK_FALSE(p.run([of_a] { return kv::await(of_a, 1ms); }));
  CHECK_FALSE(p.run([of_a] { return kv::await(of_a, 0ns); }));
  a.stop();
  b.stop();
  CHECK(p.run([of_b] { return kv::await(of_b); })->from == b.id());
  CHECK(p.run([of_a] { return kv::await(of_a, kv::testing::patience); })->from == a.id());
}

TEST_CASE("a process that awaits lets others run on its thread" * needs_threads) {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  runtime.spawn([to = kv::pid(p)] {
    const auto other = kv::spawn([] {});
    kv::send(to, kv::await(kv::monitor(other))->reason);
  });
  CHECK(p.expect<exit_reason>() == exit_reason::normal);
}

TEST_CASE_TEMPLATE("everything a process sent arrives before its down, in order", Throws, std::true_type,
                   std::false_type) {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto sender = runtime.spawn([to = kv::pid(p)] {
    kv::receive<bool>();
    for (int i = 0; i < 1000; ++i) kv::send(to, i);
    if (Throws::value) throw std::runtime_error("after the last");
  });
  p.monitor(sender);
  runtime.send(sender, true);
  p.expect_down(sender);
  for (int i = 0; i < 1000; ++i) {
    const auto next = p.run([] { return kv::receive_for<int>(0ns); });
    REQUIRE(next);
    CHECK(*next == i);
  }
}

TEST_CASE("what a destructor sends arrives before the down") {
  struct last_words {
    kv::pid to;
    explicit last_words(kv::pid reader) : to(reader) {}
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;
    ~last_words() { kv::send(to, std::string("farewell")); }
  };
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto a = runtime.spawn<last_words>(p.id());
  p.monitor(a);
  runtime.exit(a, exit_reason::kill);
  p.expect_down(a);
  CHECK(p.has<std::string>());
}
TEST_CASE("what a function captured is destroyed before its down") {
  struct last_words {
    kv::pid to;
    explicit last_words(kv::pid reader) : to(reader) {}
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;
    ~last_words() { kv::send(to, std::string("farewell")); }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto a = runtime.spawn([words = std::make_unique<last_words>(p.id())] { kv::receive<bool>(); });
  p.monitor(a);
  runtime.send(a, true);
  std::string order;
  for (int i = 0; i < 2; ++i) {
    p.run([&] {
      CHECK(kv::receive_for(
          kv::testing::patience, [&](const kv::down&) { order += "down "; },
          [&](const std::string& word) { order += word + ' '; }));
    });
  }
  CHECK(order == "farewell down ");
}

TEST_CASE("a process is dead to everybody when its down is seen") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  for (int i = 0; i < 500; ++i) {
    const auto a = runtime.spawn_named<blank>("milk");
    p.monitor(a);
    runtime.exit(a, exit_reason::kill);
    p.expect_down(a);
    CHECK_FALSE(a.alive());
    CHECK_FALSE(runtime.whereis("milk"));
  }
}

TEST_CASE("processes that watch each other, and themselves, end without harm") {
  reports seen;  // a blank server does not handle a down
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  probe p(runtime);
  const auto a = runtime.spawn<blank>();
  const auto b = runtime.spawn<blank>();
  inside(a, [b] { kv::monitor(b); });
  inside(b, [a] { kv::monitor(a); });
  inside(a, [] { kv::monitor(kv::self()); });
  p.monitor(a);
  p.monitor(b);
  runtime.exit(a, exit_reason::kill);
  runtime.exit(b, exit_reason::kill);
  p.expect_down(a);
  p.expect_down(b);
}

TEST_CASE("one owner hears of ten thousand deaths") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  std::vector<kv::ref<blank_leaf>> all;
  for (int i = 0; i < 10'000; ++i) {
    all.push_back(runtime.spawn<blank_leaf>());
    p.monitor(all.back(), std::to_string(i));
  }
  for (const auto& each : all) runtime.exit(each, exit_reason::kill);
  std::set<std::string> tags;
  for (std::size_t i = 0; i < all.size(); ++i) tags.insert(p.expect<kv::down>().tag);
  CHECK(tags.size() == all.size());
  CHECK_FALSE(p.has<kv::down>());
}

TEST_CASE("only a process can monitor") {
  CHECK_THROWS_AS(kv::monitor(kv::pid{}), std::logic_error);
  CHECK_THROWS_AS(kv::demonitor({}), std::logic_error);
  CHECK_THROWS_AS(static_cast<void>(kv::await({})), std::logic_error);
}

}  // namespace monitor_test
