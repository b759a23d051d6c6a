// Tables: state that is shared, owned by a process, and found by name.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/bag.hpp>
#include <kv/detail/call.hpp>
#include <kv/table_writes.hpp>
#include <kv/timer.hpp>

namespace kv {

namespace detail {
template <class Table>
struct table_loader;
}

/// A concurrent table, in memory, owned by a process and dropped with it, unless an heir lives. ETS for C++: of the kinds
/// set, ordered_set and bag.
///
/// How it is read is said in table_ref, how it is written in table_writes; for a bag in kv/bag.hpp. What is said of
/// table_ref holds here, too. Writers of neighbouring keys wait for each other, for as long as it takes
/// to exchange a pointer; nobody waits for a reader, and no function of the user's runs under a lock but the `==` and
/// `<` of keys. What a row held is destroyed once no reader can see it. Anything that the access forbids throws
/// table_error and changes nothing.
template <class Key, class Value, class Type = set>
class table : public table_writes<Key, Value, Type> {
  using base = table_writes<Key, Value, Type>;
  using base::storage_;
  using typename base::storage;

 public:
  /// Creates a table. Throws table_error when the name is taken or the owner is dead, std::invalid_argument when there
  /// is no owner and it shall not be ownerless, when it shall be both, or the name of an heir is empty. Mirrors
  /// `ets:new/2`.
  static table create(runtime& home, table_options options = {}) { return make(home.core(), std::move(options), {}); }
  /// The same in the runtime of the calling process.
  static table create(table_options options = {}) { return make(*detail::this_process().home, std::move(options), {}); }
  /// The same, and heirs are told `heir_data`: see set_heirs.
  template <class Data>
  static table create(runtime& home, table_options options, Data heir_data) {
    return make(home.core(), std::move(options), told<Data>(std::move(heir_data)));
  }

  /// Returns the table of that name, if there is one. Throws table_error when its rows are of another type.
  /// Mirrors `ets:whereis/1`.
  static std::optional<table> find(const runtime& home, std::string_view name) {
    auto found = base::find_storage(home, name);
    return found ? std::optional(table(std::move(found))) : std::nullopt;
  }

  /// The same in the runtime of the calling process.
  static std::optional<table> find(std::string_view name) {
    auto found = detail::find_table(*detail::this_process().home, name, storage::row_type());
    return found ? std::optional(table(std::static_pointer_cast<storage>(std::move(found)))) : std::nullopt;
  }

  // The table itself -------------------------------------------------------------------------------------------------

  /// Drops the table with all its rows. Only the owner may, even when the table is public: ETS lets everybody, and one
  /// careless client then loses everybody's data. An ownerless table may be dropped by anybody. While many rows are
  /// destroyed, other processes have their turn in between, as when the owner dies. Mirrors `ets:delete/1`.
  void drop() { detail::drop_table(*storage_); }
  /// Gives it another name, or none. Only the owner may. Throws table_error when the name is taken. Mirrors
  /// `ets:rename/2`.
  void rename(std::string name) { detail::rename_table(*storage_, std::move(name)); }
  /// Makes the calling process the owner of an ownerless table. Throws table_error when it has an owner, or waits for an
  /// heir; std::logic_error outside a process.
  void adopt() { detail::adopt_table(*storage_); }

  /// Says who inherits the table when its owner dies, of whatever reason: the first of these who is alive then. Who goes
  /// by a name may be in between two incarnations: when no heir is alive, the table waits, without an owner but with all
  /// its rows, for the first process that is given one of the names. Without heirs it is dropped. Heirs stay what they
  /// are when the table changes hands, so an heir's own death passes it on to the others. A pid that is used again does
  /// not inherit. Only the owner may. The heir owns the table before anybody learns of the death; he is not told.
  /// Throws std::invalid_argument for an empty name. Mirrors `ets:setopts/2`.
  void set_heirs(std::vector<heir> heirs) { detail::set_heirs(storage_, std::move(heirs), {}); }
  /// The same, and each heir is sent `table_transfer<table, Data>` with a copy of `data`, before any `down` or exit signal
  /// of the former owner and however full its mailbox is. Text is sent as std::string. The copy is made where the owner
  /// dies; when that throws, the heir makes it when it takes the message, and when that throws, too, it is reported. The
  /// heir owns the table all the same.
  template <class Data>
  void set_heirs(std::vector<heir> heirs, Data data) {
    detail::set_heirs(storage_, std::move(heirs), told<Data>(std::move(data)));
  }

  /// Gives the table to another process, which is sent `table_transfer<table, Data>` however full its mailbox is, text as
  /// std::string. Its heirs stay. Only the owner may. Throws table_error when the receiver is the owner itself or dead, and
  /// changes nothing. Mirrors `ets:give_away/3`.
  template <class Data = std::string>
  void give_away(pid to, Data data = {}) {
    detail::give_away(*storage_, to, transfer<Data>(*this, self_if_any().value_or(pid{}), std::move(data)));
  }
  /// Gives the table to whoever has that name: now, or as soon as somebody is given it. Returns at once. When nobody has
  /// come until the deadline, a duration from now, the owner keeps it and is sent `gift_expired<table>`; never both. Who is
  /// born under the name owns the table before his constructor runs. The promise is void as soon as the table changes
  /// hands otherwise; a later one replaces it. Only the owner may. Throws table_error when the name is the owner's own,
  /// std::invalid_argument when it is empty.
  template <class Data = std::string>
  void give_away(std::string name, std::chrono::nanoseconds deadline, Data data = {}) {
    auto expired = detail::once(gift_expired<table>{*this, name});
    auto gift = transfer<Data>(*this, self_if_any().value_or(pid{}), std::move(data));
    detail::promise(*storage_, std::move(name), deadline, std::move(gift), std::move(expired));
  }
  /// Takes such a promise back; tells whether there was one whose time was not over. Only the owner may.
  bool keep() { return detail::withdraw_promise(*storage_); }

  /// The inside, for the library's own.
  std::shared_ptr<detail::table_base> inside() const { return this->storage_; }

 private:
  template <class Table>
  friend struct detail::table_loader;

  static table make(detail::core& home, table_options options, detail::transfer_message inheritance) {
    auto made = std::make_shared<storage>(options.name, options.access, home);
    detail::add_table(home, made, std::move(options), std::move(inheritance));
    return table(std::move(made));
  }
  explicit table(std::shared_ptr<storage> rows) : base(std::move(rows)) {}

  template <class Data>
  static detail::message_ptr transfer(table what, pid from, detail::kept<Data> data) {
    using message = table_transfer<table, detail::kept<Data>>;
    return std::make_unique<detail::letter_of<message>>(message{std::move(what), from, std::move(data)});
  }
  template <class Data>
  static detail::transfer_message told(detail::kept<Data> data) {
    return [shared = std::make_shared<const detail::kept<Data>>(std::move(data))](
               std::shared_ptr<detail::table_base> what, pid from) -> detail::message_ptr {
      return std::make_unique<inheritance<detail::kept<Data>>>(
          table(std::static_pointer_cast<storage>(std::move(what))), from, shared);
    };
  }

  /// What an heir is sent. It copies what it is told when it takes that.
  template <class Data>
  class inheritance final : public detail::late_letter<table_transfer<table, Data>> {
   public:
    inheritance(table what, pid from, std::shared_ptr<const Data> data)
        : what_(std::move(what)), from_(from), data_(std::move(data)) {}

   private:
    table_transfer<table, Data> make() override { return {what_, from_, *data_}; }

    table what_;
    pid from_;
    std::shared_ptr<const Data> data_;
  };
};

/// Returns what every table of the runtime is, in no order. Mirrors `ets:all/0`.
std::vector<table_info> all_tables(const runtime& home);

}  // namespace kv
