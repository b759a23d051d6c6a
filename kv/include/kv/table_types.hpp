// The words that tables are described with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <kv/pid.hpp>

namespace kv {

/// Who may do what with a table, as in ETS.
enum class table_access : std::uint8_t {
  public_,     ///< everybody reads and writes
  protected_,  ///< everybody reads, the owner writes
  private_     ///< the owner reads and writes
};

std::string_view to_string(table_access access) noexcept;

/// Who shall inherit a table: a process, or whoever goes by a name, in whatever incarnation.
using heir = std::variant<pid, std::string>;

/// How a table is created.
struct table_options {
  /// By which others find it; one table of a name in a runtime. Empty: it has none.
  std::string name = {};
  table_access access = table_access::protected_;
  /// Who owns it. The calling process when it is left out; on a plain thread it must be given.
  pid owner = {};
  /// Nobody owns it: it lives until somebody drops or adopts it. What is left of these when the runtime ends is reported.
  bool ownerless = false;
  /// Who inherits it when its owner dies, the first choice first. See table::set_heirs.
  std::vector<heir> heirs = {};
};

/// A table said no. The table is as it was before.
class table_error : public std::runtime_error {
 public:
  enum class code : std::uint8_t {
    access,         ///< this process may not do that
    no_table,       ///< the table was dropped, or its owner died
    name_taken,     ///< another table has that name
    no_owner,       ///< the process that was to own the table is dead
    already_owner,  ///< the process that was to be given the table owns it
    wrong_type,     ///< the table of that name has other rows
    bad_file        ///< the file is no table of this type, or not all of one
  };
  table_error(code why, const std::string& what) : std::runtime_error(what), why_(why) {}
  code why() const noexcept { return why_; }

 private:
  code why_;
};

/// What a table is, as `ets:info/1` tells it.
struct table_info {
  std::string name;  ///< empty for none
  std::string type = "set";
  table_access access = table_access::protected_;
  pid owner;                ///< nobody when it is ownerless, or waits for an heir
  std::vector<heir> heirs;  ///< who inherits it when the owner dies, the first choice first
  std::size_t size = 0;     ///< rows
  std::size_t memory = 0;   ///< bytes that the table has allocated, without what its rows allocated themselves
};

/// The receiver owns this table now: its owner has died and it was the heir, or its owner gave it away. It was the owner
/// before this message came, and no reader has noticed. `Data` is what the former owner had to say about it.
/// Mirrors `{'ETS-TRANSFER', Tab, FromPid, Data}`.
template <class Table, class Data = std::string>
struct table_transfer {
  Table table;
  pid from;
  Data data;
};

/// Nobody of that name has come to take the table in time: it is still the receiver's. See table::give_away.
template <class Table>
struct gift_expired {
  Table table;
  std::string name;
};

}  // namespace kv
