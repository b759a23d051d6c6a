// How a registry announces what has happened: from the outbox to the event manager, one event at a time.
#include <kv/detail/failure_of.hpp>
#include <kv/registry_server.hpp>

namespace kv {

void registry_server::awaiting::tell() {
  if (creator) creator->reply(made);
  if (settler) settler->reply();
}

/// All or nothing. Returns its number.
std::uint64_t registry_server::announce(event what) {
  auto number = last_number_ + 1;
  while (number == 0 || options_.outbox.member(number)) ++number;  // the outbox is public: there may be any
  unannounced_.emplace_back(number, what);
  if (const auto failure = detail::failure_of([&] { options_.outbox.insert(number, std::move(what)); })) {
    unannounced_.pop_back();
    std::rethrow_exception(failure);
  }
  last_number_ = number;
  return number;
}

/// What was announced last has not come about.
void registry_server::take_back(std::uint64_t number) {
  const auto& [last, what] = unannounced_.back();
  if (last != number) return;  // the mistake has announced it
  if (const auto* const c = std::get_if<created>(&what)) {
    newest_.erase(c->name);
    awaiting_.erase(number);
    static_cast<void>(detail::failure_of([&] { options_.names.erase_if_equal(c->name, c->bucket); }));
  }
  // Should its row stay, the next registry finds a `created` without a name, or an `exited` of a dead bucket.
  static_cast<void>(detail::failure_of([&] { options_.outbox.erase(number); }));
  unannounced_.pop_back();
}

/// Returns a place for who has to be answered when that is announced. Throws std::bad_alloc.
registry_server::awaiting& registry_server::when_announced(std::uint64_t number) {
  return awaiting_[number].emplace_back();
}

void registry_server::settle(from<void> caller) {
  if (unannounced_.empty()) return caller.reply();
  const auto failure =
      detail::failure_of([&] { when_announced(unannounced_.back().first).settler = std::move(caller); });
  if (failure) caller.refuse(exit_reason::error(failure));
  publish();
}

void registry_server::publish() {
  if (is_publishing_ || unannounced_.empty()) return;
  bool is_sent = false;
  if (detail::failure_of([&] { is_sent = publish_next(); })) return again_.turn_on();
  if (!is_sent) answer_all();  // the event manager is down. It greets this process when it is back
}

bool registry_server::publish_next() {
  const auto manager = options_.events.manager_pid();
  if (!manager) return false;
  if (*manager != manager_) {
    if (manager_) demonitor(manager_watch_, true);
    manager_watch_ = monitor(*manager);
    manager_ = *manager;
  }
  const auto& next = unannounced_.front();
  const auto send = [&](const auto& e) { return options_.events.notify_with_receipt(e, next.first); };
  is_publishing_ = std::visit(send, next.second).has_value();
  return is_publishing_;
}

void registry_server::handle(const event_manager_started& news) {
  // To the one that greets it may have been given already, by its name.
  if (news.manager != manager_) is_publishing_ = false;
  publish();
}

void registry_server::handle(const event_receipt& receipt) {
  if (unannounced_.empty() || unannounced_.front().first != receipt.number) return;  // of one that was told twice
  is_publishing_ = false;
  if (!receipt.is_complete) return again_.turn_on();  // (R1): for want of memory it is told again
  is_announced();
  publish();
}

void registry_server::is_announced() {
  const auto number = unannounced_.front().first;
  // Should the row stay, the next registry announces it again.
  static_cast<void>(detail::failure_of([&] { options_.outbox.erase(number); }));
  if (const auto* const c = std::get_if<created>(&unannounced_.front().second)) {
    const auto newest = newest_.find(c->name);
    if (newest != newest_.end() && newest->second == number) newest_.erase(newest);
  }
  auto those = awaiting_.extract(number);
  unannounced_.pop_front();
  if (!those) return;
  for (auto& each : those.mapped()) each.tell();
}

/// Nothing can be announced now, and nobody need wait for that.
void registry_server::answer_all() {
  for (auto& [number, those] : std::exchange(awaiting_, {})) {
    for (auto& each : those) each.tell();
  }
}

}  // namespace kv
