// What was restarted, and what lets the killer wait for work.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include <kv/report.hpp>

namespace kv::soak {

/// What the supervisor has restarted. Any thread.
class restart_log {
 public:
  void note(const restart_report& entry);
  /// The whole tree is another, and so are all its children.
  void note_all();
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
  /// There is no waiting any more.
  void close();
  /// Waits for so many units of work from now on; false when it was closed.
  bool await(unsigned units);
  /// The same, until then at the latest: false then, too.
  bool await(unsigned units, std::chrono::steady_clock::time_point deadline);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t units_ = 0;  // under mutex_
  bool is_closed_ = false;   // under mutex_
};

}  // namespace kv::soak
