// Promises under test: a table outlives its owner, whatever he dies of, when his heir lives; the heir has it before
// anybody learns of the death; and no row moves.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <kv/table.hpp>
#include <kv/testing.hpp>

#include "owners.hpp"
#include "reports.hpp"
#include "threads.hpp"

namespace table_heir_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// What a probe hears of a death, in order: `transfer`, `down`, `exit`.
std::vector<std::string> hear(probe& p, std::size_t count) {
  std::vector<std::string> result;
  while (result.size() < count) {
    p.run([&] {
      kv::receive([&](const transfer&) { result.emplace_back("transfer"); },
                  [&](const kv::down&) { result.emplace_back("down"); },
                  [&](const kv::exit_signal&) { result.emplace_back("exit"); });
    });
  }
  return result;
}

struct owner_on_a_leaf {
  static constexpr bool leaf = true;
  void fail() { throw std::runtime_error("no flour"); }
};

/// Cannot be copied a second time.
struct brittle {
  std::shared_ptr<int> copies_left;
  explicit brittle(int copies) : copies_left(std::make_shared<int>(copies)) {}
  brittle(const brittle& other) : copies_left(other.copies_left) {
    if ((*copies_left)-- == 0) throw std::runtime_error("no flour");
  }
  brittle(brittle&&) = default;
  brittle& operator=(const brittle&) = default;
  brittle& operator=(brittle&&) = default;
  ~brittle() = default;
};

/// Says who inherits when it is about to end.
struct late {
  numbers table;
  kv::pid next;
  using messages = kv::message_types<transfer>;
  void handle(const transfer&) {}
  void on_exit(const kv::exit_reason&) { table.set_heirs({next}, std::string("late")); }
};

/// Has room for one message, and passes on what it is told.
struct limited {
  kv::pid reader;
  explicit limited(kv::pid to) : reader(to) { kv::limit_mailbox(1); }
  using messages = kv::message_types<transfer>;
  void handle(const transfer& t) { kv::send(reader, t); }
};

}  // namespace

// One heir ----------------------------------------------------------------------------------------------------------

TEST_CASE("whatever the owner dies of, the heir has the table before he hears of it") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  const std::vector<void (*)(blank&)> ends{
      [](blank&) { kv::exit(kv::exit_reason::normal); }, [](blank&) { kv::exit(kv::exit_reason::shutdown); },
      [](blank&) { kv::exit(kv::exit_reason::custom("tired")); }, [](blank&) { throw std::runtime_error("no flour"); },
      [](blank&) { kv::exit(kv::self(), kv::exit_reason::kill); }};
  for (const auto end : ends) {
    probe p(runtime);
    const auto owner = runtime.spawn<blank>();
    const auto t = make_table(runtime, {.owner = owner, .heirs = {p.id()}}, std::string("yours"));
    p.monitor(owner);
    p.run([&] { kv::link(owner); });
    owner.cast(end);
    CHECK(hear(p, 3) == std::vector<std::string>{"transfer", "exit", "down"});
    CHECK(t.owner() == p.id());
    CHECK(is_whole(t));
  }
}

TEST_CASE("the heir is told which table, whose it was, and what the owner had to say") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {p.id()}}, "yours");
  kill_and_await(runtime, owner);
  const auto told = p.expect<transfer>();
  CHECK(told.table == t);
  CHECK(told.from == owner.id());
  CHECK(told.data == "yours");
}

TEST_CASE("an heir for whom nothing was said owns the table and hears nothing") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {p.id()}});
  kill_and_await(runtime, owner);
  CHECK(t.owner() == p.id());
  CHECK_FALSE(p.has<transfer>());
}

TEST_CASE("without an heir a table goes with its owner, and so it does when every heir is dead") {
  kv::runtime runtime({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  const auto dead = runtime.spawn<blank>();
  dead.stop();
  const auto foreign = elsewhere.spawn<blank>();
  const auto owner = runtime.spawn<blank>();
  const std::vector<std::vector<heir>> none{{}, {dead.id()}, {foreign.id()}, {kv::pid{}}, {owner.id(), owner.id()}};
  for (const auto& heirs : none) {
    const auto dying = runtime.spawn<blank>();
    const auto t =
        make_table(runtime, {.owner = dying, .heirs = heirs == none.back() ? std::vector<heir>{dying.id()} : heirs});
    dying.stop();
    CHECK(is_gone(t));
  }
  CHECK(kv::all_tables(runtime).empty());
}

TEST_CASE("who lives in an heir's slot by now does not inherit") {
  kv::runtime runtime({.threads = 1});
  const auto first = runtime.spawn<blank>();
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {first.id()}});
  first.stop();
  kv::ref<blank> next;
  for (int i = 0; i < 10'000 && next.id().slot != first.id().slot; ++i) {
    if (next) next.stop();
    next = runtime.spawn<blank>();
  }
  REQUIRE(next.id().slot == first.id().slot);
  owner.stop();
  CHECK(is_gone(t));
}

TEST_CASE("owners of every kind leave their tables to the heir") {
  kv::runtime runtime({.threads = 1, .on_report = [](const kv::report&) {}});
  probe p(runtime);
  numbers t = make_table(runtime, {.owner = p, .heirs = {p.id()}}, std::string());
  SUBCASE("a leaf that fails on its caller's stack") {
    const auto owner = runtime.spawn<owner_on_a_leaf>();
    p.run([&] { t.give_away(owner); });
    CHECK_THROWS_AS(owner.call(&owner_on_a_leaf::fail), kv::call_error);
  }
  SUBCASE("a leaf that is stopped") {
    const auto owner = runtime.spawn<owner_on_a_leaf>();
    p.run([&] { t.give_away(owner); });
    owner.stop();
  }
  SUBCASE("a function") {
    const auto owner = runtime.spawn([] { kv::receive<transfer>(); });
    p.run([&] { t.give_away(owner); });
  }
  SUBCASE("a function on a thread of its own") {
    const auto owner = runtime.spawn_thread([] { kv::receive<transfer>(); });
    p.run([&] { t.give_away(owner); });
  }
  SUBCASE("a plain thread's stand-in") {
    probe owner(runtime);
    p.run([&] { t.give_away(owner); });
  }
  p.expect<transfer>();
  CHECK(t.owner() == p.id());
  CHECK(is_whole(t));
}

TEST_CASE("who starts with a table and fails leaves it to the heir") {
  struct fails {
    fails(kv::runtime& home, kv::pid heir_of_it) {
      make_table(home, {.name = "shopping", .heirs = {heir_of_it}}, std::string());
      throw std::runtime_error("no flour");
    }
  };
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  CHECK_THROWS_AS(runtime.spawn<fails>(std::ref(runtime), p.id()), kv::start_error);
  CHECK(p.expect<transfer>().table.owner() == p.id());
  CHECK(is_whole(numbers::find(runtime, "shopping").value()));
}

TEST_CASE("somebody who is dying can still say who inherits") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  numbers t = make_table(runtime, {.owner = p});
  const auto owner = runtime.spawn<late>(t, p.id());
  p.run([&] { t.give_away(owner); });
  owner.stop();
  CHECK(p.expect<transfer>().data == "late");
  CHECK(t.owner() == p.id());
}

TEST_CASE("an heir whose mailbox is full is told all the same") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto next = runtime.spawn<limited>(p.id());
  const auto owner = runtime.spawn<blank>();
  const auto t = make_table(runtime, {.owner = owner, .heirs = {next.id()}}, std::string());
  {
    const kv::testing::suspended frozen(runtime, next);
    next.cast([](limited&) {});  // there is room for this one, and no more
    kill_and_await(runtime, owner);
  }
  CHECK(p.expect<transfer>().table == t);
}

TEST_CASE("what a dying owner cannot copy is copied by its heir") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  const auto t = numbers::create(runtime, {.name = "shopping", .owner = owner, .heirs = {p.id()}}, brittle(0));
  kill_and_await(runtime, owner);
  CHECK(t.owner() == p.id());
  CHECK(p.expect<kv::table_transfer<numbers, brittle>>().table == t);
}

TEST_CASE("what neither a dying owner nor its heir can copy is reported, and the heir owns the table") {
  struct unique {
    unique() = default;
    unique(const unique&) { throw std::runtime_error("there is one of it"); }
    unique(unique&&) = default;
    unique& operator=(const unique&) = delete;
    unique& operator=(unique&&) = delete;
    ~unique() = default;
  };
  reports seen;
  kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
  probe p(runtime);
  const auto owner = runtime.spawn<blank>();
  const auto t = numbers::create(runtime, {.name = "shopping", .owner = owner, .heirs = {p.id()}}, unique());
  kill_and_await(runtime, owner);
  CHECK(t.owner() == p.id());
  CHECK_FALSE(p.has<kv::table_transfer<numbers, unique>>());
  CHECK(seen.all<kv::oddity_report>().at(0).what.find("copying it threw") != std::string::npos);
}

}  // namespace table_heir_test
