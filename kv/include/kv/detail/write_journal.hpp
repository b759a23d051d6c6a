// How a write of many keys notices that somebody else has written one of them since it has read them.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>

#include <kv/detail/key_view.hpp>

namespace kv::detail {

/// The writes of a table, counted in stripes of keys.
///
/// (J1) Who writes a key counts that under the engine's lock of the key, before anything changes.
/// (J2) So who has read a key and its count under that lock, and finds the same count under it again, knows that nobody
///      has written the key in between: it was not half done then, as it would have held the lock.
class write_journal {
 public:
  static constexpr std::size_t stripes = 16;

  template <class Key>
  static std::size_t stripe_of(key_view<Key> key) {
    return seeded_hash<Key>(key, 0) % stripes;
  }

  /// The counts of some stripes, each as it was when it was first noted.
  class state {
   public:
    /// Under the lock of a key of that stripe.
    void note(const write_journal& in, std::size_t stripe) noexcept {
      if (!noted_[stripe]) counts_[stripe] = in.count(stripe);
      noted_.set(stripe);
    }

   private:
    friend class write_journal;
    std::array<std::uint64_t, stripes> counts_{};
    std::bitset<stripes> noted_;
  };

  /// One write.
  class entry {
   public:
    explicit entry(write_journal& in) noexcept : in_(in) {}
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;

    template <class Key>
    void concerns(key_view<Key> key) {
      concerned_.set(stripe_of<Key>(key));
    }
    void concerns_all() noexcept { concerned_.set(); }
    /// Under the lock, as the last thing that is checked. An engine may check more than once.
    void begin() noexcept {
      ++times_;
      for (std::size_t i = 0; i < stripes; ++i) {
        if (concerned_[i]) in_.counters_[i].count.fetch_add(1, std::memory_order_relaxed);
      }
    }
    /// Under the locks of all its keys: tells whether nobody but this has written one since.
    bool is_first_since(const state& before) const noexcept {
      for (std::size_t i = 0; i < stripes; ++i) {
        if (concerned_[i] && in_.count(i) != before.counts_[i] + times_) return false;
      }
      return true;
    }

   private:
    write_journal& in_;
    std::bitset<stripes> concerned_;
    std::uint64_t times_ = 0;
  };

 private:
  struct alignas(64) counter {  // writers of different stripes share no cache line
    std::atomic<std::uint64_t> count{0};
  };

  /// Relaxed, as all of these: it is the lock that tells who comes after whom.
  std::uint64_t count(std::size_t stripe) const noexcept {
    return counters_[stripe].count.load(std::memory_order_relaxed);
  }

  std::array<counter, stripes> counters_;
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
