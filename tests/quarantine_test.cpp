// Promises under test: what a validator finds fault with goes to the quarantine, with the reason, and is reported once;
// nothing else does; and wherever a process is killed that does this, every row is in one of the two tables.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <kv/explore.hpp>
#include <kv/quarantine.hpp>
#include <kv/testing.hpp>

#include "exploring.hpp"
#include "refusal.hpp"
#include "reports.hpp"
#include "servers.hpp"

namespace quarantine_test {

namespace {

using kv::testing::probe;
using code = kv::table_error::code;
using stock = kv::table<std::string, int>;
using bad_stock = kv::quarantine_table<std::string, int>;
using reason = std::optional<std::string>;

reason less_than_nothing(const std::string&, int count) {
  return count < 0 ? reason("less than nothing") : std::nullopt;
}

/// A table with good and bad rows, and a quarantine for these.
struct shop {
  reports seen;
  kv::runtime runtime{{.threads = 1, .on_report = seen.sink()}};
  probe p{runtime};
  stock rows = stock::create(runtime, {.name = "stock", .owner = p});
  bad_stock bad = bad_stock::create(runtime, {.name = "bad stock", .owner = p});

  shop() {
    p.run([&] {
      rows.insert("milk", 3);
      rows.insert("eggs", -12);
      rows.insert("bread", 0);
      rows.insert("flour", -1);
    });
  }
  template <class F>
  std::size_t clean(F validate) {
    return p.run([&] { return kv::quarantine_rows(rows, validate, bad); });
  }
  std::map<std::string, int> good() const {
    const auto all = rows.to_vector();
    return {all.begin(), all.end()};
  }
  /// Returns what was reported, by key: the reasons.
  std::map<std::string, std::vector<std::string>> reported() const {
    std::map<std::string, std::vector<std::string>> result;
    for (const auto& r : seen.all<kv::quarantine_report>()) result[r.key].push_back(r.reason);
    return result;
  }
};

const std::map<std::string, int> usable{{"milk", 3}, {"bread", 0}};

struct opaque {
  int number = 0;
  friend bool operator==(const opaque&, const opaque&) = default;
};

}  // namespace

}  // namespace quarantine_test

template <>
struct std::hash<quarantine_test::opaque> {
  std::size_t operator()(const quarantine_test::opaque& o) const noexcept { return static_cast<std::size_t>(o.number); }
};

namespace quarantine_test {

TEST_CASE("bad rows go to the quarantine with the reason, and good ones stay") {
  shop s;
  const auto before = s.runtime.now();
  CHECK(s.clean(less_than_nothing) == 2);
  CHECK(s.good() == usable);
  REQUIRE(s.bad.size() == 2);
  const auto eggs = s.bad.lookup("eggs").value();
  CHECK(eggs.value == -12);
  CHECK(eggs.reason == "less than nothing");
  CHECK(eggs.when >= before);
  CHECK(eggs.when <= s.runtime.now());
  CHECK(s.bad.lookup("flour")->value == -1);
}

TEST_CASE("each row in quarantine is reported once: who, which table, which key, why") {
  shop s;
  s.clean(less_than_nothing);
  CHECK(s.clean(less_than_nothing) == 0);
  CHECK(s.reported() == std::map<std::string, std::vector<std::string>>{{"eggs", {"less than nothing"}},
                                                                        {"flour", {"less than nothing"}}});
  for (const auto& r : s.seen.all<kv::quarantine_report>()) {
    CHECK(r.who == s.p.id());
    CHECK(r.table == "stock");
  }
}

TEST_CASE("a report says it in a line") {
  std::ostringstream text;
  text << kv::report(kv::quarantine_report{{}, "stock", "eggs", "less than nothing"}) << '\n'
       << kv::report(kv::quarantine_report{{}, "", "eggs", "less than nothing"});
  CHECK(text.str() ==
        "kv: process <none> put row eggs of table stock into quarantine: less than nothing\n"
        "kv: process <none> put row eggs of a table without a name into quarantine: less than nothing");
}

TEST_CASE("a validator that finds no fault, or all, or has nothing to look at") {
  shop s;
  CHECK(s.clean([](const auto&, int) -> reason { return std::nullopt; }) == 0);
  CHECK(s.rows.size() == 4);
  CHECK(s.clean([](const auto&, int) -> reason { return ""; }) == 4);  // an empty reason is one
  CHECK(s.rows.size() == 0);
  CHECK(s.bad.size() == 4);
  CHECK(s.clean([](const auto&, int) -> reason { return ""; }) == 0);
}

TEST_CASE("what a validator throws is a reason") {
  shop s;
  CHECK(s.clean([](const std::string& name, int count) -> reason {
    if (count < -1) throw std::out_of_range("tripped over " + name);
    if (count < 0) throw 7;
    return std::nullopt;
  }) == 2);
  CHECK(s.good() == usable);
  CHECK(s.bad.lookup("eggs")->reason == "tripped over eggs");
  CHECK(s.bad.lookup("flour")->reason == "unknown exception");
}

TEST_CASE("want of memory that passes is no reason") {
  shop s;
  int asked = 0;
  CHECK(s.clean([&](const auto&, int count) -> reason {
    if (++asked == 1) throw std::bad_alloc();
    return count < 0 ? reason("less than nothing") : std::nullopt;
  }) == 2);
  CHECK(asked == 5);  // one row twice
  CHECK(s.good() == usable);
}

TEST_CASE("a row that always asks for more memory than there is goes to quarantine, and the others are looked at") {
  shop s;
  CHECK(s.clean([](const auto&, int count) -> reason {
    if (count < 0) throw std::bad_alloc();
    return std::nullopt;
  }) == 2);
  CHECK(s.good() == usable);
  CHECK(s.bad.lookup("eggs")->reason == "std::bad_alloc");
}

TEST_CASE("a process that is killed while its validator waits ends, and the row stays") {
  shop s;
  auto rows = stock::create(s.runtime, {.name = {}, .access = kv::table_access::public_, .owner = s.p});
  auto bad = bad_stock::create(s.runtime, {.name = {}, .access = kv::table_access::public_, .owner = s.p});
  rows.insert("eggs", -12);
  const auto [adopter, watch] = s.p.run([&] {
    return kv::spawn_monitor([=, to = s.p.id()] {
      kv::quarantine_rows(
          rows,
          [to](const std::string&, int) -> reason {
            kv::send(to, kv::self());
            kv::receive<int>();
            return "never said";
          },
          bad);
    });
  });
  s.p.expect<kv::pid>();
  s.runtime.exit(adopter, kv::exit_reason::kill);
  CHECK(s.p.expect_down(adopter).reason == kv::exit_reason::killed);
  CHECK(rows.lookup("eggs") == -12);
  CHECK(bad.size() == 0);
}

TEST_CASE("a row that is written while it is judged stays as it was written") {
  shop s;
  CHECK(s.clean([&](const std::string& name, int count) {
    if (name == "eggs") s.rows.insert("eggs", 12);
    return less_than_nothing(name, count);
  }) == 1);
  CHECK(s.rows.lookup("eggs") == 12);
  CHECK(s.clean(less_than_nothing) == 0);
}

TEST_CASE("a row that was put into quarantine, and not removed before the kill, is removed without a second report") {
  shop s;
  s.p.run([&] { s.bad.insert("eggs", {-12, "an older reason", {}}); });
  CHECK(s.clean(less_than_nothing) == 2);
  CHECK(s.good() == usable);
  CHECK(s.bad.lookup("eggs")->reason == "an older reason");
  CHECK(s.reported().count("eggs") == 0);
  CHECK(s.reported().count("flour") == 1);
}

TEST_CASE("another bad value of a key takes the place of the last one, and is reported") {
  shop s;
  s.clean(less_than_nothing);
  s.p.run([&] { s.rows.insert("eggs", -13); });
  CHECK(s.clean(less_than_nothing) == 1);
  CHECK(s.bad.lookup("eggs")->value == -13);
  CHECK(s.reported()["eggs"].size() == 2);
}

TEST_CASE("a row is moved alone, if it still holds that value") {
  shop s;
  std::vector<std::string> noted;
  const auto note = [&](const std::string& key, int value, const std::string& why) {
    CHECK(s.bad.lookup(key)->value == value);
    noted.push_back(key + ": " + why + (s.rows.lookup(key) == value ? ", still there" : ", gone"));
  };
  s.p.run([&] {
    CHECK(kv::quarantine_row(s.rows, std::string("milk"), 3, "sour", s.bad, note));
    CHECK_FALSE(kv::quarantine_row(s.rows, std::string("bread"), 5, "there were never 5", s.bad, note));
    CHECK(kv::quarantine_row(s.rows, std::string("eggs"), -12, "cracked", s.bad));
  });
  CHECK(noted == std::vector<std::string>{"milk: sour, still there", "bread: there were never 5, gone"});
  CHECK(s.good() == std::map<std::string, int>{{"bread", 0}, {"flour", -1}});
}

TEST_CASE("ordered tables, and keys that cannot be printed") {
  shop s;
  s.p.run([&] {
    auto ordered = kv::table<int, opaque, kv::ordered_set>::create();
    auto bad_ordered = kv::quarantine_table<int, opaque>::create();
    for (int i = 0; i < 1000; ++i) ordered.insert(i, {i});
    const auto odd = [](int key, const opaque&) { return key % 2 == 1 ? reason("odd") : std::nullopt; };
    CHECK(kv::quarantine_rows(ordered, odd, bad_ordered) == 500);
    CHECK(ordered.size() == 500);
    CHECK(bad_ordered.lookup(501)->value == opaque{501});

    auto unprintable = kv::table<opaque, int>::create();
    auto bad_unprintable = kv::quarantine_table<opaque, int>::create();
    unprintable.insert({7}, 7);
    CHECK(kv::quarantine_rows(unprintable, [](const opaque&, int) { return reason("seven"); }, bad_unprintable) == 1);
  });
  const auto last = s.seen.all<kv::quarantine_report>().back();
  CHECK(last.key.empty());
  CHECK(last.reason == "seven");
}

TEST_CASE("who may not write to both tables moves nothing") {
  shop s;
  const auto other = s.runtime.spawn<blank>();
  inside(other, [&] {
    CHECK(refusal([&] { kv::quarantine_rows(s.rows, less_than_nothing, s.bad); }) == code::access);
    auto mine = bad_stock::create();
    CHECK(refusal([&] { kv::quarantine_rows(s.rows, less_than_nothing, mine); }) == code::access);
    auto rows = stock::create();
    rows.insert("eggs", -12);
    CHECK(refusal([&] { kv::quarantine_rows(rows, less_than_nothing, s.bad); }) == code::access);
    CHECK(rows.size() == 1);
  });
  CHECK(s.rows.size() == 4);
  CHECK(s.bad.size() == 0);
}

TEST_CASE("a bag's bad objects go to a bag, each of them, and those of a set may") {
  shop s;
  s.p.run([&] {
    auto objects = kv::table<std::string, int, kv::bag>::create();
    auto bad_objects = kv::quarantine_table<std::string, int, kv::bag>::create();
    for (const int count : {1, -1, 2, -2}) objects.insert("eggs", count);
    CHECK(kv::quarantine_rows(objects, less_than_nothing, bad_objects) == 2);
    CHECK(objects.lookup("eggs") == std::vector{1, 2});
    const auto away = bad_objects.lookup("eggs");
    REQUIRE(away.size() == 2);
    CHECK(away[0].value == -1);
    CHECK(away[1].value == -2);
    CHECK(kv::quarantine_rows(objects, less_than_nothing, bad_objects) == 0);

    auto all_bad = kv::quarantine_table<std::string, int, kv::bag>::create();
    kv::quarantine_rows(s.rows, less_than_nothing, all_bad);
    s.rows.insert("eggs", -13);
    kv::quarantine_rows(s.rows, less_than_nothing, all_bad);
    CHECK(all_bad.lookup("eggs").size() == 2);
  });
}

TEST_SUITE_BEGIN("in simulation");

namespace {

/// Somebody who takes over the stock, and is restarted by the test when he dies.
void take_over(kv::simulation& world, const stock& rows, const bad_stock& bad) {
  const auto adopter = world.spawn_named<blank>("adopter");
  inside(adopter, [&] { kv::quarantine_rows(rows, less_than_nothing, bad); });
}

void check_nothing_lost(const stock& rows, const bad_stock& bad) {
  for (int i = 0; i < 5; ++i) {
    require(rows.lookup("good" + std::to_string(i)) == i, "a good row was touched");
    const auto name = "bad" + std::to_string(i);
    const auto away = bad.lookup(name);
    require(rows.lookup(name) == -1 - i || (away && away->value == -1 - i), "a bad row is lost");
  }
}

}  // namespace

TEST_CASE("a process that is killed at any point of an adoption loses no row, and the next one finishes it") {
  reports seen;
  const auto adopt = [&](kv::simulation& world) {
    probe p(world);
    const kv::table_options options{.name = {}, .access = kv::table_access::public_, .owner = p};
    auto rows = stock::create(world, options);
    auto bad = bad_stock::create(world, options);
    world.calmly([&] {
      for (int i = 0; i < 5; ++i) {
        rows.insert("good" + std::to_string(i), i);
        rows.insert("bad" + std::to_string(i), -1 - i);
      }
    });
    const auto reported_before = seen.all<kv::quarantine_report>().size();
    for (int life = 0; life < 3; ++life) {
      try {
        take_over(world, rows, bad);
        break;
      } catch (const kv::start_error&) {
      } catch (const kv::call_error&) {
      }
      world.calmly([&] {
        check_nothing_lost(rows, bad);
        world.run_until_idle();
      });
    }
    world.calmly([&] {
      check_nothing_lost(rows, bad);
      require(rows.size() == 5 && bad.size() == 5, "the next one has not finished it");
      const auto reported = seen.all<kv::quarantine_report>().size() - reported_before;
      require(reported == 5, std::to_string(reported) + " reports for 5 rows");
      if (const auto adopter = world.whereis("adopter")) kv::testing::kill_and_await(world, *adopter);
    });
  };
  const kv::simulation_options world{.runtime = {.on_report = seen.sink()}};
  for (const auto& row : {kv::sweep(adopt, "adopter", world), kv::sweep_pairs(adopt, "adopter", "adopter", world)}) {
    CHECK_MESSAGE(row.points > 20, row);
    CHECK_MESSAGE(row.held == row.points, row);
  }
}

TEST_CASE("an adoption that is refused memory, whichever, loses no row" * doctest::skip(sanitized)) {
  bool was_refused = true;
  unsigned refusals = 0;
  for (unsigned nth = 1; was_refused || nth < 100; ++nth) {
    kv::simulation world({.runtime = {.on_report = [](const kv::report&) {}}});
    probe p(world);
    const kv::table_options options{.name = {}, .access = kv::table_access::public_, .owner = p};
    auto rows = stock::create(world, options);
    auto bad = bad_stock::create(world, options);
    for (int i = 0; i < 5; ++i) {
      rows.insert("good" + std::to_string(i), i);
      rows.insert("bad" + std::to_string(i), -1 - i);
    }
    const auto adopter = world.spawn<blank>();
    world.refuse_allocation(adopter, nth);
    was_refused = false;
    try {
      inside(adopter, [&] { kv::quarantine_rows(rows, less_than_nothing, bad); });
    } catch (const kv::call_error&) {
      was_refused = true;
      ++refusals;
    }
    check_nothing_lost(rows, bad);
    if (!was_refused) CHECK(rows.size() == 5);  // also when the validator was refused, which is asked again
  }
  CHECK(refusals > 10);
}

TEST_SUITE_END();

}  // namespace quarantine_test
