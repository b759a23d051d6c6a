// The operators new and delete of a program whose allocations can be made to fail. A library of their own: in that of kv
// the linker would find them before the standard library's, and take them for every program.
#include <cstdlib>
#include <new>

#include <kv/detail/allocation.hpp>

// A program's own operator new goes first, where it has one; so does a sanitizer's.
#define KV_REPLACEABLE __attribute__((weak))

namespace {

/// As the standard wants it: the new handler may find some memory, or throws.
template <class F>
void* insist(F allocate) {
  for (;;) {
    if (void* const found = allocate()) return found;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

}  // namespace

// The operators for arrays and the nothrow ones come back to these.

KV_REPLACEABLE void* operator new(std::size_t size) {
  kv::detail::fail_on_purpose();
  return insist([size] { return std::malloc(size == 0 ? 1 : size); });
}

KV_REPLACEABLE void* operator new(std::size_t size, std::align_val_t alignment) {
  kv::detail::fail_on_purpose();
  const auto boundary = static_cast<std::size_t>(alignment);
  return insist([=] { return std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary); });
}

KV_REPLACEABLE void operator delete(void* what) noexcept { std::free(what); }
KV_REPLACEABLE void operator delete(void* what, std::size_t) noexcept { std::free(what); }
KV_REPLACEABLE void operator delete(void* what, std::align_val_t) noexcept { std::free(what); }
KV_REPLACEABLE void operator delete(void* what, std::size_t, std::align_val_t) noexcept { std::free(what); }
