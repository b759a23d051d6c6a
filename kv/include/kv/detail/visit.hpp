// How long who comes from outside keeps a runtime from ending.
#pragma once

#include <cstdint>
#include <optional>

#include <kv/detail/process.hpp>
#include <kv/pid.hpp>

namespace kv::detail {

class core;

/// Keeps a runtime from ending for a scope, which must not wait for anything; false when it has ended. What may be the
/// user's is not destroyed in it: that could be what ends the runtime.
class visit {
 public:
  explicit visit(std::uint32_t node) noexcept;
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;
  ~visit();

  explicit operator bool() const noexcept { return home_ != nullptr; }
  core* operator->() const noexcept { return home_; }
  core& operator*() const noexcept { return *home_; }

 private:
  std::uint32_t node_;
  core* home_;
};

/// A visit to the runtime of a process, but only when a process of another runtime goes there, whose own end does not wait
/// for it. Inside one runtime, and for plain threads, which see to it that the runtime outlives what they do, it costs a
/// comparison.
class crossing {
 public:
  explicit crossing(pid to) noexcept {
    if (comes_from_elsewhere(to)) [[unlikely]]
      there_.emplace(to.node);
  }
  /// Tells whether a process of another runtime than that pid's runs on this thread.
  static bool comes_from_elsewhere(pid to) noexcept {
    return current_process != nullptr && current_process->node != to.node;
  }
  /// False when the runtime has ended.
  bool is_open() const noexcept { return !there_ || *there_; }

 private:
  std::optional<visit> there_;
};

}  // namespace kv::detail
