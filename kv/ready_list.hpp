// Processes that wait for their turn.
#pragma once

#include <utility>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// First in, first out, through process::next_ready. Holds the claims of what is in it. Not synchronised.
class ready_list {
 public:
  bool empty() const noexcept { return first_ == nullptr; }

  void push(process& p) noexcept {
    p.next_ready = nullptr;
    (first_ == nullptr ? first_ : last_->next_ready) = &p;
    last_ = &p;
  }

  process* pop() noexcept {
    auto* const p = first_;
    if (p != nullptr) first_ = std::exchange(p->next_ready, nullptr);
    return p;
  }

 private:
  process* first_ = nullptr;
  process* last_ = nullptr;  // meaningless while first_ is null
};

}  // namespace kv::detail
