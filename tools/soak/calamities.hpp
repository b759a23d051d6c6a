// What was killed or ran short, so that it can be said who may have noticed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace kv::soak {

/// What the killer kills, and what it makes short.
enum class part : std::uint8_t { events, buckets, registry, tree, stacks, memory, threads };
inline constexpr std::size_t part_count = 7;

/// Counts each calamity twice: before it begins, and when what was killed or short is back. Any thread. Sequentially
/// consistent, so that a failure that a calamity has caused is never seen before the calamity is.
///
/// What may be excused by what:
///
///   calamity                | what may fail meanwhile
///   ----------------------- | ------------------------------------------------------------------------------------------
///   events, buckets,        | that part has ended, and what can do nothing without it
///   registry                |
///   tree                    | every part has ended, and the tables are gone
///   stacks                  | a process's own call that has to wait: out_of_stacks. Nothing of the tree, no plain thread
///   memory                  | every part has ended, crashed with what it was doing, as when the tree is killed, or is late
///   threads                 | no handler can be added; one whose process has ended is left out or removed, and reported
class calamities {
 public:
  /// The calamities that were over at some time.
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
  bool is_under_way(part what) const noexcept { return any_since(now(), what); }
  /// Tells whether that part of the tree, or the whole, may have ended since: it was killed, or the tree was, or there
  /// was no memory for it.
  bool may_have_ended_since(const moment& then, part what) const noexcept {
    return any_since(then, what) || any_since(then, part::tree) || any_since(then, part::memory);
  }

  std::uint64_t kills() const noexcept { return sum(0, first_shortage); }
  std::uint64_t shortages() const noexcept { return sum(first_shortage, part_count); }
  std::uint64_t count(part what) const noexcept { return begun_[index(what)]; }
  /// For whoever reads a finding.
  std::string text(const moment& then) const {
    static constexpr std::array<const char*, part_count> names{"events", "buckets", "registry", "tree",
                                                               "stacks", "memory",  "threads"};
    std::string result = "calamities over then/begun by now:";
    for (std::size_t i = 0; i < part_count; ++i) {
      result += std::string(" ") + names[i] + " " + std::to_string(then.over[i]) + "/" + std::to_string(begun_[i]);
    }
    return result;
  }

 private:
  static constexpr std::size_t index(part what) noexcept { return static_cast<std::size_t>(what); }
  static constexpr auto first_shortage = static_cast<std::size_t>(part::stacks);

  std::uint64_t sum(std::size_t from, std::size_t to) const noexcept {
    std::uint64_t result = 0;
    for (auto i = from; i < to; ++i) result += begun_[i];
    return result;
  }

  std::array<std::atomic<std::uint64_t>, part_count> begun_{};
  std::array<std::atomic<std::uint64_t>, part_count> over_{};
};

}  // namespace kv::soak
