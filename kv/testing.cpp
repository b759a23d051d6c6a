#include <kv/testing.hpp>

#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "expectation.hpp"

namespace kv::testing {

namespace {

/// Freezes the process that runs it, from the end of this callback on.
class suspend_request final : public detail::request {
 public:
  const std::type_info& type() const noexcept override { return typeid(suspend_request); }
  void run(void*) override { detail::current_process->is_suspended = true; }
};

}  // namespace

// probe ----------------------------------------------------------------------------------------------------------

probe::probe(runtime& home) : self_(home.core().open_external()) {}

probe::~probe() { self_.home->close_external(self_); }

void probe::fail(const std::type_info& wanted, std::source_location where) {
  std::map<std::string, std::size_t> waiting;
  self_.queue.take_first([&](detail::message& m) {
    ++waiting[detail::type_name(m.type())];
    return false;
  });
  std::string instead;
  for (const auto& [type, count] : waiting) {
    instead += (instead.empty() ? "" : ", ") + std::to_string(count) + " " + type;
  }
  fail_expectation(*self_.home, where,
                   "no " + detail::type_name(wanted) + " came; waiting are: " + (instead.empty() ? "none" : instead));
}

// Ends -----------------------------------------------------------------------------------------------------------

exit_reason exit_and_await(runtime& home, pid whom, const exit_reason& reason, std::source_location where) {
  probe waiting(home);
  const auto watch = waiting.monitor(whom);
  home.core().send_exit(whom, home.core().own_name(), reason);
  const auto news = waiting.run([&] { return await(watch, patience); });
  if (!news) fail_expectation(home.core(), where, "process " + to_string(whom) + " did not end");
  return news->reason;
}

exit_reason kill_and_await(runtime& home, pid whom, std::source_location where) {
  return exit_and_await(home, whom, exit_reason::kill, where);
}

// suspended ------------------------------------------------------------------------------------------------------

suspended::suspended(runtime& home, pid whom)
    : home_(home), whom_(whom), resume_(std::make_unique<detail::control_signal>(detail::signal::op::resume, pid{})) {
  const auto reply = home.core().transact(whom, std::make_unique<suspend_request>(), patience);
  if (reply->failed) throw call_error(call_error::code::exited, whom, reply->failure);
}

suspended::~suspended() { home_.core().send_signal(whom_, std::move(resume_)); }

// watchdog -------------------------------------------------------------------------------------------------------

struct watchdog::inside {
  std::mutex mutex;
  std::condition_variable condition;
  bool over = false;  // under mutex
  std::thread thread;
};

watchdog::watchdog(std::string test, std::chrono::nanoseconds limit) : inside_(std::make_unique<inside>()) {
  inside_->thread = std::thread([shared = inside_.get(), test = std::move(test), limit] {
    std::unique_lock lock(shared->mutex);
    if (shared->condition.wait_for(lock, limit, [&] { return shared->over; })) return;
    std::cerr << "kv: the test \"" << test << "\" hangs; giving up after "
              << std::chrono::duration_cast<std::chrono::seconds>(limit).count() << " s\n";
    std::abort();
  });
}

watchdog::~watchdog() {
  {
    const std::lock_guard lock(inside_->mutex);
    inside_->over = true;
  }
  inside_->condition.notify_one();
  inside_->thread.join();
}

}  // namespace kv::testing
