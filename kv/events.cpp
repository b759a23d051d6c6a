// The event manager. Its truth is the table: what it keeps besides can be built again from the rows.
#include <kv/events.hpp>

#include <map>
#include <new>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/signals2/signal.hpp>

namespace kv::detail {

namespace {

/// An event for a handler's process. With a ticket, the manager waits to hear that it was handled.
struct delivery {
  event_body event;
  pid manager;
  std::uint64_t ticket = 0;
};

/// The handler has removed itself, and ends when it returns.
struct retire {};

/// Collects which handlers will answer.
struct collect_ids {
  using result_type = std::unordered_set<std::uint64_t>;
  template <class Iterator>
  result_type operator()(Iterator first, Iterator last) const {
    result_type ids;
    for (; first != last; ++first) {
      if (const auto id = *first; id != 0) ids.insert(id);
    }
    return ids;
  }
};

using signal_type = boost::signals2::signal<std::uint64_t(const delivery&), collect_ids>;

std::string to_text(std::exception_ptr failure) { return to_string(exit_reason::error(std::move(failure))); }

void announce_removal(std::uint64_t id, const subscription& what, const std::string& manager, const std::string& why) {
  this_process().home->report_now(handler_report{manager, what.label, why});
  const auto number = handler_number(this_process().home->node(), manager, id);
  if (what.owner) send(what.owner, handler_removed{handler_id{number}, why});
}

/// Tells whether the subscription stands; not once the table is gone.
bool is_row(const subscriptions& rows, std::uint64_t id) {
  try {
    return rows.member(id);
  } catch (const table_error&) {
    return false;
  }
}

/// A handler's process: one event at a time. It ends with the table that says it should be there, or by its own fault.
void run_handler(std::uint64_t id, const subscription& what, subscriptions rows, const std::string& manager) {
  monitor(rows.owner(), "table");
  bool goes_on = true;
  std::exception_ptr failure;
  while (goes_on) {
    receive(
        [&](const delivery& d) {
          // Removed: never called again, whatever is still on its way.
          if (!(goes_on = is_row(rows, id))) return;
          try {
            what.run(d.event);
          } catch (const unwind&) {
            throw;
          } catch (...) {
            failure = std::current_exception();
            goes_on = false;
            return;
          }
          if (d.ticket != 0) send(d.manager, handled{id, d.ticket});
        },
        [&](const down& d) { goes_on = d.tag != "table"; }, [&](const retire&) { goes_on = false; });
  }
  // Itself, because the manager may be down; and the row first, so that no new manager attaches it again.
  if (failure && is_row(rows, id) && rows.erase(id)) announce_removal(id, what, manager, to_text(failure));
}

}  // namespace

struct event_manager::inside {
  struct attached {
    boost::signals2::scoped_connection connection;
    monitor_ref watch;  // of the runner, or of the receiver of a forward
    monitor_ref owner_watch;
  };

  std::string name;
  subscriptions rows;
  event_manager_options options;
  signal_type signal;
  std::unordered_map<std::uint64_t, attached> handlers;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::unordered_set<std::uint64_t>> waiting;  // by ticket: the handlers not yet through
  std::uint64_t last_ticket = 0;
  std::vector<std::pair<std::uint64_t, std::exception_ptr>> failed;  // forwards whose filter threw at this event

  std::unordered_set<std::uint64_t> tell(const delivery& what);
  void forward(std::uint64_t id, const subscription& what, const event_body& event);
  void attach(std::uint64_t id, subscription& what);
  void detach(std::uint64_t id, const std::string& why);
  bool forget(std::uint64_t id);
  void lost(const down& news);
};

event_manager::event_manager(std::string name, subscriptions rows, event_manager_options options)
    : inside_(new inside{std::move(name), std::move(rows), std::move(options), {}, {}, 0, {}, 0, {}}) {
  auto found = inside_->rows.to_vector();
  std::ranges::sort(found, {}, [](const auto& row) { return row.first; });  // attached in the order of old
  for (auto& [id, what] : found) {
    inside_->last_id = id;
    inside_->attach(id, what);
  }
  if (inside_->options.greet.empty()) return;
  if (const auto waiting = whereis(inside_->options.greet)) send(*waiting, event_manager_started{self()});
}

event_manager::~event_manager() = default;

void event_manager::inside::attach(std::uint64_t id, subscription& what) {
  attached entry;
  auto* const home = this_process().home;
  if (what.forwards) {
    entry.watch = watch(what.owner, std::to_string(id));
    entry.connection =
        signal.connect([this, id, what](const delivery& d) -> std::uint64_t { return forward(id, what, d.event), 0; });
  } else {
    if (!home->alive(what.runner)) {
      what.runner = spawn_thread([id, what, all = rows, manager = name] { run_handler(id, what, all, manager); });
      rows.insert(id, what);
    }
    entry.watch = monitor(what.runner, std::to_string(id));
    if (what.owner) entry.owner_watch = watch(what.owner, std::to_string(id));
    entry.connection = signal.connect([id, home, runner = what.runner](const delivery& d) -> std::uint64_t {
      return home->deliver(runner, std::make_unique<letter_of<delivery>>(d)) ? id : 0;
    });
  }
  handlers.insert_or_assign(id, std::move(entry));
}

std::uint64_t event_manager::add(subscription what) {
  const auto id = ++inside_->last_id;
  inside_->rows.insert(id, what);
  inside_->attach(id, what);
  return id;
}

bool event_manager::inside::forget(std::uint64_t id) {
  const auto found = handlers.find(id);
  if (found == handlers.end()) return false;
  demonitor(found->second.watch, true);
  demonitor(found->second.owner_watch, true);
  handlers.erase(found);
  return true;
}

bool event_manager::remove(std::uint64_t id, pid caller) {
  inside_->forget(id);
  const auto row = inside_->rows.take(id);
  if (!row) return false;
  for (auto& [ticket, ids] : inside_->waiting) ids.erase(id);
  if (!row->runner) return true;
  if (row->runner == caller) {
    send(caller, retire{});
    return true;
  }
  // Its last call may still be under way.
  const auto watch = monitor(row->runner);
  exit(row->runner, exit_reason::kill);
  static_cast<void>(await(watch, inside_->options.handler_deadline));
  demonitor(watch, true);
  return true;
}

void event_manager::inside::detach(std::uint64_t id, const std::string& why) {
  forget(id);
  const auto row = rows.take(id);
  if (!row) return;
  exit(row->runner, exit_reason::kill);
  announce_removal(id, *row, name, why);
}

/// Returns which handlers will answer.
std::unordered_set<std::uint64_t> event_manager::inside::tell(const delivery& what) {
  auto answering = signal(what);
  for (const auto& [id, failure] : std::exchange(failed, {})) detach(id, to_text(failure));
  return answering;
}

void event_manager::inside::forward(std::uint64_t id, const subscription& what, const event_body& event) {
  try {
    what.run(event);
  } catch (const unwind&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;  // not the filter's fault
  } catch (...) {
    failed.emplace_back(id, std::current_exception());
  }
}

void event_manager::notify(const event_body& event) { inside_->tell(delivery{event, self(), 0}); }

void event_manager::sync_notify(const event_body& event) {
  const auto ticket = ++inside_->last_ticket;
  auto& waiting = inside_->waiting[ticket];
  waiting = inside_->tell(delivery{event, self(), ticket});
  auto& home = *this_process().home;
  const auto deadline = home.deadline_after(inside_->options.handler_deadline);
  // Goes on serving meanwhile: the handlers that it waits for may add and remove handlers.
  while (!waiting.empty() && home.serve_until(this_process(), deadline)) {
  }
  for (const auto late = inside_->waiting.extract(ticket).mapped(); const auto id : late) {
    inside_->detach(id, "it did not return in time");
  }
}

void event_manager::handle(const handled& news) {
  // A late one, of a handler that was detached or of an earlier manager's event, is nobody's.
  if (const auto found = inside_->waiting.find(news.ticket); found != inside_->waiting.end()) {
    found->second.erase(news.handler);
  }
}

void event_manager::handle(const down& news) {
  if (!inside_->rows.owner()) exit(exit_reason::shutdown);  // who owned the subscriptions is gone, and all is over
  inside_->lost(news);
}

void event_manager::inside::lost(const down& news) {
  const auto id = std::stoull(news.tag);
  for (auto& [ticket, ids] : waiting) ids.erase(id);
  const auto found = handlers.find(id);
  if (found == handlers.end()) return;
  const bool was_runner = news.ref == found->second.watch;
  const auto row = rows.lookup(id);
  if (!row || row->forwards) {  // its own fault, and told; or nobody to forward to any more
    forget(id);
    rows.erase(id);
  } else if (was_runner) {
    detach(id, "its process ended: " + to_string(news.reason));
  } else {  // the owner is gone, and the handler goes with him
    forget(id);
    rows.erase(id);
    exit(row->runner, exit_reason::kill);
  }
}

std::size_t event_manager::count() const { return inside_->handlers.size(); }

}  // namespace kv::detail

namespace kv {

pid start_event_manager(const std::string& name, const subscription_table& rows, const event_manager_options& options) {
  return spawn_link_named<detail::event_manager>(name, name, rows, options);
}

}  // namespace kv
