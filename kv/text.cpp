// How the small values of the library print themselves.
#include <ostream>
#include <sstream>

#include <boost/core/demangle.hpp>

#include <kv/detail/message.hpp>
#include <kv/errors.hpp>
#include <kv/messages.hpp>

namespace kv {

std::string to_string(pid id) {
  if (!id) return "<none>";
  return std::string("<").append(std::to_string(id.slot)).append(1, '.').append(std::to_string(id.generation)) += '>';
}

std::ostream& operator<<(std::ostream& out, pid id) { return out << to_string(id); }

std::ostream& operator<<(std::ostream& out, const down& message) {
  out << "down " << message.from << ' ' << message.reason;
  return message.tag.empty() ? out : out << " (" << message.tag << ')';
}

std::ostream& operator<<(std::ostream& out, const exit_signal& message) {
  return out << "exit " << message.from << ' ' << message.reason;
}

namespace {

std::string describe(call_error::code why, pid callee, const exit_reason& reason) {
  const auto who = "call to " + to_string(callee) + ": ";
  switch (why) {
    case call_error::code::noproc: return who + "noproc";
    case call_error::code::timeout: return who + "timeout";
    case call_error::code::calling_self: return who + "a process cannot call itself";
    case call_error::code::overloaded: return who + "overloaded";
    case call_error::code::interrupted: return who + "the caller has to end";
    case call_error::code::exited: break;
  }
  return who + to_string(reason);
}

}  // namespace

call_error::call_error(code why, pid callee, const exit_reason& reason)
    : std::runtime_error(describe(why, callee, reason)), why_(why), callee_(callee), reason_(reason) {}

call_error::call_error(const std::string& name)
    : std::runtime_error("call to " + name + ": noproc"), why_(code::noproc), reason_(exit_reason::noproc) {}

std::string detail::type_name(const std::type_info& type) { return boost::core::demangle(type.name()); }

}  // namespace kv
