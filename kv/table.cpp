#include <kv/table.hpp>

#include <stdexcept>

#include <boost/core/demangle.hpp>

#include "table_label.hpp"

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
  home.core().interleave_quietly();
  std::vector<table_info> result;
  for (const auto& table : home.core().tables().all()) {
    if (auto info = table->info_if_any()) result.push_back(std::move(*info));
  }
  return result;
}

namespace detail {

// table_base -----------------------------------------------------------------------------------------------------

table_base::table_base(std::string name, std::string_view type, table_access access, std::type_index row, core& home)
    : type_(type), access_(access), row_(row), home_(home), node_(home.node()), name_(std::move(name)) {}

void table_base::check_owner(const char* verb) const {
  const auto word = owner_.load(std::memory_order_acquire);
  if (const auto who = self_if_any(); who && owner_of(word) == *who) return;
  refuse(home_.tables().name_of(*this), word, verb);
}

void table_base::refuse(const std::string& name, std::uint64_t word, const char* verb) const {
  if (word == dropped) throw table_error(table_error::code::no_table, label(name) + " was dropped");
  const auto who = self_if_any();
  const auto holder = owner_of(word);
  throw table_error(table_error::code::access,
                    (who ? to_string(*who) : "a plain thread") + std::string(" may not ") + verb + " " + label(name) +
                        ", which is " + std::string(to_string(access_)) +
                        (holder ? " and owned by " + to_string(holder) : " and has no owner"));
}

std::optional<table_info> table_base::info_if_any() const {
  table_info result{.name = {},
                    .type = std::string(type_),
                    .access = access_,
                    .owner = {},
                    .heirs = {},
                    .size = size(),
                    .memory = memory()};
  // Last: while it is not dropped, no row has gone with the table.
  return home_.tables().describe(*this, result) ? std::optional(std::move(result)) : std::nullopt;
}

table_info table_base::info() const {
  home_.interleave();
  if (auto result = info_if_any()) return std::move(*result);
  throw table_error(table_error::code::no_table, label(home_.tables().name_of(*this)) + " was dropped");
}

// For the templates ----------------------------------------------------------------------------------------------

namespace {

inheritance kept_or_null(transfer_message told) {
  return told ? std::make_shared<const transfer_message>(std::move(told)) : nullptr;
}

/// What can be wrong with heirs before anybody has died.
void check_heirs(const std::vector<heir>& heirs) {
  for (const auto& each : heirs) {
    const auto* const name = std::get_if<std::string>(&each);
    if (name != nullptr && name->empty()) throw std::invalid_argument("the name of an heir is empty");
  }
}

}  // namespace

void add_table(core& home, const std::shared_ptr<table_base>& table, table_options options, transfer_message told) {
  home.interleave();
  check_heirs(options.heirs);
  if (options.ownerless && options.owner)
    throw std::invalid_argument(label(options.name) + " is to be ownerless and owned by " + to_string(options.owner));
  const auto owner = options.owner || options.ownerless ? options.owner : self_if_any().value_or(pid{});
  if (!owner && !options.ownerless)
    throw std::invalid_argument(label(options.name) + " needs an owner: create it in a process, or name one");
  home.tables().add(table, owner, will(std::move(options.heirs), kept_or_null(std::move(told)), table, owner));
}

std::shared_ptr<table_base> find_table(const core& home, std::string_view name, std::type_index row) {
  home.interleave_quietly();
  auto found = home.tables().find(name);
  if (!found || found->row_type() == row) return found;
  throw table_error(table_error::code::wrong_type, label(std::string(name)) + " has rows of type " +
                                                       boost::core::demangle(found->row_type().name()) + ", not " +
                                                       boost::core::demangle(row.name()));
}

void drop_table(table_base& table) {
  table.home().interleave();
  table.home().tables().drop(table);
}

void rename_table(table_base& table, std::string name) {
  table.home().interleave();
  table.home().tables().rename(table, std::move(name));
}

void adopt_table(table_base& table) {
  table.home().interleave();
  table.home().tables().adopt(table, self());
}

void set_heirs(const std::shared_ptr<table_base>& table, std::vector<heir> heirs, transfer_message told) {
  table->home().interleave();
  check_heirs(heirs);
  will last(std::move(heirs), kept_or_null(std::move(told)), table, self_if_any().value_or(pid{}));
  table->home().tables().set_heirs(*table, std::move(last));
}

void give_away(table_base& table, pid to, message_ptr transfer) {
  table.home().interleave();
  table.home().tables().give(table, to, std::move(transfer));
}

void promise(table_base& table, std::string to, duration deadline, message_ptr transfer, timed_message expired) {
  table.home().interleave();
  if (to.empty()) throw std::invalid_argument("give_away: the name is empty");
  table.home().tables().promise(table, std::move(to), deadline, std::move(transfer), std::move(expired));
}

bool withdraw_promise(table_base& table) {
  table.home().interleave();
  return table.home().tables().withdraw_promise(table);
}

}  // namespace detail
}  // namespace kv
