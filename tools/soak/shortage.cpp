#include "soak/shortage.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <typeinfo>

#include <kv/kv.hpp>

namespace kv::soak {

namespace {

// Each a value of its own that orders nothing: who reads an old one is refused a moment too early or too late, and the
// calamity is under way before and after.
constinit std::atomic<unsigned> memory_one_in{0};
constinit std::atomic<bool> threads_are_short{false};
constinit std::atomic<bool> obeyed{false};
constinit std::atomic<std::uint64_t> refused_memory{0};
constinit std::atomic<std::uint64_t> refused_threads{0};

constinit thread_local unsigned exemptions = 0;
constinit thread_local std::uint64_t drawn = 0;

/// Returns the next number of a linear congruential sequence (Knuth's constants): it allocates nothing.
std::uint64_t draw() noexcept {
  drawn = drawn * 6364136223846793005U + 1442695040888963407U;
  return drawn >> 33U;
}

bool is_of_the_tree(const detail::process& who) noexcept {
  static const std::array<const std::type_info*, 5> types{&typeid(bucket), &typeid(registry_server),
                                                          &typeid(bucket_supervisor), &typeid(detail::event_manager),
                                                          &typeid(supervisor)};
  const auto* const type = who.type.load(std::memory_order_acquire);
  return type != nullptr && std::ranges::find(types, type) != types.end();
}

}  // namespace

void shortage::of_memory(unsigned one_in) noexcept { memory_one_in.store(one_in, std::memory_order_relaxed); }

void shortage::of_threads(bool is_on) noexcept { threads_are_short.store(is_on, std::memory_order_relaxed); }

bool shortage::refuses_memory() noexcept {
  const auto one_in = memory_one_in.load(std::memory_order_relaxed);
  if (one_in == 0 || exemptions > 0 || detail::current_process == nullptr) [[likely]]
    return false;
  if (!is_of_the_tree(*detail::current_process) || draw() % one_in != 0) return false;
  refused_memory.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool shortage::refuses_threads() noexcept {
  if (!threads_are_short.load(std::memory_order_relaxed)) return false;
  refused_threads.fetch_add(1, std::memory_order_relaxed);
  return true;
}

std::uint64_t shortage::memory_refusals() noexcept { return refused_memory.load(std::memory_order_relaxed); }

std::uint64_t shortage::thread_refusals() noexcept { return refused_threads.load(std::memory_order_relaxed); }

bool shortage::is_obeyed_from_now_on() noexcept {
  obeyed.store(true, std::memory_order_relaxed);
  return true;
}

bool shortage::is_obeyed() noexcept { return obeyed.load(std::memory_order_relaxed); }

shortage::exemption::exemption() noexcept { ++exemptions; }

shortage::exemption::~exemption() { --exemptions; }

}  // namespace kv::soak
