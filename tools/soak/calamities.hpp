// What was killed, so that it can be said who may have noticed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace kv::soak {

/// What the killer kills.
enum class part : std::uint8_t { events, buckets, registry, tree };
inline constexpr std::size_t part_count = 4;

/// Counts each kill twice: before it begins, and when what was killed is back. One writer; any reader. Sequentially
/// consistent, so that a failure that a kill has caused is never seen before the kill is.
class calamities {
 public:
  /// The kills that were over at some time.
  struct moment {
    std::array<std::uint64_t, part_count> over{};
  };

  void begin(part what) noexcept { ++begun_[index(what)]; }
  void end(part what) noexcept { ++over_[index(what)]; }

  moment now() const noexcept {
    moment result;
    for (std::size_t i = 0; i < part_count; ++i) result.over[i] = over_[i];
    return result;
  }
  /// Tells whether one was under way at that moment or has begun since.
  bool any_since(const moment& then, part what) const noexcept { return begun_[index(what)] > then.over[index(what)]; }
  /// Tells the same of all.
  bool any_since(const moment& then) const noexcept {
    for (std::size_t i = 0; i < part_count; ++i) {
      if (begun_[i] > then.over[i]) return true;
    }
    return false;
  }
  std::uint64_t count() const noexcept {
    std::uint64_t result = 0;
    for (const auto& each : begun_) result += each;
    return result;
  }
  /// For whoever reads a finding.
  std::string text(const moment& then) const {
    static constexpr std::array<const char*, part_count> names{"events", "buckets", "registry", "tree"};
    std::string result = "kills over then/begun by now:";
    for (std::size_t i = 0; i < part_count; ++i) {
      result += std::string(" ") + names[i] + " " + std::to_string(then.over[i]) + "/" + std::to_string(begun_[i]);
    }
    return result;
  }

 private:
  static constexpr std::size_t index(part what) noexcept { return static_cast<std::size_t>(what); }

  std::array<std::atomic<std::uint64_t>, part_count> begun_{};
  std::array<std::atomic<std::uint64_t>, part_count> over_{};
};

}  // namespace kv::soak
