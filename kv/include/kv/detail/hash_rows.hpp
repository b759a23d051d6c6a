// The engine of sets and bags: a hash table whose readers take no lock and wait for nobody.
//
// See rows.hpp for what it does. A table has 32 shards, chosen by the highest bits of the hash, so that the order of all
// rows is that of their hashes, whatever the shards' sizes; a key that is not there has its place in it, too. Readers are
// inside (epoch.hpp) while they look; writers hold the lock of the shard for as long as it takes to find and to store
// a word. What they need is allocated before, and what they replace destroyed after. A shard grows alone: the new array
// is allocated without the lock, filled under it, and published whole.
//
// (H1) Who holds the lock of one of its shards knows that a world is the table's, once he has looked under that lock: it
//      is exchanged under the locks of all of them. Who finds that it is not touches nothing of the shard but its lock.
// (H2) Locks of several shards are taken in the order of the shards.
// (H3) Who waits for readers to leave holds no lock.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <kv/detail/epoch.hpp>
#include <kv/detail/hash_row.hpp>
#include <kv/detail/hash_shard.hpp>
#include <kv/detail/hash_walk.hpp>
#include <kv/detail/key_view.hpp>
#include <kv/detail/rows.hpp>

namespace kv::detail {

template <class Key, class Stored, class Counts = one>
class hash_rows {
 public:
  using row = hash_row<Key, Stored>;
  using owned = std::unique_ptr<row>;
  using kept = kept_row<row>;
  using key_arg = key_view<Key>;
  using expectation = detail::expectation<row, kept>;
  using written = write_result<kept>;

  explicit hash_rows(std::uint64_t seed) noexcept : seed_(seed) {}
  hash_rows(const hash_rows&) = delete;
  hash_rows& operator=(const hash_rows&) = delete;
  /// Nobody uses it any more.
  ~hash_rows() { delete world_.load(std::memory_order_acquire); }

  template <class K>
  owned make(K&& key, Stored value) const {
    const auto hash = hash_of(key);
    fetch(hash);  // meanwhile the row is built
    return std::make_unique<row>(hash, std::forward<K>(key), std::move(value));
  }

  // Read -------------------------------------------------------------------------------------------------------------

  template <class Visit>
  auto visit(key_arg key, Visit f) const {
    const auto hash = hash_of(key);
    const epoch_guard inside;
    return f(search(key, hash));
  }
  kept find(key_arg key) const {
    const auto hash = hash_of(key);
    const epoch_guard inside;
    return kept::keeping(search(key, hash));
  }
  template <class Visit>
  bool walk(const Key* after, std::size_t limit, Visit f) const {
    const auto from = position(after);  // hashes: the user's code
    const epoch_guard inside;
    return walk_type(arrays()).forward(from, limit, f);
  }
  template <class Visit>
  bool walk_back(const Key* before, std::size_t limit, Visit f) const {
    const auto from = position(before);  // hashes: the user's code
    const epoch_guard inside;
    return walk_type(arrays()).backward(from, limit, f);
  }

  // Write ------------------------------------------------------------------------------------------------------------

  template <class Check>
  written put(owned next, const expectation& when, Check check) {
    const auto& as = *next;
    return write(as.key, as.hash, std::move(next), when, check);
  }
  template <class Check>
  written remove(key_arg key, const expectation& when, Check check) {
    return write(key, hash_of(key), nullptr, when, check);
  }
  template <class Check>
  std::optional<std::size_t> put_all(std::vector<owned> rows, bool only_new, Check check);
  template <class Check, class Pause>
  void clear(Check check, Pause pause);

  std::size_t size() const {
    return sum([](const shard& s) { return s.size(); });
  }
  std::size_t memory() const {
    return sum([](const shard& s) {
      return sizeof(s) + s.capacity() * sizeof(std::uint64_t) + s.rows() * cell_cache::cell_size(sizeof(row));
    });
  }

 private:
  using shard = hash_shard<row, Counts>;
  using walk_type = hash_walk<row>;
  using lock = std::unique_lock<shard_mutex>;
  static constexpr std::size_t shard_count = std::size_t{1} << slot_array::shard_bits;

  /// All shards. Never freed before the engine, so that a writer who comes too late finds a lock, and then that he has.
  struct world {
    world() noexcept {
      for (std::size_t i = 0; i < shard_count; ++i) shards[i].publish_at(arrays[i]);
    }
    shard& shard_of(std::uint64_t hash) noexcept { return shards[hash_rows::shard_of(hash)]; }

    typename walk_type::array_words arrays{};  // all that a reader needs of it, in few lines
    std::array<shard, shard_count> shards;
    std::unique_ptr<world> next_spare;
  };

  std::uint64_t hash_of(key_arg key) const { return seeded_hash<Key>(key, seed_); }
  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash >> (64 - slot_array::shard_bits); }
  static auto is(key_arg key) {
    return [key](const row& each) { return each.key == key; };
  }

  /// Inside.
  const typename walk_type::array_words* arrays() const noexcept {
    const auto* const all = world_.load(std::memory_order_seq_cst);  // (E1)
    return all == nullptr ? nullptr : &all->arrays;
  }
  static slot_array slots_of(const typename walk_type::array_words& all, std::uint64_t hash) noexcept {
    return slot_array(all[shard_of(hash)].load(std::memory_order_seq_cst));  // (E1)
  }
  const row* search(key_arg key, std::uint64_t hash) const {
    const auto* const all = arrays();
    if (all == nullptr) return nullptr;
    const auto* const found = shard::search(slots_of(*all, hash), hash, is(key));
    return found == nullptr ? nullptr : found->settled();
  }
  /// The slots that a write is going to look at set out, and nobody waits for them.
  void fetch(std::uint64_t hash) const {
    // Never freed, unlike its arrays.
    if (const auto* const all = world_.load(std::memory_order_acquire)) slots_of(all->arrays, hash).fetch(hash);
  }
  std::optional<typename walk_type::position> position(const Key* key) const {
    if (key == nullptr) return std::nullopt;
    return typename walk_type::position{hash_of(*key), key};
  }

  /// Acquire pairs with make_world(): this may be a world that was emptied, without its locks, and is the table's again.
  bool is_current(const world* all) const noexcept { return world_.load(std::memory_order_acquire) == all; }
  world& world_or_new() {
    auto* const all = world_.load(std::memory_order_acquire);
    return all != nullptr ? *all : make_world();
  }
  world& make_world() {
    const std::lock_guard held(spares_mutex_);
    if (auto* const all = world_.load(std::memory_order_acquire)) return *all;
    auto made = spares_ ? std::move(spares_) : std::make_unique<world>();
    spares_ = std::move(made->next_spare);
    world_.store(made.get(), std::memory_order_seq_cst);
    return *made.release();
  }

  template <class Check>
  written write(key_arg key, std::uint64_t hash, owned next, const expectation& when, Check& check) {
    row_list<row> doomed;  // destroyed, as the result, outside the lock
    for (;;) {
      auto& all = world_or_new();
      auto& s = all.shard_of(hash);
      lock held(s.mutex);
      if (!is_current(&all)) continue;  // (H1)
      check();
      const auto where = s.find(hash, is(key));
      if (!when.met_by(where.row)) return {.done = false, .before = kept::keeping(where.row)};
      if (where.row == nullptr) {
        if (next && !s.has_room()) {
          grow(all, s, 1, held);
          continue;
        }
        if (next) s.put(where, next.release());
        return {.done = true};
      }
      kept::reserve();
      next ? s.put(where, next.release()) : s.erase(where);
      when.let_go();
      return {.done = true, .before = s.gone.take(where.row, doomed)};
    }
  }

  /// Gives a shard room for more rows, if nobody else has done so meanwhile. Leaves it unlocked.
  void grow(const world& all, shard& s, std::size_t more, lock& held) {
    if (!is_current(&all)) return held.unlock();  // (H1)
    const auto bits = s.bits_for(more);
    held.unlock();
    owned_slot_array fresh(slot_array::make(bits));
    held.lock();
    if (!is_current(&all) || s.has_room(more) || s.bits_for(more) > bits) return held.unlock();
    const auto old = s.move_to(std::move(fresh));
    held.unlock();
    if (old != nullptr) readers::await_departure();  // (H3)
  }

  /// Visits the shards under the locks of all of them.
  template <class F>
  std::size_t sum(F of_shard) const {
    for (;;) {
      auto* const all = world_.load(std::memory_order_acquire);
      if (all == nullptr) return 0;
      const lock_of_all held(*all);
      if (!is_current(all)) continue;
      std::size_t total = 0;
      for (const auto& s : all->shards) total += of_shard(s);
      return total;
    }
  }
  /// Holds the locks of all shards. Allocates nothing: the death of an owner takes them, too.
  class lock_of_all {
   public:
    explicit lock_of_all(world& all) : all_(all) {
      for (auto& s : all_.shards) s.mutex.lock();  // (H2)
    }
    lock_of_all(const lock_of_all&) = delete;
    lock_of_all& operator=(const lock_of_all&) = delete;
    ~lock_of_all() {
      for (auto& s : all_.shards) s.mutex.unlock();
    }

   private:
    world& all_;
  };

  template <class Check>
  std::pair<world*, std::vector<lock>> lock_for(const std::vector<owned>& rows, const std::vector<std::size_t>& chosen,
                                                Check& check);

  const std::uint64_t seed_;
  std::atomic<world*> world_{
      nullptr};                    // null: there is no row. Exchanged under all its locks (H1); release and acquire
  std::mutex spares_mutex_;        // taken before those of shards, never after
  std::unique_ptr<world> spares_;  // under spares_mutex_: empty ones, in a list
  limbo<row> left_behind_;         // under spares_mutex_: rows of cleared worlds that somebody kept
};

}  // namespace kv::detail

#include <kv/detail/hash_rows_many.hpp>
