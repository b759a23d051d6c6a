#include <kv/detail/slab.hpp>

#include <limits>
#include <new>
#include <string>

#include <kv/detail/core.hpp>

namespace kv::detail {

void slab::clear() noexcept {
  shut();
  used_.store(0, std::memory_order_relaxed);
  for (auto& chunk : chunks_) {
    auto* const first = chunk.exchange(nullptr, std::memory_order_relaxed);
    if (first == nullptr) return;
    delete[] first;
  }
}

process* slab::take(const std::type_info* type, bool with_reserve) {
  const std::lock_guard lock(mutex_);
  if (is_shut_) return nullptr;
  const auto living = used_.load(std::memory_order_relaxed) - free_;
  if (living >= limit_ + (with_reserve ? reserved_slots : 0)) {
    throw system_limit("there are " + std::to_string(living) +
                       " processes, and no more may be (runtime_options::max_processes)");
  }
  auto* p = first_free_;
  if (p != nullptr) {
    first_free_ = std::exchange(p->next_ready, nullptr);
    --free_;
  } else {
    p = &grow();
  }
  // Before anybody can find it alive: shut_down() kills what has a type.
  p->type.store(type, std::memory_order_release);
  // After the generation that the last process left behind: see process::living().
  p->life.store(stage::starting, std::memory_order_release);
  p->mailbox.open(p->generation.load(std::memory_order_relaxed));
  return p;
}

process& slab::grow() {
  const auto slot = used_.load(std::memory_order_relaxed);
  auto& chunk = chunks_[slot / chunk_slots];
  if (slot % chunk_slots == 0) chunk.store(new process[chunk_slots], std::memory_order_release);
  auto& p = *at(slot);
  p.slot = slot;
  p.home = &owner_;
  p.node = owner_.node();
  used_.store(slot + 1, std::memory_order_release);
  return p;
}

void slab::give_back(process& p) {
  if (p.generation.load(std::memory_order_relaxed) == std::numeric_limits<std::uint32_t>::max()) return;
  const std::lock_guard lock(mutex_);
  p.next_ready = nullptr;
  (first_free_ == nullptr ? first_free_ : last_free_->next_ready) = &p;
  last_free_ = &p;
  ++free_;
}

void slab::shut() {
  const std::lock_guard lock(mutex_);
  is_shut_ = true;
}

}  // namespace kv::detail
