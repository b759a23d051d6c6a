// A process that has to end while it waits is unwound by an exception. It may wait inside a destructor, though, which
// runs in the ordinary way at the end of some scope; and an exception that comes to a `noexcept` function ends the
// program. Nothing in the language tells beforehand: std::uncaught_exceptions() counts exceptions that are under way, and
// here there is none yet. So the way of the exception is looked at as the unwinder would go it, one function after the
// other from the wait outwards, until a function catches `unwind`, as those do that run callbacks. Each of them has a
// table that says what happens to an exception that comes out of a call:
//   - it is not listed: the function may not throw (g++);
//   - it just passes;
//   - it goes to a landing pad: of a function that may not throw and has something to destroy or a handler (g++), of any
//     that may not throw (clang), or of a function through which it passes on. The code of the pad tells them apart.
#include "unwind_path.hpp"

#include <unwind.h>

#include <cstdint>

#include "exception_table.hpp"
#include "landing_pad.hpp"

namespace kv::detail {

namespace {

/// What the unwinder is told: to go on to the next function outwards, or to stop.
constexpr auto outwards = _URC_NO_REASON;
constexpr auto enough = _URC_NORMAL_STOP;

_Unwind_Reason_Code look(_Unwind_Context* frame, void* result) {
  int is_before = 0;  // else the address is that behind the call
  auto code = _Unwind_GetIPInfo(frame, &is_before);
  if (code == 0) return enough;
  if (is_before == 0) --code;
  const auto here = find_call_site(code);
  if (here.is_listed && here.landing_pad == nullptr) return outwards;
  if (here.catches_unwind) return enough;
  if (here.is_listed && !here.may_refuse && !may_terminate(here)) return outwards;
  *static_cast<bool*>(result) = false;
  return enough;
}

}  // namespace

bool can_unwind_from_here() {
  bool result = true;
  _Unwind_Backtrace(look, &result);
  return result;
}

}  // namespace kv::detail
