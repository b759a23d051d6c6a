// What owners do with their tables. What becomes of these when somebody dies or gets a name is in table_inheritance.cpp.
#include <kv/detail/table_directory.hpp>

#include <kv/process.hpp>

#include "table_label.hpp"
#include "table_leftovers.hpp"

namespace kv::detail {

namespace {

std::vector<std::string> names_in(const std::vector<heir>& heirs) {
  std::vector<std::string> names;
  for (const auto& each : heirs) {
    if (const auto* const name = std::get_if<std::string>(&each)) names.push_back(*name);
  }
  return names;
}

}  // namespace

will::will(std::vector<heir> named, inheritance message, const std::shared_ptr<table_base>& table, pid owner)
    : heirs(std::move(named)), told(std::move(message)), places(names_in(heirs), *table) {
  if (told && owner) letter = (*told)(table, owner);
}

// Look -----------------------------------------------------------------------------------------------------------

std::shared_ptr<table_base> table_directory::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto row = names_.find(name);
  return row == names_.end() ? nullptr : row->second->place_->second;
}

std::vector<std::shared_ptr<table_base>> table_directory::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<table_base>> result;
  for (const auto& [holder, table] : by_owner_) result.push_back(table);
  return result;
}

std::string table_directory::name_of(const table_base& table) const {
  const std::lock_guard lock(mutex_);
  return table.name_;
}

bool table_directory::describe(const table_base& table, table_info& result) const {
  const std::lock_guard lock(mutex_);
  if (table.is_dropped()) return false;
  result.name = table.name_;
  result.owner = table.owner();
  result.heirs = table.next_.last.heirs;
  return true;
}

void table_directory::check_free(const std::string& name) const {
  const auto row = names_.find(name);
  if (row == names_.end()) return;
  const auto holder = row->second->owner();
  throw table_error(table_error::code::name_taken,
                    label(name) + " exists, " + (holder ? "owned by " + to_string(holder) : "without an owner"));
}

void table_directory::check_owner(const table_base& table, const char* verb) {
  const auto word = table.owner_.load(std::memory_order_relaxed);  // written under the lock
  if (const auto who = self_if_any(); who && table.owner_of(word) == *who) return;
  table.refuse(table.name_, word, verb);
}

// Change ---------------------------------------------------------------------------------------------------------

void table_directory::add(const std::shared_ptr<table_base>& table, pid owner, will last) {
  const std::lock_guard lock(mutex_);
  const auto& name = table->name_;
  check_free(name);
  if (owner && !home_.prepare_gift(owner)) {
    throw table_error(table_error::code::no_owner,
                      label(name) + " needs a living owner; " + to_string(owner) + " is dead");
  }
  const auto place = by_owner_.emplace(owner, table);
  try {
    if (!name.empty()) names_.emplace(name, table.get());
  } catch (...) {
    by_owner_.erase(place);
    throw;
  }
  table->place_ = place;
  table->next_.last = std::move(last);
  table->set_owner(owner);
}

void table_directory::drop(table_base& table) {
  leftovers gone(home_);
  const std::lock_guard lock(mutex_);
  const bool is_ownerless = !table.is_dropped() && !table.owner() && table.next_.awaited == nullptr;
  if (!is_ownerless) check_owner(table, "drop");
  drop(table, gone);
}

void table_directory::drop(table_base& table, leftovers& gone) {
  stop_waiting(table, gone);
  table.set_dropped();
  names_.erase(table.name_);
  gone.tables.insert(by_owner_.extract(table.place_));
}

void table_directory::rename(table_base& table, std::string name) {
  const std::lock_guard lock(mutex_);
  check_owner(table, "rename");
  if (name == table.name_) return;
  check_free(name);
  if (!name.empty()) names_.emplace(name, &table);
  if (!table.name_.empty()) names_.erase(table.name_);
  table.name_ = std::move(name);
}

void table_directory::adopt(table_base& table, pid who) {
  const std::lock_guard lock(mutex_);
  if (table.owner() == who)
    throw table_error(table_error::code::already_owner, label(table.name_) + " is " + to_string(who) + "'s already");
  const bool is_ownerless = !table.is_dropped() && !table.owner() && table.next_.awaited == nullptr;
  if (!is_ownerless) check_owner(table, "adopt");
  if (!home_.prepare_gift(who)) {
    throw table_error(table_error::code::no_owner,
                      label(table.name_) + " is of another runtime than " + to_string(who));
  }
  move_to(table, who);
}

void table_directory::set_heirs(table_base& table, will last) {
  const std::lock_guard lock(mutex_);
  check_owner(table, "set the heirs of");
  std::swap(table.next_.last, last);  // what it was before is destroyed without the lock, with the argument
}

void table_directory::move_to(table_base& table, pid owner) noexcept {
  auto row = by_owner_.extract(table.place_);
  row.key() = owner;
  table.place_ = by_owner_.insert(std::move(row));
  table.set_owner(owner);
  make_letter(table, owner);
}

}  // namespace kv::detail
