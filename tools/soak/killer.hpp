// Who sees to it that things die.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include <kv/kv.hpp>

#include "soak/calamities.hpp"
#include "soak/keeper.hpp"

namespace kv::soak {

/// What the supervisor has restarted. Any thread.
class restart_log {
 public:
  void note(const restart_report& entry);
  std::uint64_t count() const noexcept { return count_; }

  void forget(const std::string& child);
  /// Waits until that child was restarted since it was forgotten.
  void await(const std::string& child);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, bool> is_back_;  // under mutex_
  std::atomic<std::uint64_t> count_{0};
};

/// Lets the killer strike after so much work, however long that takes.
class pacemaker {
 public:
  void work_done();
  /// Nobody waits any more.
  void close();
  /// Waits for so many units of work from now on; false when it was closed.
  bool await(unsigned units);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t units_ = 0;  // under mutex_
  bool is_closed_ = false;   // under mutex_
};

/// Kills parts of the tree, one or several at a time, and now and then the whole. Waits until all is back before it
/// goes on, so no supervisor ever gives up.
class killer {
 public:
  struct surroundings {
    runtime& home;
    ref<soak::keeper> keeper;
    calamities& kills;
    restart_log& restarts;
    pacemaker& pace;
  };
  killer(const surroundings& where, std::uint64_t seed) : in_(where), random_(seed) {}

  /// Blocks the calling thread until the pacemaker is closed.
  void run();

 private:
  void strike();
  void kill_parts(const std::vector<part>& victims);
  unsigned pick(unsigned count) { return std::uniform_int_distribution(0U, count - 1)(random_); }

  surroundings in_;
  std::mt19937_64 random_;
};

}  // namespace kv::soak
