// Promises under test: the caller copies and converts the arguments of a call, whatever the callee is and does; what throws
// there is the caller's exception and ends no callee.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <kv/process.hpp>
#include <kv/testing.hpp>

namespace argument_test {

using kv::testing::probe;

namespace {

/// Who is current when something of the user's runs.
kv::pid current() { return kv::self_if_any().value_or(kv::pid{}); }

/// Made of a number that must not be negative.
struct natural {
  int value;
  kv::pid made_by = current();
  natural(int n) : value(n) {
    if (n < 0) throw std::out_of_range("negative");
  }
};

/// Cannot be copied more than that often.
struct scarce {
  std::shared_ptr<int> left;
  kv::pid copied_by = {};
  explicit scarce(int copies) : left(std::make_shared<int>(copies)) {}
  scarce(const scarce& other) : left(other.left), copied_by(current()) {
    if (*left == 0) throw std::runtime_error("no copy left");
    --*left;
  }
  scarce(scarce&&) noexcept = default;
};

/// Looks into text that something else owns, and is not said to be unable to throw.
struct view {
  const std::string* text;
  view(const std::string& t) : text(&t) {}
};

template <bool is_leaf>
struct server {
  static constexpr bool leaf = is_leaf;
  int take(natural n) { return n.value; }
  int take_reference(const natural& n) const noexcept { return n.value; }
  kv::pid made_by(const natural& n) { return n.made_by; }
  kv::pid copied_by(const scarce& s) { return s.copied_by; }
  kv::pid copy(scarce s) { return s.copied_by; }
  std::string text(const std::string& s) { return s; }
  std::string look(view v) { return *v.text; }
  std::size_t size(std::string_view s, natural n) { return s.size() + static_cast<std::size_t>(n.value); }
  void later(kv::from<int> caller, natural n) { caller.reply(n.value); }
};
using leaf = server<true>;
using busy = server<false>;

/// Runs a check with a callee that is idle, and with one that has something to do first.
template <class T, class Check>
void in_both_states(Check check) {
  kv::runtime runtime({.threads = 1});
  const auto callee = runtime.spawn<T>();
  check(callee);
  {
    const kv::testing::suspended frozen(runtime, callee);
    CHECK_THROWS_AS(callee.call(&T::take, -1), std::out_of_range);
    CHECK_THROWS_AS(callee.cast(&T::take, -1), std::out_of_range);
    callee.cast(&T::take, 1);
  }
  check(callee);
  CHECK(callee.alive());
}

}  // namespace

TEST_CASE_TEMPLATE("an argument that cannot be converted is the caller's error", T, leaf, busy) {
  in_both_states<T>([](const kv::ref<T>& callee) {
    CHECK_THROWS_AS(callee.call(&T::take, -1), std::out_of_range);
    CHECK_THROWS_AS(callee.call(&T::take_reference, -1), std::out_of_range);
    CHECK_THROWS_AS(callee.call([](T&, natural n) { return n.value; }, -1), std::out_of_range);
    CHECK_THROWS_AS(callee.call(+[](T&, natural n) { return n.value; }, -1), std::out_of_range);
    CHECK_THROWS_AS(callee.call(&T::later, -1), std::out_of_range);
    CHECK_THROWS_AS(callee.cast(&T::take, -1), std::out_of_range);
    CHECK(callee.call(&T::take, 7) == 7);
    CHECK(callee.call(&T::take_reference, 7) == 7);
    CHECK(callee.call(&T::later, 7) == 7);
    CHECK(callee.call(&T::size, "four", 7) == 11);
  });
}

TEST_CASE_TEMPLATE("an argument that cannot be copied is the caller's error", T, leaf, busy) {
  in_both_states<T>([](const kv::ref<T>& callee) {
    const scarce none(0);
    CHECK_THROWS_AS(callee.call(&T::copy, none), std::runtime_error);
    CHECK_THROWS_AS(callee.call([](T&, auto s) { return s.copied_by; }, none), std::runtime_error);
    CHECK(callee.call(&T::copy, scarce(0)) == kv::pid{});  // moved
  });
}

TEST_CASE_TEMPLATE("copies and conversions run as the caller", T, leaf, busy) {
  kv::runtime runtime({.threads = 1});
  probe p(runtime);
  const auto callee = runtime.spawn<T>();
  p.run([&] {
    const scarce one(1);
    CHECK(callee.call(&T::copy, one) == p.id());
    CHECK(callee.call(&T::made_by, 7) == p.id());
    auto answer = callee.send_request(&T::made_by, 7);
    CHECK(answer.get() == p.id());
    CHECK_THROWS_AS(callee.send_request(&T::take, -1), std::out_of_range);
  });
}

TEST_CASE("an argument of the parameter's own type is not copied for an idle leaf") {
  kv::runtime runtime({.threads = 1});
  const auto callee = runtime.spawn<leaf>();
  const scarce none(0);
  CHECK(callee.call(&leaf::copied_by, none) == kv::pid{});
}

TEST_CASE_TEMPLATE("what looks into an argument may be passed on, also beyond the caller's deadline", T, leaf, busy) {
  kv::runtime runtime({.threads = 1});
  const auto callee = runtime.spawn<T>();
  CHECK(callee.call(&T::look, std::string("short")) == "short");
  CHECK(callee.call(&T::look, "text that is somewhat longer than a short one") ==
        "text that is somewhat longer than a short one");
  const std::string_view seen = "viewed";
  CHECK(callee.call(&T::text, seen) == "viewed");
  const kv::testing::suspended frozen(runtime, callee);
  CHECK_THROWS_AS(callee.call_for(std::chrono::nanoseconds(1), &T::look, std::string("short")), kv::call_error);
}

}  // namespace argument_test
