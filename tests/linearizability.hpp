// Whether what many clients were told by one table could have happened call by call, in one order that contradicts
// nobody's watch. That is what "every operation is atomic for its key" means.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace linearizability {

enum class verb : std::uint8_t {
  insert,
  insert_new,
  erase,
  erase_if_equal,
  update,
  update_or,       ///< an absent key held 0
  update_counter,  ///< wraps past wrap_at, to 0
  replace_if,      ///< puts one more in the place of what is compared with
  take,
  lookup,
  member,
  read_in_place
};
inline constexpr int verb_count = 12;
inline constexpr int wrap_at = 30'000;

/// What the table said when it was gone.
struct no_table {
  friend auto operator<=>(const no_table&, const no_table&) = default;
};

/// Nothing for insert; whether, for erase, erase_if_equal, replace_if and member; a value or none for the others.
using answer = std::variant<std::monostate, bool, std::optional<int>, no_table>;

/// A call as its client saw it.
struct call {
  verb what = verb::lookup;
  int key = 0;
  int argument = 0;  ///< the value to insert or to compare with; what an update adds or counts
  answer answered = std::monostate{};
  int client = 0;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};

std::ostream& operator<<(std::ostream& out, const call& c);

/// Returns the time, which is a ticket that nobody else gets. To be taken before a call begins and after it has
/// returned. When one call's end is less than another's start, the first had returned before the second began, by the
/// order in which tickets are drawn; and acquire and release make what the first did visible to the second. So no order
/// is claimed that was not there, and as no two tickets are equal, none is missed.
std::uint64_t now() noexcept;

/// Judges a history of a table that was empty at first; the calls come in any order. Returns nothing when some order
/// explains all answers. Otherwise says which answer is the first that none explains, and shows what was done to its key
/// before, from a moment on when nobody used it.
///
/// Each key is judged alone: a history is linearizable if it is so for each object in it. Calls that were answered
/// no_table have not happened, but none that started later may have been answered otherwise.
std::optional<std::string> find_violation(std::vector<call> history);

}  // namespace linearizability
