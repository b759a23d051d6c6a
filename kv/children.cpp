#include "children.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace kv::detail {

namespace {

/// Processes that start in its scope are those of a child that has been restarted so often, and are noted.
class start_scope {
 public:
  start_scope(unsigned restarts, newborns& births) : self_(this_process()) {
    self_.business().next_restarts = restarts;
    self_.business().births = &births;
  }
  start_scope(const start_scope&) = delete;
  start_scope& operator=(const start_scope&) = delete;
  ~start_scope() {
    self_.business().next_restarts = 0;
    self_.business().births = nullptr;
  }

 private:
  process& self_;
};

exit_reason reason_of(const std::exception_ptr& failure) noexcept {
  try {
    std::rethrow_exception(failure);
  } catch (const start_error& e) {
    return e.reason();
  } catch (...) {
    return exit_reason::error(failure);
  }
}

/// Takes the news of the end of a child. Returns its reason; nothing when it did not come in time.
std::optional<exit_reason> end_within(pid who, duration time) {
  const auto ended = receive_if<exit_signal>([who](const exit_signal& signal) { return is_end_of(who, signal); }, time);
  return ended ? std::optional(ended->reason) : std::nullopt;
}

exit_reason end_as_asked(pid who, shutdown how) {
  if (const auto reason = end_within(who, duration(0))) return *reason;
  link(who);  // it may have untied itself, and then its end would not be heard of
  if (!how.is_brutal()) {
    exit(who, exit_reason::shutdown);
    if (const auto reason = end_within(who, how.time())) return *reason;
  }
  exit(who, exit_reason::kill);
  return end_within(who, infinity).value();
}

}  // namespace

namespace {

/// Their start has failed after they were there, and their pids are lost.
void end_all(newborns& births) {
  while (births.count > 0) {
    const auto who = births.all[--births.count];
    if (this_process().home->find(who) == nullptr) continue;
    if (shortage_in([who] { end_child(who, shutdown::brutal_kill()); })) kill_by_link(who);
  }
}

}  // namespace

std::string start_attempt::what() const {
  try {
    std::rethrow_exception(thrown);
  } catch (const start_error& e) {
    return e.what();
  } catch (...) {
    return std::string(failure->text());
  }
}

start_attempt try_start(const child_spec& spec, unsigned restarts) {
  start_attempt result;
  newborns births;
  result.thrown = failure_of([&] {
    const start_scope here(restarts, births);
    result.who = spec.start();
  });
  if (!result.thrown) return result;
  result.failure = reason_of(result.thrown);
  end_all(births);
  return result;
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
  auto& self = this_process();
  self.home->exec().prepare_wait(self);
  std::optional<exit_reason> reason;
  if (!shortage_in([&] { reason = end_as_asked(who, how); })) return *reason;
  kill_by_link(who);
  await_killed(who);
  return end_within(who, duration(0)).value_or(exit_reason::killed);
}

void kill_by_link(pid who) noexcept {
  auto& self = this_process();
  auto notice = self.bonds ? self.bonds->links.take(who) : nullptr;
  if (!notice) return;
  notice->operation = signal::op::exit;
  notice->news = {self.id(), exit_reason::kill};
  self.home->send_signal(who, std::move(notice));
}

/// Its death wakes this process, as any news of a link does, also of one that is not there any more.
void await_killed(pid who) {
  auto& self = this_process();
  auto& home = *self.home;
  suspension waiting;
  for (bool told = false; home.find(who) != nullptr;) {
    told = told || !shortage_in([who] { exit(who, exit_reason::kill); });
    const auto lacks_stack = shortage_in([&] { home.wait(self, waiting, home.deadline_after(between_attempts)); });
    if (lacks_stack) home.exec().pause();
  }
}

bool ended_well(const exit_reason& reason, shutdown how) {
  return reason.is_orderly() || (how.is_brutal() && reason == exit_reason::killed);
}

bool is_parent(pid who) {
  const auto& self = this_process();
  return who == self.parent || who == self.home->own_name();
}

}  // namespace kv::detail
