// Data inside its lock.
#pragma once

#include <mutex>
#include <utility>

namespace kv::detail {

/// A value that can only be reached under its mutex: `guarded.with([](T& value) { … })`.
template <class T>
class guarded {
 public:
  template <class F>
  decltype(auto) with(F&& visit) {
    const std::lock_guard lock(mutex_);
    return std::forward<F>(visit)(value_);
  }
  template <class F>
  decltype(auto) with(F&& visit) const {
    const std::lock_guard lock(mutex_);
    return std::forward<F>(visit)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

}  // namespace kv::detail
