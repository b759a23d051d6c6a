// Promises under test: a table need not have an owner, and then is not lost by anybody's death; it changes its name
// under everybody's eyes; and what nobody has cared for is reported at the end.
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

namespace table_ownerless_test {

using kv::testing::kill_and_await;
using kv::testing::probe;

namespace {

/// A value that notices when it is destroyed, and looks at the directory then.
struct curious {
  const kv::runtime* home = nullptr;
  std::shared_ptr<std::size_t> seen = nullptr;
  curious() = default;
  curious(const kv::runtime& where, std::shared_ptr<std::size_t> to) : home(&where), seen(std::move(to)) {}
  curious(const curious&) = default;
  curious(curious&&) = default;
  curious& operator=(const curious&) = default;
  curious& operator=(curious&&) = default;
  ~curious() {
    if (seen) *seen = kv::all_tables(*home).size() + 1;
  }
};

}  // namespace

// Without an owner --------------------------------------------------------------------------------------------------

TEST_CASE("an ownerless table is made by anybody and lives until anybody drops it") {
  kv::runtime runtime({.threads = 1});
  numbers t = numbers::create(runtime, {.name = "shopping", .access = table_access::public_, .ownerless = true});
  CHECK_FALSE(t.owner());
  CHECK_FALSE(t.info().owner);
  t.insert("milk", 3);
  runtime.spawn<blank>().call([t](blank&) mutable { CHECK(t.lookup("milk") == 3); });
  CHECK_THROWS_WITH_AS(numbers::create(runtime, {.name = "shopping", .ownerless = true}),
                       "table shopping exists, without an owner", kv::table_error);
  CHECK(refusal([&] { t.rename("x"); }) == code::access);
  CHECK(refusal([&] { t.set_heirs({}); }) == code::access);
  CHECK(refusal([&] { t.give_away(runtime.spawn<blank>()); }) == code::access);
  t.drop();
  CHECK(is_gone(t));
  CHECK_FALSE(numbers::find(runtime, "shopping"));
  CHECK(refusal([&] { t.drop(); }) == code::no_table);
}

TEST_CASE("ownerless and owned is a contradiction") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  CHECK_THROWS_AS(numbers::create(runtime, {.owner = p, .ownerless = true}), std::invalid_argument);
  CHECK(kv::all_tables(runtime).empty());
}

TEST_CASE("whoever adopts an ownerless table owns it like any other") {
  kv::runtime runtime({.threads = 1});
  kv::runtime elsewhere({.threads = 1});
  const auto a = runtime.spawn<blank>(), b = runtime.spawn<blank>();
  numbers t = numbers::create(runtime, {.ownerless = true});
  CHECK_THROWS_AS(t.adopt(), std::logic_error);  // a plain thread cannot
  probe foreigner(elsewhere);
  CHECK(foreigner.run([&] { return refusal([&] { t.adopt(); }); }) == code::no_owner);
  a.call([t](blank&) mutable {
    t.adopt();
    t.insert("milk", 3);
  });
  CHECK(t.owner() == a.id());
  const auto adopt = [t](blank&) mutable { return refusal([&] { t.adopt(); }); };
  CHECK(a.call(adopt) == code::already_owner);
  CHECK(b.call(adopt) == code::access);
  a.call([t](blank&) mutable { t.set_heirs({"heir"}); });
  a.stop();
  CHECK(is_whole(t));
  CHECK(b.call(adopt) == code::access);  // somebody else is awaited
  const auto next = runtime.spawn_named<blank>("heir");
  next.call([t](blank&) mutable { t.set_heirs({}); });
  next.stop();
  CHECK(b.call(adopt) == code::no_table);
}

// Renaming ----------------------------------------------------------------------------------------------------------

TEST_CASE("a table is found by the name that it has now") {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  auto t = make_table(runtime, {.name = "shopping", .owner = p});
  const auto other = make_table(runtime, {.name = "wishes", .owner = p});
  p.run([&] {
    CHECK(refusal([&] { t.rename("wishes"); }) == code::name_taken);
    CHECK(numbers::find(runtime, "shopping") == t);
    CHECK(numbers::find(runtime, "wishes") == other);
    t.rename("errands");
    CHECK(t.info().name == "errands");
    CHECK(numbers::find(runtime, "errands") == t);
    CHECK_FALSE(numbers::find(runtime, "shopping"));
    t.rename("errands");
    CHECK(numbers::find(runtime, "errands") == t);
    make_table(runtime, {.name = "shopping", .owner = p});  // that is free again
    t.rename("");
    CHECK_FALSE(numbers::find(runtime, "errands"));
    CHECK_FALSE(numbers::find(runtime, ""));
    t.rename("errands");
    CHECK(numbers::find(runtime, "errands") == t);
  });
  CHECK_THROWS_WITH_AS(t.rename("mine"), doctest::Contains("may not rename table errands"), kv::table_error);
  CHECK(is_whole(t));
  p.run([&] { t.drop(); });
  CHECK(p.run([&] { return refusal([&] { t.rename("x"); }); }) == code::no_table);
  CHECK_THROWS_WITH_AS(t.info(), "table errands was dropped", kv::table_error);
  CHECK_FALSE(numbers::find(runtime, "errands"));
}

// The end -----------------------------------------------------------------------------------------------------------

TEST_CASE("what is left of ownerless tables, and of those that wait in vain, is reported when the runtime ends") {
  reports seen;
  const auto token = std::make_shared<int>();
  {
    kv::runtime runtime({.threads = 1, .on_report = seen.sink()});
    auto t = kv::table<int, std::shared_ptr<int>>::create(
        runtime, {.name = "left", .access = table_access::public_, .ownerless = true});
    t.insert(1, token);
    t.insert(2, token);
    const auto owner = runtime.spawn<blank>();
    make_table(runtime, {.name = "waits", .owner = owner, .heirs = {"b", "a"}}, std::string());
    owner.stop();
    numbers::create(runtime, {.ownerless = true});
    numbers::create(runtime, {.name = "dropped", .ownerless = true}).drop();
    const auto until_the_end = runtime.spawn<blank>();
    make_table(runtime, {.name = "owned", .owner = until_the_end, .heirs = {"a"}}, std::string());
  }
  CHECK(token.use_count() == 1);
  const auto all = seen.all<kv::forgotten_report>();
  REQUIRE(all.size() == 3);
  CHECK(all[0].name == "left");
  CHECK(all[0].rows == 2);
  CHECK(all[0].heirs.empty());
  CHECK(all[1].name == "waits");
  CHECK(all[1].rows == 1);
  CHECK(all[1].heirs == std::vector<std::string>{"a", "b"});
  CHECK(all[2].name.empty());
  CHECK(all[2].rows == 0);
}

TEST_CASE("reports of forgotten tables read well") {
  const auto text = [](const kv::report& entry) { return (std::ostringstream() << entry).str(); };
  CHECK(text(kv::forgotten_report{.name = "calls", .rows = 3}) == "kv: table calls was forgotten, with 3 rows");
  CHECK(text(kv::forgotten_report{.rows = 1, .heirs = {"a", "b"}}) ==
        "kv: a table without a name was forgotten, with 1 row\n    waited for:   a, b");
}

TEST_CASE("a runtime ends when heirs are heirs of each other") {
  kv::runtime runtime({.threads = 1});
  std::vector<heir> chain;
  for (int i = 0; i < 10; ++i) {
    const auto name = std::to_string(i);
    chain.emplace_back(name);
    chain.emplace_back(runtime.spawn_named<blank>(name).id());
  }
  make_table(runtime, {.name = "shopping", .owner = runtime.spawn<blank>(), .heirs = chain}, std::string());
}

TEST_CASE("rows, and what is said to heirs, are destroyed when nobody holds the directory") {
  kv::runtime runtime({.threads = 1});
  const auto seen = std::make_shared<std::size_t>();
  using table = kv::table<int, curious>;
  const auto make = [&](kv::pid owner, std::vector<heir> heirs) {
    auto t = table::create(runtime, {.access = table_access::public_, .owner = owner, .heirs = std::move(heirs)},
                           curious(runtime, seen));
    t.insert(1, curious(runtime, seen));
    *seen = 0;
    return t;
  };
  const auto owner = runtime.spawn<blank>();
  SUBCASE("dropped by a death") {
    make(owner, {});
    owner.stop();
    CHECK(*seen == 1);
  }
  SUBCASE("dropped") {
    owner.call([t = make(owner, {})](blank&) mutable { t.drop(); });
    CHECK(*seen == 1);
  }
  SUBCASE("told to somebody else") {
    owner.call([t = make(owner, {})](blank&) mutable { t.set_heirs({}); });
    CHECK(*seen == 2);
  }
  SUBCASE("waiting") {
    auto t = make(owner, {"heir"});
    owner.stop();
    runtime.spawn_named<blank>("heir").stop();
    CHECK(*seen == 2);
  }
}

}  // namespace table_ownerless_test
