// How tables change hands: gifts, promises, deaths and births.
#include <algorithm>

#include <kv/detail/allocation.hpp>
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
  leftovers gone;
  const std::lock_guard lock(mutex_);
  check_owner(table, "give away");
  if (to == table.owner()) refuse_gift(table_error::code::already_owner, table.name_, to_string(to) + " owns it");
  if (!home_.prepare_gift(to)) refuse_gift(table_error::code::no_owner, table.name_, to_string(to) + " is dead");
  this->transfer(table, to, std::move(transfer), gone);
}

void table_directory::promise(table_base& table, std::string to, duration deadline, message_ptr transfer,
                              timed_message expired) {
  leftovers gone;
  const std::lock_guard lock(mutex_);
  check_owner(table, "give away");
  const auto owner = table.owner();
  const auto holder = home_.holder_of(to);
  if (holder == owner) refuse_gift(table_error::code::already_owner, table.name_, to + " is its owner's name");
  if (holder && home_.prepare_gift(*holder)) return this->transfer(table, *holder, std::move(transfer), gone);
  stop_waiting(table, gone);
  expired.first->is_exempt = true;
  if (deadline.count() <= 0) return home_.deliver_now(owner, expired.first);
  await_names(table, {std::move(to)}, std::move(transfer));
  if (deadline >= infinity) return;
  try {
    table.next_.timer = home_.set_timer(owner, deadline, std::move(expired));
  } catch (...) {
    stop_waiting(table, gone);
    throw;
  }
}

bool table_directory::withdraw_promise(table_base& table) {
  leftovers gone;
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
  if (what) gone.messages.push(std::move(what));  // he has died since; his estate is about to be settled
}

// Waiting --------------------------------------------------------------------------------------------------------

void table_directory::await_names(table_base& table, std::vector<std::string> names, message_ptr transfer) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  table.next_.awaited = std::move(names);
  table.next_.transfer = std::move(transfer);
  for (const auto& name : table.next_.awaited) awaited_.emplace(name, &table);
}

/// Tells whether the table was waiting, and its time not over (T5).
bool table_directory::stop_waiting(table_base& table, leftovers& gone) {
  auto& next = table.next_;
  if (next.awaited.empty()) return false;
  for (const auto& name : next.awaited) {
    const auto [first, last] = awaited_.equal_range(name);
    const auto row = std::find_if(first, last, [&](const auto& each) { return each.second == &table; });
    if (row != last) awaited_.erase(row);
  }
  next.awaited.clear();
  if (next.transfer) gone.messages.push(std::move(next.transfer));
  const auto timer = std::exchange(next.timer, 0);
  return timer == 0 || home_.stop_timer(timer).has_value();
}

// Births ---------------------------------------------------------------------------------------------------------

void table_directory::name_given(std::string_view name, pid who) noexcept {
  leftovers gone;
  const std::lock_guard lock(mutex_);
  const auto [first, last] = awaited_.equal_range(name);
  std::vector<table_base*> waiting;
  for (auto row = first; row != last; ++row) waiting.push_back(row->second);
  // Who has lost the name since gets nothing; who has it now comes here himself.
  if (waiting.empty() || home_.holder_of(name) != who || !home_.prepare_gift(who)) return;
  for (auto* const table : waiting) {
    if (table->owner() == who) continue;  // promised to others, by a name that its owner has taken himself
    auto letter = std::move(table->next_.transfer);
    if (stop_waiting(*table, gone)) {
      transfer(*table, who, std::move(letter), gone);
    } else if (letter) {
      gone.messages.push(std::move(letter));
    }
  }
}

// Deaths ---------------------------------------------------------------------------------------------------------

void table_directory::owner_died(pid owner) noexcept {
  auto written = write_letters(owner);
  leftovers gone;
  const std::lock_guard lock(mutex_);
  for (auto place = by_owner_.lower_bound(owner); place != by_owner_.end() && place->first == owner;) {
    auto& table = *(place++)->second;
    const auto letter = written.find(&table);
    settle(table, letter == written.end() ? nullptr : std::move(letter->second), gone);
  }
}

/// What heirs are told is copied for each of them, by the user's code; so not under the lock. Nobody but the owner could
/// change it meanwhile.
table_directory::letters table_directory::write_letters(pid owner) const noexcept {
  std::vector<std::pair<std::shared_ptr<table_base>, inheritance>> wanted;
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = by_owner_.equal_range(owner);
    for (auto row = first; row != last; ++row) {
      if (row->second->next_.told) wanted.emplace_back(row->second, row->second->next_.told);
    }
  }
  letters result;
  for (const auto& [table, told] : wanted) {
    try {
      result.emplace(table.get(), (*told)(table, owner));
    } catch (...) {
      home_.report_now(oddity_report{owner, "leaves " + label(name_of(*table)) +
                                                " to an heir who is told nothing: copying what he is told threw"});
    }
  }
  return result;
}

/// The table of somebody dead goes to an heir, waits for one, or is dropped.
void table_directory::settle(table_base& table, message_ptr letter, leftovers& gone) {
  stop_waiting(table, gone);  // what he has promised
  if (const auto next = first_alive(table.next_.heirs)) return transfer(table, *next, std::move(letter), gone);
  std::vector<std::string> names;
  for (const auto& each : table.next_.heirs) {
    if (const auto* const name = std::get_if<std::string>(&each)) names.push_back(*name);
  }
  if (letter && names.empty()) gone.messages.push(std::move(letter));
  if (names.empty()) return drop(table, gone);
  await_names(table, std::move(names), std::move(letter));
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

// The end --------------------------------------------------------------------------------------------------------

void table_directory::close() noexcept {
  const std::lock_guard lock(mutex_);
  is_closing_ = true;
}

void table_directory::clear() noexcept {
  leftovers gone;
  std::vector<forgotten_report> forgotten;
  for (const auto& table : all()) {
    const auto rows = table->size();
    const std::lock_guard lock(mutex_);
    if (!table->next_.awaited.empty() && table->next_.is_last) continue;
    forgotten.push_back({.name = table->name_, .rows = rows, .heirs = table->next_.awaited});
  }
  for (const auto& each : forgotten) home_.report_now(each);
  const std::lock_guard lock(mutex_);
  while (!by_owner_.empty()) drop(*by_owner_.begin()->second, gone);
}

}  // namespace kv::detail
