// Collects what a runtime reports.
#pragma once

#include <condition_variable>
#include <mutex>
#include <variant>
#include <vector>

#include <kv/report.hpp>

/// Any thread may report; the test reads when whatever it tests has happened.
class reports {
 public:
  kv::report_sink sink() {
    return [this](const kv::report& entry) {
      const std::lock_guard lock(mutex_);
      entries_.push_back(entry);
      came_.notify_all();
    };
  }
  template <class R>
  std::vector<R> all() const {
    const std::lock_guard lock(mutex_);
    return chosen<R>();
  }
  /// Waits for the first of that kind. Not in a simulation, where nothing goes on meanwhile.
  template <class R>
  void await() const {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !chosen<R>().empty(); });
  }

 private:
  template <class R>
  std::vector<R> chosen() const {
    std::vector<R> result;
    for (const auto& entry : entries_) {
      if (const auto* const found = std::get_if<R>(&entry)) result.push_back(*found);
    }
    return result;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable came_;  // tells of entries_
  std::vector<kv::report> entries_;       // under mutex_
};
