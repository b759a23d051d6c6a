// What the engine of sets does to many rows at once.
#pragma once

#include <kv/detail/hash_rows.hpp>

namespace kv::detail {

/// Returns which rows are the last of their keys, in the order of their hashes and so of their shards.
template <class Row>
std::vector<std::size_t> last_of_each_key(const std::vector<std::unique_ptr<Row>>& rows) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(rows[i]->hash, i); });
  std::vector<std::size_t> result;
  result.reserve(order.size());
  for (auto i = order.begin(); i != order.end(); ++i) {
    auto later = i + 1;
    while (later != order.end() && rows[*later]->hash == rows[*i]->hash && !(rows[*later]->key == rows[*i]->key))
      ++later;
    if (later == order.end() || rows[*later]->hash != rows[*i]->hash) result.push_back(*i);
  }
  return result;
}

template <class Key, class Stored, class Counts>
template <class Check>
std::optional<std::size_t> hash_rows<Key, Stored, Counts>::put_all(std::vector<owned> rows, bool only_new,
                                                                   Check check) {
  if (rows.empty()) {
    check();
    return std::nullopt;
  }
  const auto chosen = last_of_each_key(rows);
  row_batch<row> batch(chosen.size());
  for (const auto i : chosen) {
    rows[i]->join(batch);
    batch.add(rows[i].get());
  }
  batch.sort();
  std::vector<std::pair<shard*, row*>> replaced;
  replaced.reserve(chosen.size());
  row_list<row> doomed;  // destroyed last: outside the locks
  {
    const auto [all, held] = lock_for(rows, chosen, check);
    for (std::size_t i = 0; only_new && i < rows.size(); ++i) {
      if (all->shard_of(rows[i]->hash).find(rows[i]->hash, is(rows[i]->key)).row != nullptr) return i;
    }
    for (const auto i : chosen) {
      auto& s = all->shard_of(rows[i]->hash);
      const auto where = s.find(rows[i]->hash, is(rows[i]->key));
      if (where.row != nullptr) replaced.emplace_back(&s, where.row);
      batch.set_before(rows[i].get(), where.row);
      s.put(where, rows[i].release());
    }
    batch.done();
    batch.settle_all();
    for (const auto& [s, old] : replaced) s->gone.add(old, doomed);
  }
  readers::await_departure();  // (H3) until then somebody may ask the batch
  return std::nullopt;
}

/// Locks the shards of the chosen rows, all of which have room for them.
template <class Key, class Stored, class Counts>
template <class Check>
auto hash_rows<Key, Stored, Counts>::lock_for(const std::vector<owned>& rows, const std::vector<std::size_t>& chosen,
                                              Check& check) -> std::pair<world*, std::vector<lock>> {
  for (;;) {
    auto* const all = &world_or_new();
    std::vector<lock> held;
    held.reserve(shard_count);
    std::vector<std::pair<shard*, std::size_t>> concerned;  // and how many rows come into each
    for (const auto i : chosen) {
      auto* const s = &all->shard_of(rows[i]->hash);
      if (concerned.empty() || concerned.back().first != s) concerned.emplace_back(s, 0);
      ++concerned.back().second;
    }
    for (const auto& [s, more] : concerned) held.emplace_back(s->mutex);  // (H2)
    if (!is_current(all)) continue;                                       // (H1)
    check();
    const auto full = std::ranges::find_if(concerned, [](const auto& c) { return !c.first->has_room(c.second); });
    if (full == concerned.end()) return {all, std::move(held)};
    held.clear();
    lock one(full->first->mutex);
    grow(*all, *full->first, full->second, one);
  }
}

template <class Key, class Stored, class Counts>
template <class Check, class Pause>
void hash_rows<Key, Stored, Counts>::clear(Check check, Pause pause) {
  world* all = nullptr;
  for (;;) {
    all = world_.load(std::memory_order_acquire);
    if (all == nullptr) return check();
    const lock_of_all held(*all);
    if (!is_current(all)) continue;
    check();
    world_.store(nullptr, std::memory_order_seq_cst);  // (E1), (H1)
    break;
  }
  readers::await_departure();  // (H3)
  // From here on nobody finds these rows, and writers who still come by find that they are too late.
  row_list<row> doomed;
  for (auto& s : all->shards) {
    s.take_all(doomed, [&] { left_behind_.destroy(doomed, spares_mutex_), pause(); });
  }
  left_behind_.destroy(doomed, spares_mutex_);
  const std::lock_guard held(spares_mutex_);
  all->next_spare = std::move(spares_);
  spares_.reset(all);
}

}  // namespace kv::detail
