// What is wrong, told at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace kv::soak {

/// Counts what should never happen, and hands each to the printer. Any thread.
class findings {
 public:
  explicit findings(std::function<void(const std::string&)> print) : print_(std::move(print)) {}

  /// An answer that the model does not allow.
  void wrong(const std::string& what) {
    ++wrong_;
    print_("WRONG: " + what);
  }
  /// Something is gone, or was never told, without a reason.
  void lost(const std::string& what) {
    ++lost_;
    print_("LOST: " + what);
  }
  std::uint64_t wrong_count() const noexcept { return wrong_; }
  std::uint64_t lost_count() const noexcept { return lost_; }

 private:
  std::function<void(const std::string&)> print_;
  std::atomic<std::uint64_t> wrong_{0};
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace kv::soak
