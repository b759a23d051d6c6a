// What is said when a process overflows its stack.
#pragma once

#include <csignal>
#include <cstddef>
#include <string_view>
#include <utility>

#include <boost/context/stack_context.hpp>

namespace kv::detail {

struct process;

/// The stack that this thread runs on, where it is one of a process. Stands at its beginning, for as long as it is used.
class running_stack {
 public:
  /// A stack of the pool.
  explicit running_stack(const boost::context::stack_context& stack) noexcept
      : running_stack(static_cast<char*>(stack.sp) - stack.size, stack.size, true) {}
  /// The stack of the calling thread, which runs that process and no other.
  explicit running_stack(const process& only) noexcept;
  running_stack(const running_stack&) = delete;
  running_stack& operator=(const running_stack&) = delete;
  ~running_stack() { current = nullptr; }

  /// The process that begins on the current stack. It may call leaves there, too.
  static void runs(const process& p) noexcept {
    if (current != nullptr) current->runs_ = &p;
  }
  /// A signal handler. Returns the stack of the faulting function if that fault is its overflow, or null.
  static const running_stack* overflowed(const siginfo_t& fault, const void* context) noexcept;

  const process* runs_on_it() const noexcept { return runs_; }
  std::size_t size() const noexcept { return size_; }
  bool is_of_pool() const noexcept { return is_of_pool_; }

  /// Stands on a stack while the thread runs on another.
  class keep {
   public:
    keep() noexcept : mine_(current) {}
    keep(const keep&) = delete;
    keep& operator=(const keep&) = delete;
    ~keep() { current = mine_; }

   private:
    running_stack* mine_;
  };

 private:
  running_stack(const char* bottom, std::size_t size, bool is_of_pool) noexcept
      : bottom_(bottom), size_(size), is_of_pool_(is_of_pool) {
    current = this;
  }

  inline static constinit thread_local running_stack* current = nullptr;

  const char* bottom_;  // below it is the guard
  std::size_t size_;
  bool is_of_pool_;
  const process* runs_ = nullptr;
};

/// A stack for signal handlers: who has overflowed its own has none. Stands on the stack of a thread that runs processes.
class alternate_stack {
 public:
  alternate_stack() noexcept;
  alternate_stack(const alternate_stack&) = delete;
  alternate_stack& operator=(const alternate_stack&) = delete;
  ~alternate_stack();

 private:
  void* memory_ = nullptr;  // null when the thread had one before, or the system has none to give
  std::size_t size_ = 0;
};

/// While one of these exists, a process that overflows its stack is named on standard error before the program ends with
/// SIGSEGV. What handled the signal before is called then, and for every other fault.
class overflow_watch {
 public:
  explicit overflow_watch(bool on);
  overflow_watch(const overflow_watch&) = delete;
  overflow_watch& operator=(const overflow_watch&) = delete;
  ~overflow_watch();

 private:
  bool on_;
};

/// A line of text, put together without allocating anything, for signal handlers. What has no room is left out.
class signal_safe_line {
 public:
  signal_safe_line& operator<<(std::string_view text) noexcept;
  signal_safe_line& operator<<(std::size_t number) noexcept;
  signal_safe_line& operator<<(char one) noexcept;
  /// Ends the line and writes it to standard error.
  void write() noexcept;

 private:
  static constexpr std::size_t capacity = 1024;
  char text_[capacity + 1] = {};
  std::size_t size_ = 0;
};

}  // namespace kv::detail
