// Promises under test: the four states of the mailbox's word (idle, busy, a list, closed), what each operation does in
// each of them, and that messages of one sender keep their order.
#include <doctest/doctest.h>

#include <latch>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include <kv/detail/inbox.hpp>

#include "threads.hpp"

namespace inbox_test {

namespace {

using kv::detail::inbox;
using kv::detail::message;
using kv::detail::message_ptr;
using kv::detail::message_queue;

struct numbered final : message {
  explicit numbered(int value, int from = 0) : message(kv::detail::message_kind::letter), number(value), sender(from) {}
  const std::type_info& type() const noexcept override { return typeid(int); }
  int number;
  int sender;
};

int number_of(const message& m) { return static_cast<const numbered&>(m).number; }

/// Walks a list and destroys it.
std::vector<int> numbers(message* node) {
  std::vector<int> result;
  while (node != nullptr) {
    const message_ptr owned(std::exchange(node, node->next));
    result.push_back(number_of(*owned));
  }
  return result;
}

std::vector<int> numbers(message_queue& queue) {
  std::vector<int> result;
  while (const auto node = queue.pop()) result.push_back(number_of(*node));
  return result;
}

void push_all(message_queue& queue, std::initializer_list<int> all) {
  for (const int n : all) queue.push(std::make_unique<numbered>(n));
}

}  // namespace

TEST_CASE("a new inbox is closed and lets nothing in") {
  inbox box;
  numbered stays_mine(1);
  CHECK_FALSE(box.is_open());
  CHECK(box.push(&stays_mine) == inbox::pushed::closed);
  CHECK_FALSE(box.try_claim());
  CHECK_FALSE(box.looks_idle());
}

TEST_CASE("an inbox opens busy, with the claim taken") {
  inbox box;
  box.open(0);
  CHECK(box.is_open());
  CHECK_FALSE(box.looks_idle());
  CHECK_FALSE(box.has_messages());
  CHECK_FALSE(box.try_claim());
  CHECK(box.take_all() == nullptr);
  CHECK(box.close() == nullptr);
}

TEST_CASE("a released inbox can be claimed once") {
  inbox box;
  box.open(0);
  CHECK(box.try_release());
  CHECK(box.looks_idle());
  CHECK(box.try_claim());
  CHECK_FALSE(box.try_claim());
  CHECK_FALSE(box.looks_idle());
  CHECK(box.try_release());
}

TEST_CASE("the push into an idle inbox takes the claim, and later ones queue") {
  inbox box;
  box.open(0);
  REQUIRE(box.try_release());
  CHECK(box.push(new numbered(1)) == inbox::pushed::wake);
  CHECK(box.push(new numbered(2)) == inbox::pushed::queued);
  CHECK_FALSE(box.try_claim());
  CHECK_FALSE(box.looks_idle());
  CHECK(box.has_messages());
  CHECK_FALSE(box.try_release());  // there is something to look at
  CHECK(numbers(box.take_all()) == std::vector{1, 2});
  CHECK(box.take_all() == nullptr);
  CHECK_FALSE(box.has_messages());
  CHECK(box.try_release());
}

TEST_CASE("a push into a busy inbox queues") {
  inbox box;
  box.open(0);
  CHECK(box.push(new numbered(1)) == inbox::pushed::queued);
  CHECK(box.is_open());
  CHECK_FALSE(box.try_release());
  CHECK(numbers(box.take_all()) == std::vector{1});
}

TEST_CASE("closing returns what was still there, oldest first, and leaves the inbox closed") {
  inbox box;
  box.open(0);
  for (const int n : {1, 2, 3}) box.push(new numbered(n));
  CHECK(numbers(box.close()) == std::vector{1, 2, 3});
  CHECK_FALSE(box.is_open());
  numbered late(4);
  CHECK(box.push(&late) == inbox::pushed::closed);
  CHECK_FALSE(box.try_claim());
  box.open(0);  // for the next process of the slot
  CHECK(box.take_all() == nullptr);
}

TEST_CASE("messages of concurrent senders keep each sender's order, and exactly one push wakes" * needs_threads) {
  constexpr int senders = 3;
  constexpr int each = 20'000;
  inbox box;
  box.open(0);
  REQUIRE(box.try_release());
  std::atomic<int> claims{0};  // held right now
  std::atomic<int> overlaps{0};
  std::atomic<int> seen{0};
  std::map<int, int> last;  // by sender; under the claim
  std::atomic<int> disorder{0};
  const auto run = [&] {  // whoever has the claim does what a process does
    if (claims.fetch_add(1) != 0) ++overlaps;
    for (;;) {
      for (auto* node = box.take_all(); node != nullptr;) {
        const std::unique_ptr<numbered> m(static_cast<numbered*>(std::exchange(node, node->next)));
        if (last[m->sender] + 1 != m->number) ++disorder;
        last[m->sender] = m->number;
        ++seen;
      }
      claims.fetch_sub(1);
      if (box.try_release()) return;
      claims.fetch_add(1);
    }
  };
  std::latch start(senders);
  std::vector<std::jthread> threads;
  for (int s = 0; s < senders; ++s) {
    threads.emplace_back([&, s] {
      start.arrive_and_wait();
      for (int n = 1; n <= each; ++n) {
        if (box.push(new numbered(n, s)) == inbox::pushed::wake) run();
      }
    });
  }
  threads.clear();
  CHECK(seen == senders * each);
  CHECK(overlaps == 0);
  CHECK(disorder == 0);
  CHECK(box.looks_idle());
}

TEST_CASE("a queue is first in, first out") {
  message_queue queue;
  CHECK(queue.empty());
  CHECK(queue.pop() == nullptr);
  push_all(queue, {1, 2, 3});
  CHECK_FALSE(queue.empty());
  CHECK(number_of(*queue.pop()) == 1);
  push_all(queue, {4});
  CHECK(numbers(queue) == std::vector{2, 3, 4});
  CHECK(queue.empty());
  push_all(queue, {5});
  CHECK(numbers(queue) == std::vector{5});
}

TEST_CASE("a message is taken out of the front, the middle and the end of a queue") {
  for (const int wanted : {1, 2, 3}) {
    message_queue queue;
    push_all(queue, {1, 2, 3});
    const auto found = queue.take_first([wanted](message& m) { return number_of(m) == wanted; });
    REQUIRE(found);
    CHECK(number_of(*found) == wanted);
    push_all(queue, {4});  // the end is where it should be
    std::vector expected{1, 2, 3, 4};
    std::erase(expected, wanted);
    CHECK(numbers(queue) == expected);
  }
}

TEST_CASE("the only message is taken, and the queue can be used again") {
  message_queue queue;
  push_all(queue, {1});
  CHECK(queue.take_first([](message&) { return true; }));
  CHECK(queue.empty());
  push_all(queue, {2, 3});
  CHECK(numbers(queue) == std::vector{2, 3});
}

TEST_CASE("a queue without what is wanted stays as it is") {
  message_queue queue;
  CHECK_FALSE(queue.take_first([](message&) { return true; }));
  push_all(queue, {1, 2});
  CHECK_FALSE(queue.take_first([](message&) { return false; }));
  CHECK(numbers(queue) == std::vector{1, 2});
}

TEST_CASE("the first of several that are wanted is taken") {
  message_queue queue;
  push_all(queue, {1, 2, 4});
  CHECK(number_of(*queue.take_first([](message& m) { return number_of(m) % 2 == 0; })) == 2);
}

TEST_CASE("a queue destroys what is left in it") {
  struct counted final : message {
    explicit counted(std::shared_ptr<int> token)
        : message(kv::detail::message_kind::letter), token_(std::move(token)) {}
    const std::type_info& type() const noexcept override { return typeid(int); }
    std::shared_ptr<int> token_;
  };
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watch = token;
  {
    message_queue queue;
    queue.push(std::make_unique<counted>(token));
    queue.push(std::make_unique<counted>(std::move(token)));
  }
  CHECK(watch.expired());
}

}  // namespace inbox_test
