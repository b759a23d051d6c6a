// What the program is short of, and who feels it.
#pragma once

#include <cstdint>

namespace kv::soak {

/// Says what there is too little of. Refuses nothing itself: the program's operator new and pthread_create ask it, those
/// of interposed.cpp. Any thread; where they do not ask, nothing is ever short.
///
/// Memory is short for the tree's own processes alone, so that the model, which is on their side of every call, stays
/// right: for buckets, the bucket supervisor, the registry, the event manager and the root, also while they start and end.
class shortage {
 public:
  /// From now on one of so many allocations of the tree's processes fails, by a sequence of each thread's own; 0: none.
  static void of_memory(unsigned one_in) noexcept;
  /// From now on the system has no thread to give, or has some again.
  static void of_threads(bool is_on) noexcept;

  /// Asked by who allocates.
  static bool refuses_memory() noexcept;
  /// Asked by who starts a thread.
  static bool refuses_threads() noexcept;

  /// Return how often that was refused.
  static std::uint64_t memory_refusals() noexcept;
  static std::uint64_t thread_refusals() noexcept;

  /// The program has an operator new and a pthread_create that ask. Called before main().
  static bool is_obeyed_from_now_on() noexcept;
  static bool is_obeyed() noexcept;

  /// For its scope this thread works for the model, in whatever process: it has memory.
  class exemption {
   public:
    exemption() noexcept;
    exemption(const exemption&) = delete;
    exemption& operator=(const exemption&) = delete;
    ~exemption();
  };
};

}  // namespace kv::soak
