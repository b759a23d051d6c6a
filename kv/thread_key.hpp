// What a thread has to do at its end.
#pragma once

#include <pthread.h>

#include <string>
#include <system_error>

namespace kv::detail {

/// Returns a key: a thread that sets it calls `at_end` with what it has set, after its thread_local objects are destroyed.
/// Such an object of our own would come before some of the user's, and glibc ends the program when it has no memory to
/// register one. A program has some 1,000 keys. Throws system_error when none is left.
inline pthread_key_t make_thread_key(void (*at_end)(void*), const char* whose) {
  pthread_key_t made{};
  if (const int error = pthread_key_create(&made, at_end)) {
    throw std::system_error(error, std::system_category(), std::string("no pthread key for ") + whose);
  }
  return made;
}

}  // namespace kv::detail
