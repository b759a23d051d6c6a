#include "children.hpp"

#include <stdexcept>
#include <string>

namespace kv::detail {

namespace {

/// Processes that start in its scope are those of a child that has been restarted so often.
class restart_count {
 public:
  explicit restart_count(unsigned count) : self_(this_process()) { self_.business().next_restarts = count; }
  restart_count(const restart_count&) = delete;
  restart_count& operator=(const restart_count&) = delete;
  ~restart_count() { self_.business().next_restarts = 0; }

 private:
  process& self_;
};

}  // namespace

start_attempt try_start(const child_spec& spec, unsigned restarts) {
  const restart_count here(restarts);
  try {
    return {.who = spec.start()};
  } catch (const unwind&) {
    throw;
  } catch (const start_error& e) {
    return {.failure = e.reason(), .what = e.what()};
  } catch (...) {
    auto reason = exit_reason::error(std::current_exception());
    std::string text(reason.text());
    return {.failure = std::move(reason), .what = std::move(text)};
  }
}

void check_spec(const child_spec& spec) {
  if (spec.id.empty()) throw std::invalid_argument("a child has an empty id");
  if (!spec.start) throw std::invalid_argument("child " + spec.id + " has no start function");
  if (spec.is_supervisor && !spec.shutdown.is_brutal() && !spec.shutdown.is_infinite()) {
    throw std::invalid_argument("child " + spec.id +
                                " supervises, so its shutdown must be infinity or brutal_kill, not a time");
  }
}

void check_delay(const restart_delay& how) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string("restart_delay::") + what);
  };
  require(how.first.count() >= 0, "first must be 0 or more");
  require(how.factor >= 1, "factor must be 1 or more");
  require(how.most >= how.first, "most must be at least first");
  require(how.jitter >= 0 && how.jitter <= 1, "jitter must be from 0 to 1");
  require(how.stable_after.count() > 0, "stable_after must be more than 0");
}

bool is_end_of(pid who, const exit_signal& signal) {
  return signal.from == who && this_process().home->find(who) == nullptr;
}

exit_reason end_child(pid who, shutdown how) {
  const auto end_within = [who](duration time) {
    return receive_if<exit_signal>([who](const exit_signal& signal) { return is_end_of(who, signal); }, time);
  };
  if (const auto ended = end_within(duration(0))) return ended->reason;
  link(who);  // it may have untied itself, and then nobody would hear of its end
  if (!how.is_brutal()) {
    exit(who, exit_reason::shutdown);
    if (const auto ended = end_within(how.time())) return ended->reason;
  }
  exit(who, exit_reason::kill);
  return end_within(infinity).value().reason;
}

bool ended_well(const exit_reason& reason, shutdown how) {
  return reason.is_orderly() || (how.is_brutal() && reason == exit_reason::killed);
}

bool is_parent(pid who) {
  const auto& self = this_process();
  return who == self.parent || who == self.home->own_name();
}

void tell(const report& entry) { this_process().home->report_now(entry); }

}  // namespace kv::detail
