// Where the rows of a shard are found: an array of words, each a row's address and a part of its hash.
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace kv::detail {

static_assert(sizeof(void*) == 8, "an address and a tag share a word");

/// What stands in a slot. A word that holds no row is `empty`, where every search ends, or `erased`, where none does.
struct slot_word {
  static constexpr std::uint64_t empty = 0;
  static constexpr std::uint64_t erased = 1;  // its tag is even, which no row's is

  static std::uint64_t tag_of(std::uint64_t hash) noexcept { return (hash & 0xffffU) | 1U; }
  static std::uint64_t make(const void* row, std::uint64_t hash) noexcept {
    const auto address = reinterpret_cast<std::uint64_t>(row);
    assert(address >> address_bits == 0 && "addresses of user space have 48 bits");
    return address | tag_of(hash) << address_bits;
  }
  template <class Row>
  static Row* row_of(std::uint64_t word) noexcept {
    return reinterpret_cast<Row*>(word & ((std::uint64_t{1} << address_bits) - 1));
  }
  static bool is_row(std::uint64_t word) noexcept { return word > erased; }
  static bool may_be(std::uint64_t word, std::uint64_t hash) noexcept { return word >> address_bits == tag_of(hash); }

 private:
  static constexpr unsigned address_bits = 48;
};

/// Slots in the order of hashes: those bits of a hash that follow the ones that choose the shard say where a row is at
/// home, and it stands there or in the first slot after it that was free. A power of two of them; the first follows the
/// last.
class alignas(std::uint64_t) slot_array {  // its words follow it
 public:
  /// All locks of a table at once are fewer than 64: as many as ThreadSanitizer can follow.
  static constexpr unsigned shard_bits = 5;
  /// Throws std::bad_alloc.
  static std::unique_ptr<slot_array> make(unsigned bits) {
    // Zeroed by the system when it is large, and then page by page, as it is used.
    auto* const memory = std::calloc(1, sizeof(slot_array) + (sizeof(std::uint64_t) << bits));
    if (memory == nullptr) throw std::bad_alloc();
    return std::unique_ptr<slot_array>(new (memory) slot_array(bits));
  }
  static void operator delete(void* memory) noexcept { std::free(memory); }
  static void* operator new(std::size_t, void* memory) noexcept { return memory; }

  std::size_t size() const noexcept { return std::size_t{1} << bits_; }
  unsigned bits() const noexcept { return bits_; }
  std::size_t home(std::uint64_t hash) const noexcept { return hash << shard_bits >> (64 - bits_); }
  std::size_t next(std::size_t i) const noexcept { return (i + 1) & (size() - 1); }
  std::size_t previous(std::size_t i) const noexcept { return (i - 1) & (size() - 1); }

  /// Sequentially consistent, as (E1) demands. On x86 and ARM that costs a reader no more than acquire, with which it
  /// sees the row that the word leads to.
  std::uint64_t load(std::size_t i) const noexcept { return words()[i].load(std::memory_order_seq_cst); }
  /// The holder of the shard's lock reads what he, or who held it before, has written.
  std::uint64_t peek(std::size_t i) const noexcept { return words()[i].load(std::memory_order_relaxed); }
  /// The holder of the shard's lock.
  void store(std::size_t i, std::uint64_t word) noexcept { words()[i].store(word, std::memory_order_seq_cst); }
  /// The only one who knows this array.
  void fill(std::size_t i, std::uint64_t word) noexcept { words()[i].store(word, std::memory_order_relaxed); }

 private:
  explicit slot_array(unsigned bits) noexcept : bits_(bits) {}
  std::atomic<std::uint64_t>* words() noexcept { return reinterpret_cast<std::atomic<std::uint64_t>*>(this + 1); }
  const std::atomic<std::uint64_t>* words() const noexcept {
    return reinterpret_cast<const std::atomic<std::uint64_t>*>(this + 1);
  }

  const unsigned bits_;
};

}  // namespace kv::detail
