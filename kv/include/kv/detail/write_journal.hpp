// How a write of many keys notices that somebody else has written one of them since it has read them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>

#include <kv/detail/key_view.hpp>

namespace kv::detail {

/// The writes of a table, counted in stripes of keys.
///
/// (J1) Who writes a key raises `begun` of its stripe under the engine's lock of that key, before anything changes, and
///      `ended` after the lock is free again. No fiber is switched in between.
/// (J2) So whoever sees them equal, `ended` being read first, sees what all writes so far have left; and if `begun` is
///      still the same under the locks of his keys, nobody has written one of them since.
class write_journal {
 public:
  static constexpr std::size_t stripes = 16;
  using stripe_set = std::bitset<stripes>;
  using state = std::array<std::uint64_t, stripes>;

  template <class Key>
  static std::size_t stripe_of(key_view<Key> key) {
    return seeded_hash<Key>(key, 0) % stripes;
  }

  /// One write, while this lives.
  class entry {
   public:
    explicit entry(write_journal& in) noexcept : in_(in) {}
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;
    ~entry() {
      if (!has_begun_) return;
      // Release pairs with settled(): who counts this end sees what was written.
      in_.for_each(concerned_, [](counts& each, std::size_t) { each.ended.fetch_add(1, std::memory_order_release); });
    }

    template <class Key>
    void concerns(key_view<Key> key) {
      concerned_.set(stripe_of<Key>(key));
    }
    void concerns_all() noexcept { concerned_.set(); }
    /// Under the lock, as the last thing that is checked; again, when the engine had to let go of the lock meanwhile.
    /// Relaxed: the lock tells who comes after.
    void begin() noexcept {
      if (std::exchange(has_begun_, true)) return;
      in_.for_each(concerned_, [](counts& each, std::size_t) { each.begun.fetch_add(1, std::memory_order_relaxed); });
    }

   private:
    write_journal& in_;
    stripe_set concerned_;
    bool has_begun_ = false;
  };

  /// Returns the state of these stripes once no write is under way. It may take as long as another thread is between
  /// two instructions of one.
  state settled(const stripe_set& of) const noexcept {
    state result{};
    for_each(of, [&](const counts& each, std::size_t i) {
      for (;; std::this_thread::yield()) {
        // Acquire pairs with an entry's end. Read first, so that no end is counted whose beginning is not.
        const auto ended = each.ended.load(std::memory_order_acquire);
        result[i] = each.begun.load(std::memory_order_relaxed);
        if (result[i] == ended) break;
      }
    });
    return result;
  }
  /// Under the locks of the keys that matter.
  bool is_still(const state& before, const stripe_set& of) const noexcept {
    bool result = true;
    for_each(of, [&](const counts& each, std::size_t i) {
      result = result && each.begun.load(std::memory_order_relaxed) == before[i];
    });
    return result;
  }

 private:
  struct alignas(64) counts {  // writers of different stripes share no cache line
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> ended{0};
  };

  void for_each(const stripe_set& of, auto f) {
    for (std::size_t i = 0; i < stripes; ++i) {
      if (of[i]) f(counts_[i], i);
    }
  }
  void for_each(const stripe_set& of, auto f) const {
    for (std::size_t i = 0; i < stripes; ++i) {
      if (of[i]) f(counts_[i], i);
    }
  }

  std::array<counts, stripes> counts_;
};

/// Of a table whose writes of many keys replace what is there, whatever it is.
struct no_journal {
  struct entry {
    explicit entry(no_journal&) noexcept {}
    template <class Key>
    void concerns(key_view<Key>) noexcept {}
    void concerns_all() noexcept {}
    void begin() noexcept {}
  };
};

}  // namespace kv::detail
