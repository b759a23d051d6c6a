// The words that tables are described with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <kv/pid.hpp>

namespace kv {

/// Who may do what with a table, as in ETS.
enum class table_access : std::uint8_t {
  public_,     ///< everybody reads and writes
  protected_,  ///< everybody reads, the owner writes
  private_     ///< the owner reads and writes
};

std::string_view to_string(table_access access) noexcept;

/// A table said no. The table is as it was before.
class table_error : public std::runtime_error {
 public:
  enum class code : std::uint8_t {
    access,      ///< this process may not do that
    no_table,    ///< the table was dropped, or its owner died
    name_taken,  ///< another table has that name
    no_owner,    ///< the process that was to own the table is dead
    wrong_type   ///< the table of that name has other rows
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
  pid owner;
  std::optional<pid> heir;  ///< who inherits it when the owner dies
  std::size_t size = 0;     ///< rows
  std::size_t memory = 0;   ///< bytes that the table has allocated, without what its rows allocated themselves
};

}  // namespace kv
