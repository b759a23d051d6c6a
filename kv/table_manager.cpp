#include <kv/table_manager.hpp>

#include <algorithm>
#include <stdexcept>

#include <kv/detail/shortage.hpp>
#include <kv/timer.hpp>

#include "table_label.hpp"

namespace kv {

namespace detail {

transfer_message table_return() {
  return [](std::shared_ptr<table_base> what, pid from) -> message_ptr {
    return std::make_unique<letter_of<table_returned>>(table_returned{std::move(what), from});
  };
}

void check_managed(const table_options& options, const std::string& consumer, handover how) {
  if (options.name.empty()) throw std::invalid_argument("manage: the table needs a name");
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument("manage: " + label(options.name) + " " + why);
  };
  if (options.owner) refuse("is to be owned by " + to_string(options.owner) + "; its manager or its consumer owns it");
  if (options.ownerless) refuse("is to be ownerless; its manager or its consumer owns it");
  if (!options.heirs.empty()) refuse("has heirs; its manager is the heir");
  if (consumer.empty() && how == handover::push) refuse("is to be pushed, and its consumer has no name");
}

namespace {

[[noreturn]] void refuse_claim(claim_result why, std::string_view manager, const std::string& table) {
  if (why == claim_result::unknown) {
    throw table_error(table_error::code::no_table, std::string(manager) + " manages no table " + table);
  }
  throw table_error(table_error::code::access,
                    label(table) + " of " + std::string(manager) + " is for the process of another name");
}

ref<table_manager> manager_of(core& home, std::string_view name, pid who) {
  if (home.find(who) != nullptr && !home.alive_as(who, typeid(table_manager)) && home.find(who) != nullptr) {
    throw std::invalid_argument(std::string(name) + " is " + to_string(who) + ", which is no table manager");
  }
  return {home, who};
}

bool owns(core& home, const std::string& table) {
  const auto found = home.tables().find(table);
  return found && found->owner() == self();
}

duration time_until(core& home, time_point deadline) {
  if (deadline == time_point::max()) return infinity;
  if (deadline == time_point::min()) return duration{0};
  return std::max(duration{0}, deadline - home.exec().now());
}

/// Returns the answer; nothing when the manager has died meanwhile. Throws what it refuses with, as call_error.
std::optional<claim_result> try_claim(core& home, const ref<table_manager>& manager, const std::string& table,
                                      time_point deadline) {
  std::optional<call_error> failure;
  try {
    return manager.call_for(time_until(home, deadline), &table_manager::claim, table);
  } catch (const call_error& e) {
    failure = e;
  }
  if (failure->why() == call_error::code::noproc) return std::nullopt;
  if (failure->why() == call_error::code::exited && !home.alive(manager)) return std::nullopt;  // else it has refused
  if (failure->why() == call_error::code::timeout) manager.cast(&table_manager::withdraw, self(), table);
  throw *failure;
}

}  // namespace

void claim(std::string_view manager, const std::string& table, duration timeout) {
  auto& home = *this_process().home;
  const auto deadline = home.deadline_after(timeout);
  for (;;) {
    home.interleave();
    if (owns(home, table)) return;
    const auto who = home.await_name(manager, time_until(home, deadline));
    if (!who) throw call_error(call_error::code::timeout, {});
    const auto answer = try_claim(home, manager_of(home, manager, *who), table, deadline);
    if (answer && *answer != claim_result::given) refuse_claim(*answer, manager, table);
  }
}

void require_table(core& home, std::string_view manager, const std::string& table) {
  const auto who = home.whereis(manager);
  if (!who) throw call_error(std::string(manager));
  const bool known = manager_of(home, manager, *who).call(&table_manager::restore, table);
  if (!known) refuse_claim(claim_result::unknown, manager, table);
}

}  // namespace detail

table_manager::table_manager(std::vector<managed_table> tables)
    : name_(detail::this_process().home->name_of(self())), again_(std::chrono::seconds(1), push_again{}) {
  if (name_.empty()) throw std::invalid_argument("table_manager: start it under a name, which its tables wait for");
  for (auto& each : tables) {
    if (find(each.name) != nullptr)
      throw std::invalid_argument("table_manager: table " + each.name + " is listed twice");
    if (each.consumer == name_) {
      throw std::invalid_argument("table_manager: " + name_ + " cannot be the consumer of table " + each.name);
    }
    tables_.push_back({.spec = std::move(each), .is = {}});
  }
  for (auto& each : tables_) open_or_leave_out(each);
  for (auto& each : tables_) hand_over_now(each);
}

std::vector<managed_table_info> table_manager::tables() const {
  std::vector<managed_table_info> result;
  for (const auto& each : tables_) {
    const auto owner = each.is.inside ? each.is.inside->owner() : pid{};
    result.push_back({each.spec.name, each.spec.consumer, each.spec.how, owner});
  }
  return result;
}

void table_manager::handle(const detail::table_returned& news) {
  const auto found =
      std::ranges::find(tables_, news.table.get(), [](const kept_table& t) { return t.is.inside.get(); });
  if (found != tables_.end()) return hand_over_now(*found);
  tell([&] {
    return "manager " + name_ + " has inherited a table that it does not manage: " +
           detail::label(detail::this_process().home->tables().name_of(*news.table));
  });
}

void table_manager::claim(from<claim_result> caller, const std::string& table) {
  auto* const found = find(table);
  if (found == nullptr) return caller.reply(claim_result::unknown);
  const auto& consumer = found->spec.consumer;
  if (!consumer.empty() && whereis(consumer) != caller.caller()) return caller.reply(claim_result::other_consumer);
  const auto failure = detail::failure_of([&] {
    reopen(*found);
    found->claims.push_back(std::move(caller));
  });
  if (failure) return caller.refuse(exit_reason::error(failure));
  serve_claims(*found);
}

void table_manager::withdraw(pid claimer, const std::string& table) {
  if (auto* const found = find(table)) {
    std::erase_if(found->claims, [claimer](const from<claim_result>& each) { return each.caller() == claimer; });
  }
}

void table_manager::restore(from<bool> caller, const std::string& table) {
  auto* const found = find(table);
  if (found == nullptr) return caller.reply(false);
  const auto failure = detail::failure_of([&] { reopen(*found); });
  if (failure) return caller.refuse(exit_reason::error(failure));
  caller.reply(true);
}

/// Creates it if it is not there.
void table_manager::reopen(kept_table& t) {
  if (t.is.inside && t.is.inside->info_if_any()) return;
  open(t);
  hand_over_now(t);
}

table_manager::kept_table* table_manager::find(std::string_view name) {
  const auto found =
      std::ranges::find(tables_, name, [](const kept_table& t) { return std::string_view(t.spec.name); });
  return found == tables_.end() ? nullptr : &*found;
}

void table_manager::open(kept_table& t) { t.is = t.spec.open(name_); }

/// A table that cannot be had is the user's mistake at the first start. Later it must not keep this from the others. What
/// is wanting for it is no mistake, and may be there when this is started again.
void table_manager::open_or_leave_out(kept_table& t) {
  if (detail::this_process().restarts == 0) return open(t);
  const auto failure = detail::failure_of([&] { open(t); });
  if (!failure) return;
  if (detail::is_shortage(failure)) std::rethrow_exception(failure);
  tell([&] {
    return "manager " + name_ + " leaves out " + detail::label(t.spec.name) + ": " +
           to_string(exit_reason::error(failure));
  });
}

/// Does nothing while another process has it.
void table_manager::hand_over_now(kept_table& t) {
  if (!t.is.inside) return;
  serve_claims(t);
  if (t.spec.how == handover::push && t.is.inside->owner() == self()) push(t);
}

/// What is to be said with it is the user's, and may not let itself be copied.
void table_manager::push(kept_table& t) {
  const auto failure = detail::failure_of([&] { t.is.push(); });
  const bool is_first = !std::exchange(t.is_stuck, static_cast<bool>(failure));
  if (!failure) return;
  again_.turn_on();
  if (!is_first) return;
  tell([&] {
    return "manager " + name_ + " cannot hand over " + detail::label(t.spec.name) +
           " now: " + to_string(exit_reason::error(failure));
  });
}

void table_manager::handle(const push_again& /*now*/) {
  again_.turn_off();
  for (auto& each : tables_) {
    if (each.is_stuck) hand_over_now(each);
  }
}

/// If there is memory for it.
template <class F>
void table_manager::tell(F what) const {
  detail::this_process().home->report_if_possible([&] { return oddity_report{self(), what()}; });
}

/// Answers those who have the table, and gives it to the first who is alive.
void table_manager::serve_claims(kept_table& t) {
  while (!t.claims.empty()) {
    const auto claimer = t.claims.front().caller();
    const auto owner = t.is.inside->owner();
    std::exception_ptr failure;
    if (owner != claimer) {
      if (owner != self()) return;  // it comes back when that one ends
      failure = detail::failure_of([&] {
        try {
          detail::give_away(*t.is.inside, claimer, nullptr);
        } catch (const table_error& e) {
          if (e.why() != table_error::code::no_owner) throw;  // else the claimer has ended
        }
      });
    }
    auto answered = std::move(t.claims.front());
    t.claims.pop_front();
    if (failure) {
      answered.refuse(exit_reason::error(failure));
    } else {
      answered.reply(claim_result::given);
    }
  }
}

std::function<pid()> start_table_manager(std::string name, std::vector<managed_table> tables) {
  return [name = std::move(name), tables = std::move(tables)] {
    return spawn_link_named<table_manager>(name, tables).id();
  };
}

}  // namespace kv
