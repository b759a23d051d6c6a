// Where the rows of a shard are found: an array of words, each a row's address and a part of its hash.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <kv/detail/cells.hpp>

namespace kv::detail {

static_assert(sizeof(void*) == 8, "an address and a tag share a word");

/// What stands in a slot. A word that holds no row is `empty`, where every search ends, or `erased`, where none does.
struct slot_word {
  static constexpr std::uint64_t empty = 0;
  static constexpr std::uint64_t erased = 1;  // its tag is even, which no row's is

  static std::uint64_t tag_of(std::uint64_t hash) noexcept { return (hash & 0xffffU) | 1U; }
  static std::uint64_t make(const void* row, std::uint64_t hash) noexcept { return join(row, tag_of(hash)); }
  template <class Row>
  static Row* row_of(std::uint64_t word) noexcept {
    return reinterpret_cast<Row*>(word & ((std::uint64_t{1} << address_bits) - 1));
  }
  static bool is_row(std::uint64_t word) noexcept { return word > erased; }
  static bool may_be(std::uint64_t word, std::uint64_t hash) noexcept { return word >> address_bits == tag_of(hash); }

  static constexpr unsigned address_bits = 48;
  static std::uint64_t join(const void* where, std::uint64_t what) noexcept {
    const auto address = reinterpret_cast<std::uint64_t>(where);
    assert(address >> address_bits == 0 && "addresses of user space have 48 bits");
    return address | what << address_bits;
  }
};

/// Slots in the order of hashes: those bits of a hash that follow the ones that choose the shard say where a row is at
/// home, and it stands there or in the first slot after it that was free. A power of two of them; the first follows the
/// last.
///
/// This only tells where the slots are and how many, as a word that readers load at once; owned_slot_array owns them.
class slot_array {
 public:
  /// The highest bits of a hash, which choose the shard. More shards would cost each small table memory, and who counts the
  /// rows as many locks.
  static constexpr unsigned shard_bits = 5;

  slot_array() = default;
  slot_array(std::nullptr_t) noexcept {}
  explicit slot_array(std::uint64_t word) noexcept
      : words_(slot_word::row_of<slot>(word)),
        bits_(static_cast<unsigned>(word >> slot_word::address_bits)),
        mask_((std::size_t{1} << bits_) - 1) {}
  /// Throws std::bad_alloc.
  static slot_array make(unsigned bits) {
    return slot_array(slot_word::join(allocate_array(sizeof(slot) << bits), bits));
  }
  void free() const noexcept {
    if (words_ != nullptr) free_array(words_, sizeof(slot) << bits_);
  }

  std::uint64_t word() const noexcept { return words_ == nullptr ? 0 : slot_word::join(words_, bits_); }
  explicit operator bool() const noexcept { return words_ != nullptr; }
  bool operator==(const slot_array&) const = default;

  std::size_t size() const noexcept { return words_ == nullptr ? 0 : mask_ + 1; }
  std::size_t home(std::uint64_t hash) const noexcept { return hash << shard_bits >> (64 - bits_); }
  std::size_t next(std::size_t i, std::size_t by = 1) const noexcept { return (i + by) & mask_; }
  std::size_t previous(std::size_t i) const noexcept { return (i - 1) & mask_; }

  /// Sequentially consistent, as (E1) demands. On x86 and ARM that costs a reader no more than acquire, with which it
  /// sees the row that the word leads to.
  std::uint64_t load(std::size_t i) const noexcept { return words_[i].load(std::memory_order_seq_cst); }
  /// The holder of the shard's lock reads what he, or who held it before, has written.
  std::uint64_t peek(std::size_t i) const noexcept { return words_[i].load(std::memory_order_relaxed); }
  /// The holder of the shard's lock.
  void store(std::size_t i, std::uint64_t word) const noexcept { words_[i].store(word, std::memory_order_seq_cst); }
  /// The only one who knows this array.
  void fill(std::size_t i, std::uint64_t word) const noexcept { words_[i].store(word, std::memory_order_relaxed); }
  /// Asks for the cache line in which a search begins. Anybody: the array may be gone.
  void fetch(std::uint64_t hash) const noexcept {
    if (words_ != nullptr) __builtin_prefetch(words_ + home(hash));
  }

 private:
  using slot = std::atomic<std::uint64_t>;

  slot* words_ = nullptr;
  unsigned bits_ = 0;
  std::size_t mask_ = 0;
};

struct slot_array_deleter {
  using pointer = slot_array;
  void operator()(slot_array each) const noexcept { each.free(); }
};
/// Slots that readers do not know, yet or any more.
using owned_slot_array = std::unique_ptr<slot_array, slot_array_deleter>;

}  // namespace kv::detail
