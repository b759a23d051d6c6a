#include <kv/table.hpp>

#include <stdexcept>

#include <boost/core/demangle.hpp>

namespace kv {

std::string_view to_string(table_access access) noexcept {
  switch (access) {
    case table_access::public_: return "public";
    case table_access::protected_: return "protected";
    case table_access::private_: break;
  }
  return "private";
}

std::vector<table_info> all_tables(const runtime& home) {
  std::vector<table_info> result;
  for (const auto& table : home.core().tables().all()) {
    if (table->owner()) result.push_back(table->info());
  }
  return result;
}

namespace detail {

namespace {

std::string label(const std::string& name) { return name.empty() ? "a table without a name" : "table " + name; }

}  // namespace

// table_base -----------------------------------------------------------------------------------------------------

table_base::table_base(std::string name, std::string_view type, table_access access, std::type_index row, core& home)
    : name_(std::move(name)), type_(type), access_(access), row_(row), home_(home), node_(home.node()) {}

void table_base::check_owner(const char* verb) const {
  const auto holder = owner();
  if (!holder) throw table_error(table_error::code::no_table, label(name_) + " was dropped");
  const auto who = self_if_any().value_or(pid{});
  if (who == holder) return;
  throw table_error(table_error::code::access,
                    (who ? to_string(who) : "a plain thread") + std::string(" may not ") + verb + " " + label(name_) +
                        ", which is " + std::string(to_string(access_)) + " and owned by " + to_string(holder));
}

table_info table_base::info() const {
  table_info result{.name = name_,
                    .type = std::string(type_),
                    .access = access_,
                    .owner = {},
                    .heirs = {},
                    .size = size(),
                    .memory = memory()};
  result.owner = owner();  // last: while there is one, no row has gone with the table
  if (!result.owner) throw table_error(table_error::code::no_table, label(name_) + " was dropped");
  return result;
}

// table_directory ------------------------------------------------------------------------------------------------

void table_directory::add(const std::shared_ptr<table_base>& table, pid owner) {
  const std::lock_guard lock(mutex_);
  if (!table->name().empty()) {
    for (const auto& [holder, other] : by_owner_) {
      if (other->name() != table->name()) continue;
      throw table_error(table_error::code::name_taken, label(table->name()) + " exists, owned by " + to_string(holder));
    }
  }
  if (!table->home().prepare_gift(owner)) {
    throw table_error(table_error::code::no_owner,
                      label(table->name()) + " needs a living owner; " + to_string(owner) + " is dead");
  }
  by_owner_.emplace(owner, table);
  table->set_owner(owner);
}

void table_directory::drop(const table_base& table) {
  std::shared_ptr<table_base> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = by_owner_.equal_range(table.owner());
    for (auto row = first; row != last && !gone; ++row) {
      if (row->second.get() != &table) continue;
      gone = std::move(row->second);
      gone->set_owner({});
      by_owner_.erase(row);
      break;
    }
  }
  if (gone) gone->discard_rows();
}

void table_directory::owner_died(pid owner) {
  std::vector<std::shared_ptr<table_base>> orphans;
  {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = by_owner_.equal_range(owner);
    for (auto row = first; row != last; ++row) {
      row->second->set_owner({});
      orphans.push_back(std::move(row->second));
    }
    by_owner_.erase(first, last);
  }
  for (const auto& table : orphans) table->discard_rows();
}

std::shared_ptr<table_base> table_directory::find(std::string_view name) const {
  if (name.empty()) return nullptr;
  const std::lock_guard lock(mutex_);
  for (const auto& [holder, table] : by_owner_) {
    if (table->name() == name) return table;
  }
  return nullptr;
}

std::vector<std::shared_ptr<table_base>> table_directory::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<table_base>> result;
  for (const auto& [holder, table] : by_owner_) result.push_back(table);
  return result;
}

// For the templates ----------------------------------------------------------------------------------------------

void add_table(core& home, const std::shared_ptr<table_base>& table, table_options options, transfer_message) {
  const auto owner = options.owner ? options.owner : self_if_any().value_or(pid{});
  if (!owner)
    throw std::invalid_argument(label(table->name()) + " needs an owner: create it in a process, or name one");
  home.tables().add(table, owner);
}

std::shared_ptr<table_base> find_table(const core& home, std::string_view name, std::type_index row) {
  auto found = home.tables().find(name);
  if (!found || found->row_type() == row) return found;
  throw table_error(table_error::code::wrong_type, label(found->name()) + " has rows of type " +
                                                       boost::core::demangle(found->row_type().name()) + ", not " +
                                                       boost::core::demangle(row.name()));
}

void drop_table(const table_base& table) {
  table.check_owner("drop");
  table.home().tables().drop(table);
}

}  // namespace detail
}  // namespace kv
