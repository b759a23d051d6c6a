// Who acts when a plain thread does.
#pragma once

#include <kv/detail/core.hpp>

namespace kv::detail {

/// The current process if it belongs to `c`, a stand-in for the plain thread if not. For a scope.
class caller {
 public:
  /// Throws system_limit, std::bad_alloc.
  explicit caller(core& c, bool with_reserve = false);
  caller(const caller&) = delete;
  caller& operator=(const caller&) = delete;
  ~caller();
  process& self() const noexcept { return *self_; }

 private:
  core& core_;
  process* stand_in_ = nullptr;
  process* self_;
};

}  // namespace kv::detail
