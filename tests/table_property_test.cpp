// Promises under test: whatever is done to a table, it answers as a std::map would, of every kind, on every engine, with
// keys that have one hash as well. The scripts are made up by rapidcheck, which prints its seed, and of a failure the
// shortest script that it can find; RC_PARAMS in the environment repeats it.
#include <doctest/doctest.h>

#include <rapidcheck.h>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "exploring.hpp"
#include "table_operations.hpp"

namespace table_property_test {

namespace {

// Scripts -----------------------------------------------------------------------------------------------------------

enum class vocabulary { set, ordered_set, bag };

template <class T, vocabulary words>
std::vector<operation<T>> operations() {
  auto result = common_operations<T>();
  const auto add = [&](const auto& more) { result.insert(result.end(), more.begin(), more.end()); };
  if constexpr (words == vocabulary::bag) {
    add(bag_operations<T>());
  } else {
    add(set_operations<T>());
    if constexpr (words == vocabulary::ordered_set) add(ordered_operations<T>());
  }
  return result;
}

/// Few keys and values, so that they meet.
rc::Gen<item> some_item() {
  return rc::gen::build<item>(rc::gen::set(&item::level, rc::gen::element<std::int8_t>(0, 1, -1, 100, -100)),
                              rc::gen::set(&item::other, rc::gen::inRange(0, 3)));
}
template <vocabulary words>
rc::Gen<script> some_script() {
  using reference = std::conditional_t<words == vocabulary::bag, bag_model, set_model>;
  static const auto names = operations<reference, words>();
  const auto verb = rc::gen::map(rc::gen::inRange<std::size_t>(0, names.size()),
                                 [](std::size_t index) { return step::verb{index, names[index].name}; });
  return rc::gen::container<script>(
      rc::gen::build<step>(rc::gen::set(&step::what, verb), rc::gen::set(&step::key, rc::gen::inRange(0, 5)),
                           rc::gen::set(&step::other_key, rc::gen::inRange(0, 5)),
                           rc::gen::set(&step::value, some_item()), rc::gen::set(&step::other, some_item())));
}

// Checks ------------------------------------------------------------------------------------------------------------

template <vocabulary words, class T>
std::string perform(T& on, const step& s) {
  static const auto all = operations<T, words>();
  try {
    return all[s.what.index].run(on, s);
  } catch (const std::overflow_error&) {
    return "overflow";
  }
}

/// Plays a script on a model and a table; fails where they answer differently.
template <vocabulary words, class Model, class Table>
void compare(const script& steps, Model expected, Table table) {
  for (const auto& s : steps) {
    const auto wanted = perform<words>(expected, s), answered = perform<words>(table, s);
    if (answered == wanted) continue;
    std::ostringstream what;
    what << s << " -> " << answered << ", and not " << wanted;
    RC_FAIL(what.str());
  }
}

struct finding {
  bool is_wrong = false;
  std::size_t shortest = std::numeric_limits<std::size_t>::max();  // steps that show it
  std::string text = {};
};

/// rapidcheck's own prints what fails at the end of the program, also what is meant to.
struct silence final : rc::detail::TestListener {
  void onTestCaseFinished(const rc::detail::CaseDescription&) override {}
  void onShrinkTried(const rc::detail::CaseDescription&, bool) override {}
  void onTestFinished(const rc::detail::TestMetadata&, const rc::detail::TestResult&) override {}
};

/// Says what was found, and how to repeat it.
std::string explain(const rc::detail::TestResult& said, const std::string& who) {
  std::ostringstream text;
  rc::detail::printResultMessage(said, text);
  if (said.is<rc::detail::FailureResult>()) {
    auto again = rc::detail::configuration();
    again.reproduce = {{who, said.get<rc::detail::FailureResult>().reproduce}};
    text << "\nRC_PARAMS=\"" << rc::detail::configToMinimalString(again) << "\" repeats it";
  }
  return text.str();
}

/// Lets `play(script)` play that many scripts.
template <vocabulary words, class F>
finding search(std::size_t scripts, F play) {
  finding result;
  const auto property = [&] {
    const auto steps = *some_script<words>();
    try {
      play(steps);
    } catch (...) {
      result.shortest = std::min(result.shortest, steps.size());
      throw;
    }
  };
  const std::string name = doctest::getContextOptions()->currentTest->m_name;
  const auto& configured = rc::detail::configuration();
  auto params = configured.testParams;
  params.maxSuccess = std::max(params.maxSuccess, static_cast<int>(scripts));
  silence nobody;
  const rc::detail::TestResult said = rc::detail::checkProperty(
      rc::detail::toProperty(property), {.id = name, .description = {}}, params, nobody, configured.reproduce);
  result.is_wrong = !said.is<rc::detail::SuccessResult>();
  result.text = explain(said, name);
  return result;
}

template <vocabulary words, class Table>
void check_table() {
  using model = std::conditional_t<words == vocabulary::bag, bag_model, set_model>;
  kv::runtime runtime({.threads = 1});
  const auto found = search<words>(affordable(1000), [&](const script& steps) {
    const auto owner = runtime.spawn<blank>();
    compare<words>(steps, model(),
                   Table::create(runtime, {.name = {}, .access = kv::table_access::public_, .owner = owner}));
    owner.stop();
  });
  CHECK_MESSAGE(!found.is_wrong, found.text);
}

/// Compares a model with one that is broken on purpose.
template <vocabulary words, class Broken>
finding search_in() {
  using model = std::conditional_t<words == vocabulary::bag, bag_model, set_model>;
  return search<words>(3000, [](const script& steps) { compare<words>(steps, model(), Broken()); });
}

// Broken on purpose -------------------------------------------------------------------------------------------------

struct overwriting : set_model {
  using set_model::insert_new;
  std::optional<item> insert_new(int key, item value) {
    const auto before = lookup(key);
    insert(key, value);
    return before;
  }
};
struct halfway : set_model {
  using set_model::insert_new;
  std::optional<int> insert_new(const std::vector<entry>& entries) {
    for (const auto& [key, value] : entries) {
      if (insert_new(key, value)) return key;
    }
    return std::nullopt;
  }
};
struct careless : set_model {
  bool erase_if_equal(int key, const item&) { return erase(key); }
};
struct early : set_model {  // wraps at the threshold already
  std::optional<std::vector<int>> count(int key, std::vector<counting> steps, std::optional<item> fallback) {
    for (auto& each : steps) {
      if (each.limit) each.limit->first -= each.increment < 0 ? -1 : 1;
    }
    return set_model::count(key, steps, fallback);
  }
};
struct piecemeal : set_model {  // does the steps before the one that overflows
  std::optional<std::vector<int>> count(int key, const std::vector<counting>& steps, std::optional<item> fallback) {
    std::vector<int> result;
    for (const auto& each : steps) {
      const auto one = set_model::count(key, {each}, fallback);
      if (!one) return std::nullopt;
      result.push_back(one->front());
    }
    if (steps.empty()) return set_model::count(key, steps, fallback);
    return result;
  }
};
struct near_sighted : set_model {
  std::optional<int> next(int key) const { return member(key) ? set_model::next(key) : std::nullopt; }
};
struct repetitive : bag_model {
  using bag_model::insert;
  void insert(int key, item value) { held_[key].push_back(value); }
};
struct unordered : bag_model {
  using bag_model::insert;
  void insert(int key, item value) {
    bag_model::insert(key, value);
    std::ranges::sort(held_[key]);
  }
};

template <class Key, class Kind>
using items = kv::table<Key, item, Kind>;

}  // namespace

// The tables --------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a set answers like a map", Table, items<int, kv::set>, items<int, locked_set>,
                   items<crowded, kv::set>, items<faceless, kv::set>) {
  check_table<vocabulary::set, Table>();
}

TEST_CASE_TEMPLATE("an ordered set answers like a map, in its order", Table, items<int, kv::ordered_set>,
                   items<int, locked_ordered_set>, items<crowded, kv::ordered_set>) {
  check_table<vocabulary::ordered_set, Table>();
}

TEST_CASE_TEMPLATE("a bag answers like a map of lists", Table, items<int, kv::bag>, items<int, locked_bag>,
                   items<crowded, kv::bag>, items<faceless, kv::bag>) {
  check_table<vocabulary::bag, Table>();
}

// The checker -------------------------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a set that is broken is found out, by few steps", Broken, overwriting, halfway, careless, early,
                   piecemeal) {
  const auto found = search_in<vocabulary::set, Broken>();
  CHECK(found.is_wrong);
  CHECK(found.shortest <= 4);
}

TEST_CASE("an ordered set that is broken is found out, by few steps") {
  const auto found = search_in<vocabulary::ordered_set, near_sighted>();
  CHECK(found.is_wrong);
  CHECK(found.shortest <= 3);
}

TEST_CASE_TEMPLATE("a bag that is broken is found out, by few steps", Broken, repetitive, unordered) {
  const auto found = search_in<vocabulary::bag, Broken>();
  CHECK(found.is_wrong);
  CHECK(found.shortest <= 4);
}

TEST_CASE("what is no fault is not found") {
  CHECK_FALSE(search_in<vocabulary::ordered_set, set_model>().is_wrong);
  CHECK_FALSE(search_in<vocabulary::bag, bag_model>().is_wrong);
}

}  // namespace table_property_test
