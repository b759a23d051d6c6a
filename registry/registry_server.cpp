#include <kv/registry_server.hpp>

#include <algorithm>
#include <ostream>
#include <stdexcept>
#include <unordered_set>

#include <kv/detail/failure_of.hpp>
#include <kv/timer.hpp>

namespace kv {

std::ostream& operator<<(std::ostream& out, const created& event) {
  return out << "created " << event.name << ' ' << event.bucket;
}

std::ostream& operator<<(std::ostream& out, const exited& event) {
  return out << "exited " << event.name << ' ' << event.bucket << ' ' << event.reason;
}

namespace {

detail::core& home() { return *detail::this_process().home; }

bool is_bucket(pid who) { return home().alive_as(who, typeid(bucket)); }

}  // namespace

// Recovery -------------------------------------------------------------------------------------------------------

registry_server::registry_server(registry_options options)
    : options_(std::move(options)), again_(std::chrono::milliseconds(100), wake{}) {
  if (options_.validate && !options_.quarantine) throw std::invalid_argument("a validator needs a quarantine for rows");
  recover_outbox();
  adopt_rows();
  end_strays();
  wake_all();  // it may have ended between the two steps of enter()
  // After the constructor: whoever starts this need not wait for the handlers of events.
  if (!unannounced_.empty()) send(self(), wake{});
}

void registry_server::recover_outbox() {
  for (auto& row : options_.outbox.to_vector()) unannounced_.push_back(std::move(row));
  std::ranges::sort(unannounced_, {}, [](const auto& row) { return row.first; });
  if (!unannounced_.empty()) last_number_ = unannounced_.back().first;
  std::unordered_set<pid> ended;
  for (const auto& [number, what] : unannounced_) {
    if (const auto* const e = std::get_if<exited>(&what)) {
      ended.insert(e->bucket);
      options_.names.erase_if_equal(e->name, e->bucket);  // the step that may have been left undone (R2)
    }
  }
  // A `created` whose row was never entered speaks of a bucket that nobody has seen: end_strays() ends it.
  std::erase_if(unannounced_, [&](const auto& row) {
    const auto* const c = std::get_if<created>(&row.second);
    const bool unseen = c != nullptr && !ended.contains(c->bucket) && options_.names.lookup(c->name) != c->bucket;
    if (unseen) options_.outbox.erase(row.first);
    return unseen;
  });
  for (const auto& [number, what] : unannounced_) {
    if (const auto* const c = std::get_if<created>(&what)) newest_.insert_or_assign(c->name, number);
  }
}

void registry_server::adopt_rows() {
  options_.names.for_each([this](const std::string& name, pid who) {
    if (set_aside_if_foreign(name, who) || set_aside_if_bad(name, who)) return;
    detail::watch(who, name);  // a dead one answers at once, and is buried as any other
  });
}

bool registry_server::set_aside_if_foreign(const std::string& name, pid who) {
  // In this order: one that lives after it was seen to be no bucket never was one; the other way round it may have died.
  if (is_bucket(who) || !home().alive(who)) return false;
  const auto what = "names " + to_string(who) + ", which is no bucket";
  if (options_.quarantine) {
    quarantine_row(options_.names, name, who, what, *options_.quarantine);
  } else {
    home().report_now(oddity_report{self(), "row " + name + ' ' + what + "; removed"});
    options_.names.erase_if_equal(name, who);
  }
  return true;
}

bool registry_server::set_aside_if_bad(const std::string& name, pid who) {
  if (!options_.validate) return false;
  const auto reason = detail::reason_against(options_.validate, name, who);
  if (!reason) return false;
  // Who has heard of its `created` hears of an `exited` before the name begins anew.
  const auto announce_end = [this](const std::string& of, pid bucket, const std::string& why) {
    announce(exited{of, bucket, exit_reason::custom("quarantined: " + why)});
  };
  quarantine_row(options_.names, name, who, *reason, *options_.quarantine, announce_end);
  return true;
}

void registry_server::end_strays() {
  const auto parent = home().whereis(options_.buckets, typeid(bucket_supervisor));
  if (!parent) return;
  std::unordered_set<pid> known;
  known.reserve(options_.names.size());
  options_.names.for_each([&](const std::string&, pid who) { known.insert(who); });
  // Whoever looks after these may want to see what is in them.
  if (options_.quarantine)
    options_.quarantine->for_each([&](const auto&, const auto& row) { known.insert(row.value); });
  try {
    const ref<bucket_supervisor> buckets(home(), *parent);
    const auto all = buckets.call_for(infinity, &bucket_supervisor::try_children);
    if (all.second) std::rethrow_exception(all.second);
    for (const auto child : all.first) {
      if (!known.contains(child)) exit(child, exit_reason::kill);
    }
  } catch (const call_error&) {
    // It has just ended, and all its children with it.
  }
}

// Work -----------------------------------------------------------------------------------------------------------

void registry_server::create(answer caller, const std::string& name) {
  const auto failure = detail::failure_of([&] { find_or_start(caller, name); });
  if (failure) caller.refuse(exit_reason::error(failure));
  publish();
}

void registry_server::find_or_start(answer& caller, const std::string& name) {
  const auto row = options_.names.lookup(name);
  if (row && is_bucket(*row)) {
    const ref<bucket> found(home(), *row);
    const auto news = newest_.find(name);
    if (news == newest_.end()) return caller.reply(found);
    auto& place = when_announced(news->second);
    place.creator = std::move(caller);
    place.made = found;
    return;
  }
  if (row && !set_aside_if_foreign(name, *row)) return await_burial(caller, name, *row);
  start(caller, name);
}

/// All or nothing: what has been done is undone when the rest fails.
void registry_server::start(answer& caller, const std::string& name) {
  const auto parent = home().whereis(options_.buckets, typeid(bucket_supervisor));
  if (!parent) return caller.reply(std::nullopt);
  auto undo = std::make_unique<detail::exit_notice>(detail::signal::op::exit, self(), exit_reason::kill);  // in time
  std::optional<ref<bucket>> made;
  try {
    const auto result =
        ref<bucket_supervisor>(home(), *parent).call_for(infinity, &bucket_supervisor::try_start_bucket);
    if (result.second) std::rethrow_exception(result.second);
    made = result.first;
  } catch (const call_error&) {
    return caller.reply(std::nullopt);  // it has just ended
  }
  std::uint64_t number = 0;
  const auto failure = detail::failure_of([&] {
    monitor(*made, name);
    number = announce(created{name, *made});
    newest_.insert_or_assign(name, number);
    auto& place = when_announced(number);
    enter(name, *made);
    place.creator = std::move(caller);
    place.made = made;
  });
  if (!failure) return;
  home().send_signal(*made, std::move(undo));
  if (number != 0) take_back(number);
  std::rethrow_exception(failure);
}

void registry_server::enter(const std::string& name, pid who) {
  options_.names.insert(name, who);
  wake_waiting(name);
}

/// Not as users send: no mailbox that is full may make the registry wait.
void registry_server::wake_waiting(const std::string& name) {
  const auto failure = detail::failure_of([&] {
    for (const auto each : options_.waiting.lookup(name).value_or(std::vector<pid>())) {
      home().deliver(each, std::make_unique<detail::letter_of<detail::name_entered>>(detail::name_entered{}));
    }
  });
  if (failure) wake_later();
}

void registry_server::wake_later() noexcept {
  has_unwoken_ = true;
  again_.turn_on();
}

void registry_server::wake_all() {
  options_.waiting.for_each([this](const std::string& name, const auto&) {
    if (options_.names.member(name)) wake_waiting(name);
  });
}

// Ends -----------------------------------------------------------------------------------------------------------

/// Its `down` is on its way, and its end has to be announced before the name begins anew. A row that a stranger wrote is
/// not monitored, so nothing comes for it but the timer.
void registry_server::await_burial(answer& caller, const std::string& name, pid who) {
  const auto [row, is_first] = burials_.try_emplace(name);
  const auto failure = detail::failure_of([&] {
    if (is_first) send_after(std::chrono::seconds(1), self(), burial_due{name, who});
    row->second.push_back(std::move(caller));
  });
  if (failure && is_first) burials_.erase(row);
  if (failure) std::rethrow_exception(failure);
}

void registry_server::handle(const burial_due& due) {
  if (options_.names.lookup(due.name) == due.bucket && !home().alive(due.bucket)) {
    if (detail::failure_of([&] { bury(due.name, due.bucket, exit_reason::noproc); })) return bury_later();
  }
  has_buried(due.name);
  publish();
}

void registry_server::handle(const down& news) {
  if (news.ref == manager_watch_) {
    manager_ = {};
    manager_watch_ = {};
    is_publishing_ = false;
    return publish();
  }
  // An old story (R3), or not about a bucket at all, or of one that lives, which no monitor tells.
  if (options_.names.lookup(news.tag) != news.from || home().alive(news.from)) return;
  if (detail::failure_of([&] { bury(news.tag, news.from, news.reason); })) return bury_later();
  has_buried(news.tag);
  publish();
}

/// All or nothing.
void registry_server::bury(const std::string& name, pid who, const exit_reason& reason) {
  const auto number = announce(exited{name, who, reason});
  if (options_.mistake == detail::registry_mistake::announces_before_removal) publish();
  const auto failure = detail::failure_of([&] { options_.names.erase_if_equal(name, who); });
  if (!failure) return;
  take_back(number);
  std::rethrow_exception(failure);
}

/// For want of memory. The row stays, and is looked for.
void registry_server::bury_later() noexcept {
  has_unburied_ = true;
  again_.turn_on();
}

void registry_server::bury_all() {
  std::vector<std::pair<std::string, pid>> dead;
  options_.names.for_each([&](const std::string& name, pid who) {
    if (!home().alive(who)) dead.emplace_back(name, who);
  });
  for (const auto& [name, who] : dead) {
    bury(name, who, exit_reason::noproc);
    has_buried(name);
  }
}

void registry_server::handle(const wake&) {
  again_.turn_off();
  if (std::exchange(has_unburied_, false) && detail::failure_of([&] { bury_all(); })) bury_later();
  if (std::exchange(has_unwoken_, false) && detail::failure_of([&] { wake_all(); })) wake_later();
  publish();
}

/// Those who wanted the name have their turn again. The first of them starts the bucket.
void registry_server::has_buried(const std::string& name) {
  auto those = burials_.extract(name);
  if (!those) return;
  for (auto& caller : those.mapped()) {
    const auto failure = detail::failure_of([&] { find_or_start(caller, name); });
    if (failure) caller.refuse(exit_reason::error(failure));
  }
}

}  // namespace kv
