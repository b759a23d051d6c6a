#include "fate.hpp"

#include <algorithm>

namespace kv::detail {

namespace {

/// A finalizer after Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). The standard
/// library's distributions may differ between implementations; this does not.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

constexpr std::uint64_t id_of(fate::kind how, std::uint64_t place) noexcept {
  return place * 4 + static_cast<std::uint64_t>(how);
}

constexpr std::uint64_t for_users = 0x75736572;

}  // namespace

// Some bugs want a switch at every step, others a single one at the right moment: so each seed has its own rate, of
// one deviation in 2, 8, 32 or 128 places.
fate::fate(std::uint64_t seed, std::optional<std::vector<std::uint64_t>> only)
    : seed_(seed), rate_(seed == 0 ? 0 : 0x8000U >> (2 * (mix(seed) % 4))), only_(std::move(only)) {
  if (only_) std::ranges::sort(*only_);
}

bool fate::strikes(kind how, std::uint64_t place) {
  const auto id = id_of(how, place);
  if ((mix(seed_ ^ mix(id)) & 0xffffU) >= rate_) return false;
  if (only_ && !std::ranges::binary_search(*only_, id)) return false;
  struck_.push_back(id);
  return true;
}

std::uint64_t fate::draw(kind how, std::uint64_t place, std::uint64_t bound) const noexcept {
  return (mix(seed_ ^ mix(id_of(how, place))) >> 16U) % bound;
}

std::uint64_t fate::random() noexcept { return mix(mix(seed_ ^ for_users) ^ ++drawn_); }

}  // namespace kv::detail
