// Every table of a runtime: who owns it, who is to own it next, and what it is called.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include <kv/detail/core.hpp>
#include <kv/detail/timer.hpp>
#include <kv/pid.hpp>
#include <kv/table_types.hpp>

namespace kv::detail {

class table_base;

/// Makes the message that tells an heir that a table is now its own, after `from`. It only allocates: what the user gave
/// is copied by the heir.
using transfer_message = std::function<message_ptr(std::shared_ptr<table_base> what, pid from)>;
using inheritance = std::shared_ptr<const transfer_message>;

/// The places at which a table waits for a process of one of some names. Made in time, so that waiting cannot fail.
class waiting_places {
 public:
  using map = std::multimap<std::string, table_base*, std::less<>>;

  waiting_places() = default;
  waiting_places(std::vector<std::string> names, table_base& table);

  bool empty() const noexcept { return ready_.empty() && taken_.empty(); }
  /// The names, in order, each once.
  std::vector<std::string> names() const;
  void enter(map& awaited) noexcept;
  void leave(map& awaited) noexcept;

 private:
  std::vector<map::node_type> ready_;
  std::vector<map::iterator> taken_;
};

/// What an owner says of who shall own its table after it. All that a death needs of it is made in time.
struct will {
  will() = default;
  will(std::vector<heir> named, inheritance message, const std::shared_ptr<table_base>& table, pid owner);

  std::vector<heir> heirs;
  inheritance told;       // null: an heir is told nothing
  waiting_places places;  // by the names of heirs
  message_ptr letter;     // what the next heir is sent; null: nothing, or there was no memory for it
};

/// Who shall own a table next. Under the directory's lock.
struct succession {
  will last;
  // The table waits for a process of some name: because its owner has promised it, or because it has none.
  waiting_places promised;            // by the name that it is promised to
  waiting_places* awaited = nullptr;  // null: it does not wait
  message_ptr transfer;               // what that process is sent; null: nothing
  std::uint64_t timer = 0;            // that ends the promise; 0: nothing does
  bool is_last = false;               // nobody can come any more, because the runtime ends
};

using tables_by_owner = std::multimap<pid, std::shared_ptr<table_base>>;

/// What every table has, whatever its rows are.
class table_base {
 public:
  table_base(std::string name, std::string_view type, table_access access, std::type_index row, core& home);
  table_base(const table_base&) = delete;
  table_base& operator=(const table_base&) = delete;
  virtual ~table_base() = default;

  std::type_index row_type() const noexcept { return row_; }
  core& home() const noexcept { return home_; }

  /// Any thread. Returns nobody when it has no owner, or was dropped.
  pid owner() const noexcept { return owner_of(owner_.load(std::memory_order_acquire)); }

  /// Throws table_error when the current process may not do that, or the table is dropped. Not under the directory's
  /// lock; an engine's may be held.
  void check_read() const {
    if (access_ == table_access::private_ || is_dropped()) check_owner("read");
  }
  void check_write() const {
    if (access_ != table_access::public_ || is_dropped()) check_owner("write to");
  }
  void check_owner(const char* verb) const;

  virtual std::size_t size() const = 0;
  virtual std::size_t memory() const = 0;
  virtual void discard_rows() = 0;

  /// Returns what it is; nothing when it was dropped.
  std::optional<table_info> info_if_any() const;
  table_info info() const;

 private:
  friend class table_directory;

  // What the owner's word can say besides who it is: a slot and a generation, neither of them the last there is.
  static constexpr std::uint64_t dropped = 0;
  static constexpr std::uint64_t nobody = ~std::uint64_t{0};

  [[noreturn]] void refuse(const std::string& name, std::uint64_t word, const char* verb) const;
  bool is_dropped() const noexcept { return owner_.load(std::memory_order_acquire) == dropped; }
  pid owner_of(std::uint64_t word) const noexcept {
    if (word == dropped || word == nobody) return {};
    return {static_cast<std::uint32_t>(word >> 32U), static_cast<std::uint32_t>(word), node_};
  }
  /// Only the directory, under its lock. Release pairs with owner(): who sees it dropped finds no row.
  void set_owner(pid who) noexcept {
    owner_.store(who ? std::uint64_t{who.slot} << 32U | who.generation : nobody, std::memory_order_release);
  }
  void set_dropped() noexcept { owner_.store(dropped, std::memory_order_release); }

  const std::string_view type_;
  const table_access access_;
  const std::type_index row_;
  core& home_;
  const std::uint32_t node_;
  std::atomic<std::uint64_t> owner_{dropped};

  // Under the directory's lock.
  std::string name_;
  succession next_;
  tables_by_owner::iterator place_;
};

/// The tables of a runtime, under one lock.
///
/// (T1) A table is here until it is dropped. It has an owner, or is ownerless, or waits for an heir; `awaited` is set
///      exactly while it waits, or is promised by its owner.
/// (T2) A table changes hands only under the lock, and only into those of a process that is not departing there. A
///      process that dies departs before it takes the lock, so it loses every table it was ever given, and inherits
///      none of its own.
/// (T3) A new owner has his message in his mailbox before the lock is free. The former one tells nobody of his death
///      before he has had the lock. So the message stands before his `down` and his exit signal.
/// (T4) No table waits for a name that somebody alive has had since before it waited. Whoever registers a name enters it
///      first, then comes here; whoever lets a table wait looks the name up under the lock. One of them sees the other.
///      A name is taken over from a process that is dead, and which has given up its tables before that.
/// (T5) A promise is kept by who stops its timer. A timer leaves its queue before it rings, and then nobody stops it.
/// (T6) Nothing of the user's runs under the lock, nor an engine's, and nobody waits. What is taken under it, in turn: the
///      lock of the names, of the timers, of the alarm clock and of a run queue. None of these is held by who takes this
///      one. An engine's may be.
class table_directory {
 public:
  explicit table_directory(core& home) noexcept : home_(home) {}

  // A process or plain thread. These throw table_error, and then nothing has changed.

  /// An empty owner: the table has none.
  void add(const std::shared_ptr<table_base>& table, pid owner, will last);
  void drop(table_base& table);
  void rename(table_base& table, std::string name);
  void adopt(table_base& table, pid who);
  void set_heirs(table_base& table, will last);
  void give(table_base& table, pid to, message_ptr transfer);
  void promise(table_base& table, std::string to, duration deadline, message_ptr transfer, timed_message expired);
  /// Tells whether there was a promise, and its time not over.
  bool withdraw_promise(table_base& table);

  // Deaths and births.

  /// The process itself, when it departs. Its tables go to their heirs; the others are destroyed, a user's code.
  void owner_died(pid owner) noexcept;
  /// That process has just been entered under that name.
  void name_given(std::string_view name, pid who) noexcept;
  /// The runtime begins to end: who is awaited from now on cannot come any more.
  void close() noexcept;
  /// Every process is dead. Reports what has been forgotten, and drops all.
  void clear() noexcept;

  // Any thread.

  std::shared_ptr<table_base> find(std::string_view name) const;
  std::vector<std::shared_ptr<table_base>> all() const;
  std::string name_of(const table_base& table) const;
  /// Adds what the directory knows; false when it was dropped.
  bool describe(const table_base& table, table_info& result) const;

 private:
  struct leftovers;

  // These require the lock.
  void check_free(const std::string& name) const;
  static void check_owner(const table_base& table, const char* verb);
  void move_to(table_base& table, pid owner) noexcept;
  void transfer(table_base& table, pid to, message_ptr what, leftovers& gone);
  void drop(table_base& table, leftovers& gone);
  void await_names(table_base& table, waiting_places& places, message_ptr transfer) noexcept;
  void make_letter(table_base& table, pid owner) noexcept;
  table_base* first_awaiting(std::string_view name, pid who) const noexcept;
  bool stop_waiting(table_base& table, leftovers& gone);
  std::optional<pid> first_alive(const std::vector<heir>& heirs) const;
  void settle(table_base& table, pid owner, leftovers& gone) noexcept;

  std::shared_ptr<table_base> any_of(pid owner) const noexcept;
  void copy_for_heir(table_base& table) noexcept;
  std::vector<forgotten_report> forgotten() const;

  core& home_;
  mutable std::mutex mutex_;
  // Under mutex_.
  tables_by_owner by_owner_;                               // those without an owner are nobody's
  std::map<std::string, table_base*, std::less<>> names_;  // of tables
  waiting_places::map awaited_;                            // by the names of processes
  bool is_closing_ = false;
};

// What table<Key, Value> needs of it, without the rows' types. See there.
void add_table(core& home, const std::shared_ptr<table_base>& table, table_options options, transfer_message told);
std::shared_ptr<table_base> find_table(const core& home, std::string_view name, std::type_index row);
void drop_table(table_base& table);
void rename_table(table_base& table, std::string name);
void adopt_table(table_base& table);
void set_heirs(const std::shared_ptr<table_base>& table, std::vector<heir> heirs, transfer_message told);
void give_away(table_base& table, pid to, message_ptr transfer);
void promise(table_base& table, std::string to, duration deadline, message_ptr transfer, timed_message expired);
bool withdraw_promise(table_base& table);

}  // namespace kv::detail
