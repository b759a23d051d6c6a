#include "stack_overflow.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <mutex>

#include <kv/detail/core.hpp>

#include "names.hpp"
#include "stack_pool.hpp"

namespace kv::detail {

namespace {

/// Returns where the stack of the interrupted function ended; 0 where that is not known.
std::uintptr_t stack_pointer([[maybe_unused]] const void* context) noexcept {
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
#elif defined(__aarch64__)
  return static_cast<const ucontext_t*>(context)->uc_mcontext.sp;
#else
  return 0;
#endif
}

// What to say ----------------------------------------------------------------------------------------------------

std::string_view class_of(const process& p) noexcept {
  // Null where the state is just being destroyed.
  const auto* const body = p.body.get();
  if (body != nullptr && !body->class_name().empty()) return body->class_name();
  const auto* const type = p.type.load(std::memory_order_relaxed);
  return type == nullptr ? std::string_view() : type->name();
}

void name(signal_safe_line& line, const process& p) noexcept {
  const auto id = p.id();
  line << "process <" << std::size_t{id.slot} << '.' << std::size_t{id.generation} << "> (" << class_of(p);
  const auto add_name = [](void* to, std::string_view text) {
    *static_cast<signal_safe_line*>(to) << ", \"" << text << '"';
  };
  if (p.has_names.load(std::memory_order_relaxed)) p.home->read_name(p.id(), add_name, &line);
  line << ')';
}

void explain(const running_stack& stack) noexcept {
  signal_safe_line line;
  const auto* const owner = stack.runs_on_it();
  const auto* const culprit = current_process != nullptr ? current_process : owner;
  line << "kv: ";
  if (culprit == nullptr) {
    line << "a scheduler thread has overflowed a stack of " << stack.size() << " bytes";
  } else {
    name(line, *culprit);
    line << " has overflowed " << (culprit == owner ? "its stack of " : "its caller's stack of ") << stack.size()
         << " bytes";
  }
  if (culprit != owner && owner != nullptr) {
    line << "; the caller is ";
    name(line, *owner);
  }
  line << (stack.is_of_pool() ? " (runtime_options::stack_size)" : " (that of a thread)");
  line.write();
}

// Who handled the signal before ----------------------------------------------------------------------------------

constinit std::mutex watch_mutex;
constinit std::size_t watches = 0;  // under watch_mutex
// Written under watch_mutex before the handler is there, and read by it.
struct sigaction earlier_handler = {};

void reset() noexcept {
  struct sigaction plain = {};
  plain.sa_handler = SIG_DFL;
  ::sigaction(SIGSEGV, &plain, nullptr);
}

/// Without a handler before, the faulting instruction runs again when this returns, and ends the program.
void pass_on(int number, siginfo_t* fault, void* context) noexcept {
  const bool was_sent = fault->si_code <= 0;  // by kill(): nothing runs again by itself
  const bool is_function = (earlier_handler.sa_flags & SA_SIGINFO) != 0;
  if (!is_function && earlier_handler.sa_handler == SIG_IGN && was_sent) return;
  if (!is_function && (earlier_handler.sa_handler == SIG_DFL || earlier_handler.sa_handler == SIG_IGN)) {
    reset();
    if (was_sent) ::raise(number);
    return;
  }
  if ((static_cast<unsigned>(earlier_handler.sa_flags) & SA_RESETHAND) != 0) reset();
  is_function ? earlier_handler.sa_sigaction(number, fault, context) : earlier_handler.sa_handler(number);
}

void on_fault(int number, siginfo_t* fault, void* context) {
  if (const auto* const stack = running_stack::overflowed(*fault, context)) explain(*stack);
  pass_on(number, fault, context);
}

bool is_ours(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_fault;
}

}  // namespace

// running_stack --------------------------------------------------------------------------------------------------

running_stack::running_stack(const process& only) noexcept : running_stack(nullptr, 0, false) {
  runs_ = &only;
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return;
  void* bottom = nullptr;
  if (::pthread_attr_getstack(&attributes, &bottom, &size_) == 0) bottom_ = static_cast<const char*>(bottom);
  ::pthread_attr_destroy(&attributes);
}

const running_stack* running_stack::overflowed(const siginfo_t& fault, const void* context) noexcept {
  const auto* const mine = current;
  if (mine == nullptr || mine->bottom_ == nullptr || fault.si_code <= 0) return nullptr;
  constexpr std::uintptr_t small_guard = 4096;             // a thread's
  constexpr std::uintptr_t furthest = 64UL * 1024 * 1024;  // beyond the end, which is believed to be the stack's
  constexpr std::uintptr_t below_the_pointer = 4096;       // where functions write without moving it
  const auto address = reinterpret_cast<std::uintptr_t>(fault.si_addr);
  const auto end = reinterpret_cast<std::uintptr_t>(mine->bottom_);
  if (address >= end) return nullptr;
  if (address >= end - (mine->is_of_pool_ ? stack_pool::guard_size : small_guard)) return mine;
  // A function with large variables may have gone past the guard.
  const auto pointer = stack_pointer(context);
  const bool is_beyond = pointer < end && pointer >= end - std::min(end, furthest);
  return is_beyond && address + below_the_pointer >= pointer ? mine : nullptr;
}

// alternate_stack ------------------------------------------------------------------------------------------------

alternate_stack::alternate_stack() noexcept {
  stack_t there = {};
  if (::sigaltstack(nullptr, &there) != 0 || (there.ss_flags & SS_DISABLE) == 0) return;
  constexpr std::size_t enough = 64UL * 1024;
  size_ = std::max(enough, static_cast<std::size_t>(std::max(0L, ::sysconf(_SC_SIGSTKSZ))));
  void* const memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  memory_ = memory;
  stack_t mine = {};
  mine.ss_sp = memory;
  mine.ss_size = size_;
  ::sigaltstack(&mine, nullptr);
}

alternate_stack::~alternate_stack() {
  if (memory_ == nullptr) return;
  stack_t none = {};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
  ::munmap(memory_, size_);
}

// overflow_watch -------------------------------------------------------------------------------------------------

overflow_watch::overflow_watch(bool on) : on_(on) {
  if (!on_) return;
  const std::lock_guard lock(watch_mutex);
  if (++watches > 1) return;
  struct sigaction there = {};
  if (::sigaction(SIGSEGV, nullptr, &there) != 0 || is_ours(there)) return;
  earlier_handler = there;
  struct sigaction mine = {};
  mine.sa_sigaction = on_fault;
  mine.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&mine.sa_mask);
  ::sigaction(SIGSEGV, &mine, nullptr);
}

overflow_watch::~overflow_watch() {
  if (!on_) return;
  const std::lock_guard lock(watch_mutex);
  if (--watches > 0) return;
  struct sigaction there = {};
  // Whoever has come since may call this one, so it stays what it is.
  if (::sigaction(SIGSEGV, nullptr, &there) == 0 && is_ours(there)) ::sigaction(SIGSEGV, &earlier_handler, nullptr);
}

// signal_safe_line -----------------------------------------------------------------------------------------------

signal_safe_line& signal_safe_line::operator<<(std::string_view text) noexcept {
  const auto length = std::min(text.size(), capacity - size_);
  std::copy_n(text.data(), length, text_ + size_);
  size_ += length;
  return *this;
}

signal_safe_line& signal_safe_line::operator<<(char one) noexcept { return *this << std::string_view(&one, 1); }

signal_safe_line& signal_safe_line::operator<<(std::size_t number) noexcept {
  char digits[20];
  auto* first = std::end(digits);
  do {
    *--first = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return *this << std::string_view(first, static_cast<std::size_t>(std::end(digits) - first));
}

void signal_safe_line::write() noexcept {
  text_[size_++] = '\n';
  if (::write(STDERR_FILENO, text_, size_) < 0) return;  // and there is nobody else to tell
}

// core -----------------------------------------------------------------------------------------------------------

void core::read_name(pid who, void (*use)(void* with, std::string_view name), void* with) const noexcept {
  names_->read_one(who, [=](std::string_view name) { use(with, name); });
}

}  // namespace kv::detail
