// How tables change hands: gifts, promises, deaths and births.
#include <algorithm>

#include <kv/detail/table_directory.hpp>
#include <kv/process.hpp>

#include "table_label.hpp"
#include "table_leftovers.hpp"

namespace kv::detail {

// Gifts ----------------------------------------------------------------------------------------------------------

namespace {

[[noreturn]] void refuse_gift(table_error::code why, const std::string& name, const std::string& because) {
  throw table_error(why, label(name) + " is not given away: " + because);
}

}  // namespace

void table_directory::give(table_base& table, pid to, message_ptr transfer) {
  leftovers gone(home_);
  const std::lock_guard lock(mutex_);
  check_owner(table, "give away");
  if (to == table.owner()) refuse_gift(table_error::code::already_owner, table.name_, to_string(to) + " owns it");
  if (!home_.prepare_gift(to)) refuse_gift(table_error::code::no_owner, table.name_, to_string(to) + " is dead");
  this->transfer(table, to, std::move(transfer), gone);
}

void table_directory::promise(table_base& table, std::string to, duration deadline, message_ptr transfer,
                              timed_message expired) {
  waiting_places places({to}, table);
  leftovers gone(home_);
  const std::lock_guard lock(mutex_);
  check_owner(table, "give away");
  const auto owner = table.owner();
  const auto holder = home_.holder_of(to);
  if (holder == owner) refuse_gift(table_error::code::already_owner, table.name_, to + " is its owner's name");
  if (holder && home_.prepare_gift(*holder)) return this->transfer(table, *holder, std::move(transfer), gone);
  stop_waiting(table, gone);
  expired.next->is_exempt = true;
  if (deadline.count() <= 0) return home_.deliver_now(owner, expired.next);
  table.next_.promised = std::move(places);
  await_names(table, table.next_.promised, std::move(transfer));
  if (deadline >= infinity) return;
  try {
    table.next_.timer = home_.set_timer(owner, deadline, std::move(expired));
  } catch (...) {
    stop_waiting(table, gone);
    throw;
  }
}

bool table_directory::withdraw_promise(table_base& table) {
  leftovers gone(home_);
  const std::lock_guard lock(mutex_);
  check_owner(table, "keep");
  return stop_waiting(table, gone);
}

/// The one way in which a table gets another owner who is told. Requires: prepare_gift(to).
void table_directory::transfer(table_base& table, pid to, message_ptr what, leftovers& gone) {
  stop_waiting(table, gone);
  move_to(table, to);
  if (!what) return;
  what->is_exempt = true;
  home_.deliver_now(to, what);
  if (what) gone.messages.push(std::move(what));  // it has died since, and is about to lose the table again
}

// Waiting --------------------------------------------------------------------------------------------------------

waiting_places::waiting_places(std::vector<std::string> names, table_base& table) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  ready_.reserve(names.size());
  taken_.reserve(names.size());
  map made;
  for (auto& name : names) made.emplace(std::move(name), &table);
  while (!made.empty()) ready_.push_back(made.extract(made.begin()));
}

std::vector<std::string> waiting_places::names() const {
  std::vector<std::string> result;
  for (const auto& place : ready_) result.push_back(place.key());
  for (const auto& place : taken_) result.push_back(place->first);
  return result;
}

void waiting_places::enter(map& awaited) noexcept {
  for (auto& place : ready_) taken_.push_back(awaited.insert(std::move(place)));
  ready_.clear();
}

void waiting_places::leave(map& awaited) noexcept {
  for (const auto place : taken_) ready_.push_back(awaited.extract(place));
  taken_.clear();
}

void table_directory::await_names(table_base& table, waiting_places& places, message_ptr transfer) noexcept {
  places.enter(awaited_);
  table.next_.awaited = &places;
  table.next_.transfer = std::move(transfer);
}

/// Tells whether the table was waiting, and its time not over (T5).
bool table_directory::stop_waiting(table_base& table, leftovers& gone) {
  auto& next = table.next_;
  if (next.awaited == nullptr) return false;
  std::exchange(next.awaited, nullptr)->leave(awaited_);
  if (next.transfer) gone.messages.push(std::move(next.transfer));
  const auto timer = std::exchange(next.timer, 0);
  return timer == 0 || home_.stop_timer(timer).has_value();
}

// Births ---------------------------------------------------------------------------------------------------------

void table_directory::name_given(std::string_view name, pid who) noexcept {
  leftovers gone(home_);
  const std::lock_guard lock(mutex_);
  // Who has lost the name since gets nothing; who has it now comes here itself.
  if (!awaited_.contains(name) || home_.holder_of(name) != who || !home_.prepare_gift(who)) return;
  while (auto* const table = first_awaiting(name, who)) {
    auto letter = std::move(table->next_.transfer);
    if (stop_waiting(*table, gone)) {
      transfer(*table, who, std::move(letter), gone);
    } else if (letter) {
      gone.messages.push(std::move(letter));
    }
  }
}

/// Not one that its owner has promised to others, by a name that it has taken itself.
table_base* table_directory::first_awaiting(std::string_view name, pid who) const noexcept {
  const auto [first, last] = awaited_.equal_range(name);
  const auto row = std::find_if(first, last, [who](const auto& each) { return each.second->owner() != who; });
  return row == last ? nullptr : row->second;
}

// Deaths ---------------------------------------------------------------------------------------------------------

void table_directory::owner_died(pid owner) noexcept {
  while (const auto table = any_of(owner)) {
    copy_for_heir(*table);
    leftovers gone(home_);  // of one table after the other: their rows are destroyed here
    const std::lock_guard lock(mutex_);
    settle(*table, owner, gone);
  }
}

std::shared_ptr<table_base> table_directory::any_of(pid owner) const noexcept {
  const std::lock_guard lock(mutex_);
  const auto place = by_owner_.find(owner);
  return place == by_owner_.end() ? nullptr : place->second;
}

/// The owner copies what it wants its heir to be told, while it can. Where that throws, the heir does when it takes the
/// message. Only the owner changes any of this, so nothing has happened to the letter meanwhile.
void table_directory::copy_for_heir(table_base& table) noexcept {
  auto& place = table.next_.last.letter;
  message_ptr what;
  {
    const std::lock_guard lock(mutex_);
    what = std::move(place);
  }
  try {
    if (what) static_cast<letter&>(*what).body();
  } catch (...) {
  }
  const std::lock_guard lock(mutex_);
  place = std::move(what);
}

/// The table of a process that dies goes to an heir, waits for one, or is dropped.
void table_directory::settle(table_base& table, pid owner, leftovers& gone) noexcept {
  stop_waiting(table, gone);  // what it has promised
  auto& last = table.next_.last;
  const auto next = first_alive(last.heirs);
  if (!next && last.places.empty()) return drop(table, gone);
  if (last.told && !last.letter) make_letter(table, owner);
  auto letter = std::move(last.letter);
  if (last.told && !letter) gone.untold = table.place_->second;
  if (next) return transfer(table, *next, std::move(letter), gone);
  await_names(table, last.places, std::move(letter));
  table.next_.is_last = is_closing_;
  move_to(table, {});
}

std::optional<pid> table_directory::first_alive(const std::vector<heir>& heirs) const {
  for (const auto& each : heirs) {
    const auto* const name = std::get_if<std::string>(&each);
    const auto who = name == nullptr ? std::get<pid>(each) : home_.holder_of(*name).value_or(pid{});
    if (who && home_.prepare_gift(who)) return who;
  }
  return std::nullopt;
}

/// In time, for the death of that owner. There may be no memory for it: then the death tries again.
void table_directory::make_letter(table_base& table, pid owner) noexcept {
  auto& last = table.next_.last;
  last.letter.reset();  // it shares what the user gave with `told`, so nothing of the user's is destroyed
  if (!last.told || !owner) return;
  try {
    last.letter = (*last.told)(table.place_->second, owner);
  } catch (const std::bad_alloc&) {
  }
}

// The end --------------------------------------------------------------------------------------------------------

void table_directory::close() noexcept {
  const std::lock_guard lock(mutex_);
  is_closing_ = true;
}

std::vector<forgotten_report> table_directory::forgotten() const {
  std::vector<forgotten_report> forgotten;
  for (const auto& table : all()) {
    const auto rows = table->size();
    const std::lock_guard lock(mutex_);
    if (table->next_.awaited != nullptr && table->next_.is_last) continue;
    forgotten.push_back({.name = table->name_, .rows = rows, .heirs = table->next_.last.places.names()});
  }
  return forgotten;
}

void table_directory::clear() noexcept {
  try {
    for (const auto& each : forgotten()) home_.report_now(each);
  } catch (const std::bad_alloc&) {
    // Then it cannot be said.
  }
  leftovers gone(home_);
  const std::lock_guard lock(mutex_);
  while (!by_owner_.empty()) drop(*by_owner_.begin()->second, gone);
}

}  // namespace kv::detail
