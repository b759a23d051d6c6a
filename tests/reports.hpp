// Collects what a runtime reports.
#pragma once

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
    };
  }
  template <class R>
  std::vector<R> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<R> result;
    for (const auto& entry : entries_) {
      if (const auto* const found = std::get_if<R>(&entry)) result.push_back(*found);
    }
    return result;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<kv::report> entries_;  // under mutex_
};
