#include <kv/supervision.hpp>

#include <algorithm>
#include <stdexcept>

namespace kv {

namespace {

constexpr std::size_t not_a_child = static_cast<std::size_t>(-1);

/// The runtime stands in for the parent of a process that no process started.
bool is_parent(pid who) { return !who || who == detail::this_process().parent; }

void tell(const report& entry) { detail::this_process().home->report_now(entry); }

void check(const supervisor_options& options, const std::vector<child_spec>& specs) {
  if (options.period.count() <= 0) throw std::invalid_argument("supervisor_options::period must be more than 0");
  for (auto spec = specs.begin(); spec != specs.end(); ++spec) {
    if (!spec->start) throw std::invalid_argument("child " + spec->id + " has no start function");
    if (std::any_of(specs.begin(), spec, [&](const auto& other) { return other.id == spec->id; })) {
      throw std::invalid_argument("two children have the id " + spec->id);
    }
  }
}

}  // namespace

child_spec worker(std::string id, std::function<pid()> start) {
  return {.id = std::move(id), .start = std::move(start)};
}

child_spec supervisor_child(std::string id, std::function<pid()> start) {
  return {.id = std::move(id), .start = std::move(start), .shutdown = shutdown::infinity(), .is_supervisor = true};
}

bool restart_window::add(time_point now) {
  while (!times_.empty() && now - times_.front() > period_) times_.pop_front();
  times_.push_back(now);
  return times_.size() <= max_;
}

// supervisor -----------------------------------------------------------------------------------------------------

supervisor::supervisor(const supervisor_options& options, const std::function<std::vector<child_spec>()>& init)
    : options_(options), window_(options.max_restarts, options.period) {
  trap_exit(true);
  auto specs = init();
  check(options_, specs);
  for (auto& spec : specs) children_.push_back({.spec = std::move(spec), .who = {}});
  start_all();
}

void supervisor::start_all() {
  for (auto& c : children_) {
    std::optional<start_error> failure;
    try {
      c.who = c.spec.start();
    } catch (const start_error& e) {
      failure.emplace("child " + c.spec.id + ": " + e.what(), e.reason());
    } catch (const std::exception& e) {
      failure.emplace("child " + c.spec.id + ": " + e.what(), exit_reason::error(std::current_exception()));
    }
    if (!failure) continue;
    stop_all();  // outside the catch block: it waits
    throw *failure;
  }
}

void supervisor::handle(const exit_signal& signal) {
  if (const auto index = index_of(signal.from); index != not_a_child) return child_ended(index, signal.reason);
  if (!is_parent(signal.from)) return;  // of a child that was stopped, or of somebody who has no say here
  stop_all();
  exit(signal.reason);
}

void supervisor::handle(const retry& again) {
  const auto found = std::ranges::find(children_, again.id, [](const child& c) -> auto& { return c.spec.id; });
  if (found == children_.end() || found->who) return;
  child_ended(static_cast<std::size_t>(found - children_.begin()), again.reason);
}

void supervisor::child_ended(std::size_t index, const exit_reason& reason) {
  auto& ended = children_[index];
  if (!should_restart(ended.spec.restart, reason.is_orderly())) {
    ended.who = {};
    if (ended.spec.restart == restart::temporary)
      children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(index));
    return;
  }
  if (!window_.add(detail::this_process().home->exec().now())) {
    tell(give_up_report{self(), ended.spec.id, options_.max_restarts, reason});
    ended.who = {};
    stop_all();
    exit(exit_reason::shutdown);
  }
  restart_from(index, reason);
}

void supervisor::restart_from(std::size_t index, const exit_reason& reason) {
  if (options_.strategy == strategy::one_for_one) return start_again(children_[index], children_[index].who, reason);
  const std::size_t first = options_.strategy == strategy::one_for_all ? 0 : index;
  const auto ended = std::exchange(children_[index].who, {});
  std::vector<pid> before;
  for (auto& c : children_) before.push_back(c.who ? c.who : ended);
  for (auto i = children_.size(); i-- > first;) stop(children_[i]);
  for (auto i = first; i < children_.size(); ++i) {
    if (children_[i].spec.restart == restart::temporary && i != index) continue;
    start_again(children_[i], before[i], reason);
    if (!children_[i].who) return;  // the retry starts it and, by this same way, those after it
  }
  std::erase_if(children_, [](const child& c) { return c.spec.restart == restart::temporary && !c.who; });
}

void supervisor::start_again(child& c, pid old_pid, const exit_reason& reason) {
  c.who = {};
  exit_reason failure;
  try {
    c.who = c.spec.start();
    ++c.restarts;
  } catch (const start_error& e) {
    failure = e.reason();
  } catch (const std::exception&) {
    failure = exit_reason::error(std::current_exception());
  }
  tell(restart_report{self(), c.spec.id, old_pid, c.who, reason});
  // A failed start counts as another end, after what else has come: so the window, not this loop, bounds the attempts.
  if (!c.who) send(self(), retry{c.spec.id, failure});
}

void supervisor::stop(child& c) {
  const auto who = std::exchange(c.who, {});
  if (!who) return;
  const auto watch = monitor(who);
  unlink(who);
  if (!c.spec.shutdown.is_brutal()) {
    exit(who, exit_reason::shutdown);
    if (await(watch, c.spec.shutdown.time())) return;
  }
  exit(who, exit_reason::kill);
  static_cast<void>(await(watch));
}

void supervisor::stop_all() {
  for (auto c = children_.rbegin(); c != children_.rend(); ++c) stop(*c);
}

std::size_t supervisor::index_of(pid who) const {
  const auto found = std::ranges::find(children_, who, &child::who);
  return !who || found == children_.end() ? not_a_child : static_cast<std::size_t>(found - children_.begin());
}

std::vector<child_info> supervisor::which_children() const {
  std::vector<child_info> result;
  for (const auto& c : children_) result.push_back({c.spec.id, c.who, c.spec.is_supervisor, c.restarts});
  return result;
}

// dynamic_supervisor ---------------------------------------------------------------------------------------------

dynamic_supervisor::dynamic_supervisor(std::chrono::nanoseconds stop_within)
    : stop_within_(stop_within), parent_(detail::this_process().parent) {
  trap_exit(true);
}

void dynamic_supervisor::handle(const exit_signal& signal) {
  if (children_.erase(signal.from) > 0 || !is_parent(signal.from)) return;
  stop_all();
  exit(signal.reason);
}

void dynamic_supervisor::stop_all() {
  // All at once: ten thousand stubborn children take one timeout, not ten thousand.
  for (const auto child : children_) exit(child, exit_reason::shutdown);
  auto& clock = detail::this_process().home->exec();
  const auto deadline = clock.now() + stop_within_;
  const auto gone = [this](const exit_signal& signal) { children_.erase(signal.from); };
  while (!children_.empty()) {
    if (!receive_for(deadline - clock.now(), gone)) break;
  }
  for (const auto child : children_) exit(child, exit_reason::kill);
  while (!children_.empty()) receive(gone);
}

}  // namespace kv
