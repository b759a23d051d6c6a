#include <kv/registry_server.hpp>

#include <algorithm>
#include <ostream>
#include <stdexcept>
#include <unordered_set>

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

registry_server::registry_server(registry_options options) : options_(std::move(options)) {
  if (options_.validate && !options_.quarantine) throw std::invalid_argument("a validator needs a quarantine for rows");
  recover_outbox();
  adopt_rows();
  end_strays();
  // It may have ended between the two steps of enter().
  options_.waiting.for_each([this](const std::string& name, const auto&) {
    if (options_.names.member(name)) wake_waiting(name);
  });
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
    for (const auto child : buckets.call_for(infinity, &bucket_supervisor::children)) {
      if (!known.contains(child)) exit(child, exit_reason::kill);
    }
  } catch (const call_error&) {
    // It has just ended, and all its children with it.
  }
}

// Work -----------------------------------------------------------------------------------------------------------

std::optional<ref<bucket>> registry_server::create(const std::string& name) {
  if (const auto row = options_.names.lookup(name)) {
    if (is_bucket(*row)) return ref<bucket>(home(), *row);
    if (!set_aside_if_foreign(name, *row)) await_burial(name, *row);
  }
  const auto made = start_bucket();
  if (!made) return std::nullopt;
  monitor(*made, name);
  announce(created{name, *made});
  enter(name, *made);
  publish();
  return made;
}

void registry_server::enter(const std::string& name, pid who) {
  options_.names.insert(name, who);
  wake_waiting(name);
}

void registry_server::wake_waiting(const std::string& name) {
  for (const auto each : options_.waiting.lookup(name).value_or(std::vector<pid>())) {
    send(each, detail::name_entered{});
  }
}

void registry_server::await_burial(const std::string& name, pid who) {
  // Its `down` is on its way, and its end has to be announced before the name begins anew. A row that somebody else
  // wrote is not monitored, so nothing comes for it.
  const auto is_it = [&](const down& d) { return d.from == who && d.tag == name; };
  const auto news = receive_if<down>(is_it, std::chrono::seconds(1));
  bury(name, who, news ? news->reason : exit_reason::noproc);
  publish();
}

std::optional<ref<bucket>> registry_server::start_bucket() {
  const auto parent = home().whereis(options_.buckets, typeid(bucket_supervisor));
  if (!parent) return std::nullopt;
  try {
    return ref<bucket_supervisor>(home(), *parent).call_for(infinity, &bucket_supervisor::start_bucket);
  } catch (const call_error&) {
    return std::nullopt;
  }
}

void registry_server::handle(const down& news) {
  if (options_.names.lookup(news.tag) != news.from) return;  // (R3): an old story, or not about a bucket at all
  bury(news.tag, news.from, news.reason);
  publish();
}

void registry_server::bury(const std::string& name, pid who, const exit_reason& reason) {
  announce(exited{name, who, reason});
  if (options_.mistake == detail::registry_mistake::announces_before_removal) publish();
  options_.names.erase_if_equal(name, who);
}

void registry_server::announce(event what) {
  options_.outbox.insert(++last_number_, what);
  unannounced_.emplace_back(last_number_, std::move(what));
}

void registry_server::publish() {
  try {
    while (!unannounced_.empty()) {
      const auto& [number, what] = unannounced_.front();
      std::visit([this](const auto& e) { options_.events.sync_notify(e); }, what);
      options_.outbox.erase(number);
      unannounced_.pop_front();
    }
  } catch (const call_error&) {
    // The event manager is down. It greets this process when it is back.
  }
}

}  // namespace kv
