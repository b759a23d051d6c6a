#include <kv/child_spec.hpp>

#include <array>
#include <ostream>

#include "children.hpp"

namespace kv {

child_spec worker(std::string id, std::function<pid()> start) {
  child_spec result{.id = std::move(id), .start = std::move(start)};
  detail::check_spec(result);
  return result;
}

child_spec supervisor_child(std::string id, std::function<pid()> start) {
  auto result = worker(std::move(id), std::move(start));
  result.shutdown = shutdown::infinity();
  result.is_supervisor = true;
  return result;
}

child_counts& child_counts::operator+=(const child_counts& other) noexcept {
  specs += other.specs;
  active += other.active;
  supervisors += other.supervisors;
  workers += other.workers;
  return *this;
}

std::ostream& operator<<(std::ostream& out, child_result::code what) {
  static constexpr std::array names{"ok",         "already_started", "already_present", "not_found", "running",
                                    "restarting", "max_children",    "failed",          "invalid"};
  return out << names.at(static_cast<std::size_t>(what));
}

std::ostream& operator<<(std::ostream& out, const child_result& result) {
  out << result.what;
  if (result.who) out << ' ' << result.who;
  if (result.reason != exit_reason::normal) out << " (" << result.reason << ')';
  return out;
}

max_children_reached::max_children_reached(std::size_t limit)
    : start_error("there are " + std::to_string(limit) + " children, and no more are allowed",
                  exit_reason::custom("max_children")) {}

}  // namespace kv
