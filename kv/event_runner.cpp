#include "event_runner.hpp"

#include <utility>

#include <kv/events.hpp>
#include <kv/report.hpp>
#include <kv/timer.hpp>

namespace kv::detail {

std::string to_text(std::exception_ptr failure) { return to_string(exit_reason::error(std::move(failure))); }

bool is_there(const subscriptions& rows) {
  try {
    static_cast<void>(rows.member(0));
    return true;
  } catch (const table_error&) {
    return false;
  }
}

bool is_runner(const core& home, pid who) noexcept { return home.alive_as(who, typeid(event_runner)); }

void let_go(std::shared_ptr<listener> what, way_out how) noexcept {
  if (!what || !what->has_user_code() || !what->is_whole()) return;
  if (!failure_of([&] { spawn([what] { what->drop(); }); })) return;
  if (!how) static_cast<void>(failure_of([&] { how = std::make_unique<letter_of<dropped>>(dropped()); }));
  if (!how) return what->drop();
  how->as<dropped>()->what = std::move(what);
  this_process().home->discard(std::move(how));
}

removal_notice::removal_notice(std::uint64_t id, const subscription& what, const std::string& manager)
    : report_{manager, what.label, {}}, owner_(what.owner) {
  if (!owner_) return;
  const auto number = handler_number(this_process().home->node(), manager, id);
  letter_ = std::make_unique<letter_of<handler_removed>>(handler_removed{handler_id{number}, {}});
}

void removal_notice::give(const reason_maker& why) noexcept {
  auto& home = *this_process().home;
  static_cast<void>(failure_of([&] {
    report_.why = why();
    if (letter_) letter_->as<handler_removed>()->why = report_.why;
  }));
  home.report_if_possible([&]() -> report { return std::move(report_); });
  // Not as users send: an owner whose mailbox is full must not make its sender wait.
  if (letter_) home.deliver(owner_, std::move(letter_));
}

void event_runner::operator()() {
  try {
    serve();
  } catch (...) {
    if (!has_row()) let_go(what_.what);  // not here, where its destructor could not wait
    throw;
  }
  // The table and the manager may hold what the client gave for a while: it is destroyed here, where it ran.
  if (!has_row()) what_.what->drop();
}

void event_runner::serve() {
  watch_table();
  starter_watch_ = monitor(starter_);
  while (goes_on_) {
    receive([this](delivery& d) { hear(d); }, [this](const down& news) { lost(news); },
            [this](const look_for_owner&) { watch_table(); }, [this](const retire&) { goes_on_ = false; });
  }
  end();
}

/// Tells whether the subscription stands; not once the table is gone.
bool event_runner::has_row() const {
  try {
    return rows_.member(id_);
  } catch (const table_error&) {
    return false;
  }
}

/// Tells whether it stands and this is the process that is to run it.
bool event_runner::is_wanted() const {
  try {
    return rows_.read(id_, [](const subscription& row) { return row.runner; }) == self();
  } catch (const table_error&) {
    return false;
  }
}

void event_runner::hear(delivery& d) {
  // Removed: never called again, whatever is still on its way.
  if (!(goes_on_ = has_row())) return;
  auto& progress = what_.what->last_progress;
  progress.store(now(), std::memory_order_relaxed);
  try {
    what_.what->hear(d.event);
  } catch (const unwind&) {
    throw;
  } catch (...) {
    failure_ = std::current_exception();
    goes_on_ = false;
    return;
  }
  progress.store(now(), std::memory_order_relaxed);
  if (d.answer) this_process().home->deliver(d.manager, std::move(d.answer));
}

void event_runner::lost(const down& news) {
  if (news.ref == starter_watch_) {
    // It may have ended before it could enter this process into the row.
    goes_on_ = is_wanted();
  } else if (news.ref == table_watch_) {
    watch_table();
  }
}

/// A table without an owner waits for an heir, or for ever. No message says when it goes, so it is looked at now and then.
void event_runner::watch_table() {
  if (const auto owner = rows_.owner()) {
    table_watch_ = monitor(owner);
  } else if (is_there(rows_)) {
    send_after(std::chrono::seconds(1), self(), look_for_owner{});
  } else {
    goes_on_ = false;
  }
}

/// Itself, because the manager may be down; and the row first, so that no new manager attaches it again.
void event_runner::end() {
  if (!failure_ || !has_row()) return;
  removal_notice notice(id_, what_, manager_);
  if (rows_.erase(id_)) notice.give([this] { return to_text(failure_); });
}

}  // namespace kv::detail
