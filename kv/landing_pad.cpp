// A `noexcept` function that has something to destroy looks like any other in its table: the exception goes to a landing
// pad, which destroys it. The difference comes after that, in the code: a call of `_Unwind_Resume` passes the exception
// on, and one of `std::terminate` (by clang, of a function that does nothing else) ends the program. So the code is
// followed from the landing pad, on every branch, to the first such call. This is asked when a process is about to end,
// and takes some microseconds.
#include "landing_pad.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "callee.hpp"
#include "machine_code.hpp"

namespace kv::detail {

#if defined(__x86_64__)

namespace {

class exploration {
 public:
  explicit exploration(const call_site& where) noexcept {
    add({.at = where.landing_pad, .catches_all = where.catches_all});
  }

  /// A branch may end the program for another reason, as ~thread() does for a thread that was not joined: so it matters
  /// whether there is one on which the exception passes.
  bool finds_an_end() noexcept {
    for (std::size_t next = 0; next < known_; ++next) follow(places_[next]);
    return !terminates_again_ && (passes_ || (may_pass_ && !terminates_));
  }

 private:
  using flow = instruction::flow;
  static constexpr unsigned most_instructions = 20'000;

  /// A place that is reached by a jump, with what is known there.
  struct place {
    const std::uint8_t* at = nullptr;
    bool catches_all = false;   // the exception may be caught from here on
    bool is_caught = false;     // it is
    bool was_rethrown = false;  // it was, by a handler
    bool is_guess = false;      // a case of a jump whose table was not read
    friend bool operator==(const place&, const place&) = default;
  };

  void add(const place& p) noexcept {
    if (!is_known(p) && known_ < places_.size()) places_[known_++] = p;
  }

  bool is_known(const place& p) const noexcept {
    const auto end = places_.begin() + static_cast<std::ptrdiff_t>(known_);
    return std::find(places_.begin(), end, p) != end;
  }

  void follow(place here) noexcept {
    for (bool is_first = true; is_first || !is_known(here); is_first = false) {
      if (++instructions_ > most_instructions) return;
      const auto code = instruction_reader::read(here.at);
      if (!step(here, code)) return;
      here.at = code.next;
    }
  }

  /// False when the code does not go on behind this instruction.
  bool step(place& here, const instruction& code) noexcept {
    auto there = here;
    there.at = code.target;
    switch (code.what) {
      case flow::next: return true;
      case flow::branch: add(there); return true;
      case flow::jump: add(there); return false;
      case flow::call: return call(here, callee_at(code.target));
      case flow::call_via: return code.target == nullptr || call(here, callee_in(code.target));
      case flow::jump_via: here.is_guess = true; return true;  // the cases come next, as a rule
      case flow::stop:
      case flow::unknown: break;
    }
    return false;
  }

  bool call(place& here, callee what) noexcept {
    switch (what) {
      case callee::terminates: (here.was_rethrown ? terminates_again_ : terminates_) = true; return false;
      case callee::resumes: passes(here); return false;
      case callee::rethrows: throw_again(here); return false;
      case callee::throws:
        may_pass_ = may_pass_ || here.is_caught;  // another exception in its place, by a handler that has it
        return false;
      case callee::begins_catch:
        here.is_caught = true;
        return here.catches_all;  // else it is for exceptions of some type
      case callee::ends_catch:
        if (!here.is_caught) return true;  // of one that was rethrown
        may_pass_ = true;                  // or not: by clang, `noexcept` is a `catch (...)` beside handlers of types
        return false;
      case callee::other: break;
    }
    return true;
  }

  /// The exception has left the function.
  void passes(const place& here) noexcept { (here.is_guess ? may_pass_ : passes_) = true; }

  void throw_again(const place& here) noexcept {
    const auto next = find_call_site(reinterpret_cast<std::uintptr_t>(here.at));
    if (!next.is_listed || next.may_refuse) {
      terminates_again_ = true;
    } else if (next.landing_pad == nullptr || next.catches_unwind) {
      passes(here);
    } else {
      add({.at = next.landing_pad, .catches_all = next.catches_all, .was_rethrown = true, .is_guess = here.is_guess});
    }
  }

  std::array<place, 128> places_;
  std::size_t known_ = 0;
  unsigned instructions_ = 0;
  bool passes_ = false;
  bool may_pass_ = false;
  bool terminates_ = false;
  bool terminates_again_ = false;  // when a handler rethrows the exception
};

}  // namespace

bool may_terminate(const call_site& where) noexcept { return !exploration(where).finds_an_end(); }

#else

bool may_terminate(const call_site&) noexcept { return false; }

#endif

}  // namespace kv::detail
