// What the program puts in the place of the standard library's and the system's: memory and threads that can be short.
#include <dlfcn.h>
#include <pthread.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "soak/shortage.hpp"

namespace {

[[maybe_unused]] const bool is_obeyed = kv::soak::shortage::is_obeyed_from_now_on();

void* checked(void* found) {
  if (found == nullptr) throw std::bad_alloc();
  return found;
}

void refuse_if_short() {
  if (kv::soak::shortage::refuses_memory()) throw std::bad_alloc();
}

}  // namespace

// The operators for arrays and the nothrow ones come back to these.

void* operator new(std::size_t size) {
  refuse_if_short();
  return checked(std::malloc(size == 0 ? 1 : size));
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  refuse_if_short();
  const auto boundary = static_cast<std::size_t>(alignment);
  return checked(std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary));
}

void operator delete(void* what) noexcept { std::free(what); }
void operator delete(void* what, std::size_t) noexcept { std::free(what); }
void operator delete(void* what, std::align_val_t) noexcept { std::free(what); }
void operator delete(void* what, std::size_t, std::align_val_t) noexcept { std::free(what); }

/// Found before the C library's by everything that is linked dynamically, the standard library's threads included.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                              void* argument) noexcept {
  static const auto real = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return kv::soak::shortage::refuses_threads() ? EAGAIN : real(thread, attributes, start, argument);
}
