// How long things took: counts by size, from which percentiles are read.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kv::soak {

/// Log-linear, as HdrHistogram: every power of two is divided into 32 equal parts, so a percentile is at most 1/32 too
/// high, whatever its size. One writer at a time; who reads meanwhile sees some moment of each count.
class histogram {
 public:
  void record(std::uint64_t value) noexcept { add(counts_[index_of(value)], 1); }
  histogram& operator+=(const histogram& other) noexcept {
    for (std::size_t i = 0; i < size; ++i) add(counts_[i], other.count_at(i));
    return *this;
  }
  std::uint64_t count() const noexcept {
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < size; ++i) result += count_at(i);
    return result;
  }
  /// Returns a value that this share of all values, from 0 to 1, does not exceed; 0 when there are none.
  std::uint64_t quantile(double share) const noexcept {
    const auto all = count();
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(all));
    std::uint64_t seen = 0, last = 0;
    for (std::size_t i = 0; i < size && (seen <= wanted || seen == 0) && seen < all; ++i) {
      if (count_at(i) == 0) continue;
      seen += count_at(i);
      last = highest_of(i);
    }
    return last;
  }

 private:
  static constexpr std::size_t parts = 32;
  static constexpr std::size_t size = (64 - 5) * parts + parts;

  static std::size_t index_of(std::uint64_t value) noexcept {
    if (value < parts) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 6U;
    return shift * parts + (value >> shift);
  }
  static std::uint64_t highest_of(std::size_t index) noexcept {
    if (index < 2 * parts) return index;
    const auto shift = index / parts - 1;
    return ((index % parts + parts + 1) << shift) - 1;
  }
  // Not a read-modify-write, because there is one writer.
  static void add(std::atomic<std::uint64_t>& count, std::uint64_t n) noexcept {
    if (n != 0) count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t count_at(std::size_t i) const noexcept { return counts_[i].load(std::memory_order_relaxed); }

  std::array<std::atomic<std::uint64_t>, size> counts_{};
};

}  // namespace kv::soak
