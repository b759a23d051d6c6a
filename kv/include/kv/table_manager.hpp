// Tables that outlive the processes that use them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/child_spec.hpp>
#include <kv/detail/retry_timer.hpp>
#include <kv/process.hpp>
#include <kv/table.hpp>

namespace kv {

/// How a managed table gets to its consumer.
enum class handover : std::uint8_t {
  push,  ///< it is given to whoever has the consumer's name, from before his constructor on
  pull   ///< it is given to a consumer who asks for it: see claim_table
};

/// What became of a claim.
enum class claim_result : std::uint8_t {
  given,           ///< the table is the caller's
  unknown,         ///< the manager has no table of that name
  other_consumer,  ///< it is for the process of another name
};

namespace detail {

/// The consumer of a table has ended, and left it to the manager.
struct table_returned {
  std::shared_ptr<table_base> table;
  pid from;
};

/// A table that is there, and how it is pushed.
struct opened_table {
  std::shared_ptr<table_base> inside;
  std::function<void()> push;
};

transfer_message table_return();
void check_managed(const table_options& options, const std::string& consumer, handover how);
void claim(std::string_view manager, const std::string& table, duration timeout);
void require_table(core& home, std::string_view manager, const std::string& table);

}  // namespace detail

/// A table in a manager's care: made by manage().
struct managed_table {
  std::string name;      ///< of the table
  std::string consumer;  ///< the name of the process that works with it
  handover how = handover::push;
  /// Finds the table, or creates it for the calling process. Runs inside the manager.
  std::function<detail::opened_table(const std::string& manager)> open;
};

/// Describes a table for a manager: its type, its options, and the name of the process that is to work with it. When it
/// is pushed, the consumer is sent `table_transfer<Table, Data>` with a copy of `data` each time; text as std::string. It
/// is copied in the manager: while that throws the table stays there, which is reported, and it is tried again.
/// When it is pulled, `consumer` may be empty: then it is given to whoever asks first.
///
/// Throws std::invalid_argument when the table has no name, by which the next incarnation of the manager finds it; when
/// an owner or heirs are given, which is the manager's business; when it is ownerless; and for a push to nobody.
template <class Table, class Data = std::string>
managed_table manage(table_options options, std::string consumer, handover how = handover::push, Data data = {}) {
  detail::check_managed(options, consumer, how);
  auto name = options.name;
  auto open = [options = std::move(options), consumer,
               data = detail::kept<Data>(std::move(data))](const std::string& manager) -> detail::opened_table {
    auto table = Table::find(options.name);
    if (!table) {
      table = Table::create(options);
      detail::set_heirs(table->inside(), {manager}, detail::table_return());
    }
    return {table->inside(), [t = *table, consumer, data]() mutable { t.give_away(consumer, infinity, data); }};
  };
  return {std::move(name), std::move(consumer), how, std::move(open)};
}

/// What tables() tells of a table.
struct managed_table_info {
  std::string name;
  std::string consumer;
  handover how = handover::push;
  pid owner;  ///< its consumer, or the manager while it has none
};

/// A process that keeps tables alive across the deaths of those who work with them: it creates a table, gives it to its
/// consumer, inherits it when that one ends, whatever of, and gives it to the next incarnation, any number of times. Its
/// rows never move, and readers notice nothing. Mirrors `Immortal.EtsTableManager` and the table managers of Erlang.
///
///     kv::worker("manager", kv::start_table_manager("manager", {kv::manage<counts>({.name = "counts"}, "counter")}))
///
/// It needs a name, because that is the tables' heir: they wait for it when it dies itself, also when their consumers die
/// meanwhile. So nothing is lost as long as the runtime lives and something starts it again. Start it before its
/// consumers, below the same supervisor or another.
///
/// A consumer that is pushed its table has it from its birth on when the manager has it by then; otherwise it comes when
/// it comes, and the consumer should take it in `handle(const table_transfer<Table, Data>&)`; or, when it can do nothing
/// without, before anything else: `kv::continue_with([this] { take(kv::receive<kv::table_transfer<Table>>()); })` in its
/// constructor. One that waits for it in its constructor keeps its supervisor waiting, which then cannot restart the
/// manager: where both have the same one, claim in a kv::continue_with.
///
/// Want of a shared resource (see supervisor) does not end it: what it cannot give away now it gives away later, and who
/// claims a table is refused with the reason.
///
/// A consumer must not rename its table. One that drops it finds a new, empty one at its next claim. One that sets other
/// heirs, or gives it to others, takes it out of the manager's care.
class table_manager {
 public:
  static constexpr bool outlives_shortage = true;  // a request that fails for want of a resource is refused
  static constexpr bool reserved_stack = true;     // see runtime_options::reserved_stacks

  /// Takes over what an earlier incarnation has left, and creates what is missing. Throws std::invalid_argument when it is
  /// started without a name, when a table is listed twice, and when its own name is a consumer's; table_error when there
  /// is a table of that name with other rows. When a supervisor has restarted it, such a table is reported and left out
  /// instead, until it is asked for and can be had: the others must not go with it.
  explicit table_manager(std::vector<managed_table> tables);

  /// Returns its tables, in the order in which they were listed.
  std::vector<managed_table_info> tables() const;
  /// Gives the table to the caller as soon as it has come back. The inside of claim_table, which is what to use.
  void claim(from<claim_result> caller, const std::string& table);
  /// That process does not want the table any more.
  void withdraw(pid claimer, const std::string& table);
  /// Creates the table again if its consumer has dropped it; false when there is none of that name. Refuses with what
  /// kept it from being created.
  void restore(from<bool> caller, const std::string& table);

  struct push_again {};
  using messages = message_types<detail::table_returned, push_again>;
  void handle(const detail::table_returned& news);
  void handle(const push_again& now);

 private:
  struct kept_table {
    managed_table spec;
    detail::opened_table is;
    std::deque<from<claim_result>> claims = {};  // in the order in which they came
    bool is_stuck = false;                       // what is to be said with it could not be copied
  };

  kept_table* find(std::string_view name);
  void open(kept_table& t);
  void open_or_leave_out(kept_table& t);
  void reopen(kept_table& t);
  void hand_over_now(kept_table& t);
  void push(kept_table& t);
  void serve_claims(kept_table& t);
  template <class F>
  void tell(F what) const;

  std::string name_;
  std::deque<kept_table> tables_;
  detail::retry_timer again_;  // on while a table is stuck
};

/// Returns the start function of a manager below a supervisor, for kv::worker.
std::function<pid()> start_table_manager(std::string name, std::vector<managed_table> tables);

/// Takes a table from its manager, waiting until that is there and has it: the calling process owns it then. To be called
/// in the start of a consumer. Returns at once when the process owns it already. Blocks.
///
/// Throws call_error{timeout} when it has not come in time; table_error when the manager has no such table (no_table) or
/// has it for the process of another name (access); std::invalid_argument when the process of that name is no manager;
/// call_error{exited} with what kept the manager from creating or giving it, while the manager goes on.
/// After a timeout the table may still come, as long as the manager has not heard of it.
template <class Table>
Table claim_table(std::string_view manager, const std::string& table,
                  std::chrono::nanoseconds timeout = default_timeout) {
  detail::claim(manager, table, timeout);
  return Table::find(table).value();
}

/// Returns a managed table, whoever has it now: to read from, as its access admits. Asks the manager only when there is
/// none. Throws call_error when the manager is needed and down, table_error as claim_table does. Mirrors
/// `EtsTableManager.table/1`.
template <class Table>
Table table_of(const runtime& home, std::string_view manager, const std::string& table) {
  for (;;) {
    if (auto found = Table::find(home, table)) return std::move(*found);
    detail::require_table(home.core(), manager, table);
  }
}

}  // namespace kv
