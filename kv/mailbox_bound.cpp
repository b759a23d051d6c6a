#include <kv/detail/mailbox_bound.hpp>

namespace kv::detail {

namespace {

constexpr std::uint64_t pack(std::uint32_t generation, std::uint32_t count) noexcept {
  return std::uint64_t{generation} << 32U | count;
}
constexpr std::uint32_t generation_of(std::uint64_t load) noexcept { return static_cast<std::uint32_t>(load >> 32U); }
constexpr std::uint32_t count_of(std::uint64_t load) noexcept { return static_cast<std::uint32_t>(load); }

}  // namespace

void mailbox_bound::open(std::uint32_t generation, std::uint32_t limit, when_full how) noexcept {
  limit_.store(limit, std::memory_order_relaxed);
  how_.store(how, std::memory_order_relaxed);
  if (generation_of(load_.load(std::memory_order_relaxed)) == generation) return;  // another limit for the same process
  dropped_.store(0, std::memory_order_relaxed);
  is_reported_.store(false, std::memory_order_relaxed);
  load_.store(pack(generation, 0));
}

message* mailbox_bound::close() noexcept {
  const std::lock_guard lock(mutex_);
  load_.store(0);
  has_waiting_.store(false);
  return waiting_.take_all();
}

mailbox_bound::entry mailbox_bound::enter(std::uint32_t generation) noexcept {
  auto seen = load_.load();
  for (;;) {
    if (generation_of(seen) != generation) return entry::dead;
    if (count_of(seen) >= limit()) return entry::full;
    if (load_.compare_exchange_weak(seen, seen + 1)) return entry::counted;
  }
}

message* mailbox_bound::leave(std::uint32_t generation) noexcept {
  auto seen = load_.load();
  do {
    if (generation_of(seen) != generation || count_of(seen) == 0) return nullptr;
  } while (!load_.compare_exchange_weak(seen, seen - 1));
  const auto left = count_of(seen) - 1;
  if (2 * left <= limit()) is_reported_.store(false, std::memory_order_relaxed);
  if (!has_waiting_.load()) return nullptr;
  const std::lock_guard lock(mutex_);
  auto* const woken = left == 0 ? waiting_.take_all() : waiting_.pop().release();
  if (woken != nullptr && left > 0) woken->next = nullptr;
  has_waiting_.store(!waiting_.empty());
  return woken;
}

message_ptr mailbox_bound::wait(std::uint32_t generation, message_ptr sender) noexcept {
  const std::lock_guard lock(mutex_);
  has_waiting_.store(true);
  const auto seen = load_.load();
  if (generation_of(seen) == generation && count_of(seen) >= limit()) {
    waiting_.push(std::move(sender));
    return nullptr;
  }
  has_waiting_.store(!waiting_.empty());
  return sender;
}

bool mailbox_bound::drop() noexcept {
  dropped_.fetch_add(1, std::memory_order_relaxed);
  return !is_reported_.load(std::memory_order_relaxed) && !is_reported_.exchange(true, std::memory_order_relaxed);
}

}  // namespace kv::detail
