// Every table of a runtime: who owns it, and what it is called.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <typeindex>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kv/detail/core.hpp>
#include <kv/pid.hpp>
#include <kv/table_types.hpp>

namespace kv::detail {

/// What every table has, whatever its rows are.
class table_base {
 public:
  table_base(std::string name, std::string_view type, table_access access, std::type_index row, core& home);
  table_base(const table_base&) = delete;
  table_base& operator=(const table_base&) = delete;
  virtual ~table_base() = default;

  const std::string& name() const noexcept { return name_; }
  std::type_index row_type() const noexcept { return row_; }
  core& home() const noexcept { return home_; }

  /// Any thread. Returns nobody once the table is dropped.
  pid owner() const noexcept {
    const auto packed = owner_.load(std::memory_order_acquire);
    if (packed == 0) return {};
    return {static_cast<std::uint32_t>(packed >> 32U), static_cast<std::uint32_t>(packed), node_};
  }
  /// Only the directory, under its lock. Release pairs with owner(): who sees it dropped finds no row.
  void set_owner(pid who) noexcept {
    owner_.store(std::uint64_t{who.slot} << 32U | who.generation, std::memory_order_release);
  }

  /// Throws table_error when the current process may not do that, or the table is dropped.
  void check_read() const {
    if (access_ == table_access::private_ || !owner()) check_owner("read");
  }
  void check_write() const {
    if (access_ != table_access::public_ || !owner()) check_owner("write to");
  }
  void check_owner(const char* verb) const;

  virtual std::size_t size() const = 0;
  virtual std::size_t memory() const = 0;
  virtual void discard_rows() = 0;

  table_info info() const;

 private:
  const std::string name_;
  const std::string_view type_;
  const table_access access_;
  const std::type_index row_;
  core& home_;
  const std::uint32_t node_;
  std::atomic<std::uint64_t> owner_{0};  // slot and generation
};

/// (T1) A table is in the directory exactly as long as it has an owner.
/// (T2) A table gets an owner only under the directory's lock, and only one that is alive there. A process that dies
///      moves its generation on before it takes this lock, so it loses every table it was ever given.
class table_directory {
 public:
  /// Throws table_error when the name is taken or the owner is dead.
  void add(const std::shared_ptr<table_base>& table, pid owner);
  /// Takes the table from its owner and destroys its rows.
  void drop(const table_base& table);
  void owner_died(pid owner);
  std::shared_ptr<table_base> find(std::string_view name) const;
  std::vector<std::shared_ptr<table_base>> all() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_multimap<pid, std::shared_ptr<table_base>> by_owner_;  // under mutex_
};

/// Makes the message that tells a process that a table is now its own, after `from`. Empty: it is not told.
using transfer_message = std::function<message_ptr(std::shared_ptr<table_base> what, pid from)>;

// What table<Key, Value> needs of it, without the rows' types. See there.
void add_table(core& home, const std::shared_ptr<table_base>& table, table_options options,
               transfer_message inheritance);
std::shared_ptr<table_base> find_table(const core& home, std::string_view name, std::type_index row);
void drop_table(const table_base& table);
void rename_table(table_base& table, std::string name);
void adopt_table(const std::shared_ptr<table_base>& table);
void set_heirs(table_base& table, std::vector<heir> heirs, transfer_message inheritance);
void give_away(const std::shared_ptr<table_base>& table, pid to, const transfer_message& gift);
void promise(const std::shared_ptr<table_base>& table, std::string to, duration deadline, transfer_message gift,
             timed_message expired);
bool withdraw_promise(table_base& table);

}  // namespace kv::detail
