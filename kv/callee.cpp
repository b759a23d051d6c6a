#include "callee.hpp"

#include <cxxabi.h>
#include <unwind.h>

#include <exception>
#include <optional>
#include <string_view>

#include "linked_name.hpp"
#include "machine_code.hpp"

extern "C" [[gnu::weak]] void __cxa_call_terminate(void*);  // newer compilers call it for std::terminate

namespace kv::detail {

namespace {

using flow = instruction::flow;

struct known_function {
  callee what;
  const void* address;  // null where the C++ runtime has none
  std::string_view name;
};

template <class F>
const void* address_of(F* function) noexcept {
  return reinterpret_cast<const void*>(function);
}

const auto& known_functions() noexcept {
  static const known_function all[] = {
      {callee::terminates, address_of<void() noexcept>(std::terminate), "_ZSt9terminatev"},
      {callee::terminates, address_of(__cxa_call_terminate), "__cxa_call_terminate"},
      {callee::resumes, address_of(_Unwind_Resume), "_Unwind_Resume"},
      {callee::throws, address_of(abi::__cxa_throw), "__cxa_throw"},
      {callee::rethrows, address_of(abi::__cxa_rethrow), "__cxa_rethrow"},
      {callee::begins_catch, address_of(abi::__cxa_begin_catch), "__cxa_begin_catch"},
      {callee::ends_catch, address_of(abi::__cxa_end_catch), "__cxa_end_catch"},
  };
  return all;
}

std::optional<callee> by_address(const void* address) noexcept {
  for (const auto& each : known_functions()) {
    if (each.address == address) return each.what;
  }
  return std::nullopt;
}

/// Returns what a piece of a linkage table jumps through; null when the code is none.
const std::uint8_t* slot_of(const std::uint8_t* code) noexcept {
  constexpr int longest = 3;
  for (int i = 0; i < longest; ++i) {
    const auto at = instruction_reader::read(code);
    if (at.what == flow::jump_via) return at.target;
    if (at.what != flow::next) return nullptr;
    code = at.next;
  }
  return nullptr;
}

callee without_looking_inside(const std::uint8_t* code) noexcept {
  if (const auto known = by_address(code)) return *known;
  const auto* const slot = slot_of(code);
  return slot == nullptr ? callee::other : callee_in(slot);
}

/// Clang calls a function that catches the exception and calls std::terminate, and does nothing else that matters.
bool only_terminates(const std::uint8_t* code) noexcept {
  constexpr int longest = 16;
  bool has_caught = false;
  for (int i = 0; i < longest; ++i) {
    const auto at = instruction_reader::read(code);
    code = at.next;
    if (at.what == flow::next) continue;
    const bool is_call = at.what == flow::call || at.what == flow::call_via;
    if (!is_call || at.target == nullptr) return false;
    const auto called = at.what == flow::call ? without_looking_inside(at.target) : callee_in(at.target);
    if (called == callee::terminates) return has_caught;
    has_caught = has_caught || called == callee::begins_catch;
  }
  return false;
}

}  // namespace

callee callee_at(const std::uint8_t* code) noexcept {
  const auto known = without_looking_inside(code);
  return known == callee::other && only_terminates(code) ? callee::terminates : known;
}

callee callee_in(const std::uint8_t* slot) noexcept {
  if (const auto known = by_address(*reinterpret_cast<const void* const*>(slot))) return *known;
  const auto* const name = linked_name(slot);
  if (name == nullptr) return callee::other;
  for (const auto& each : known_functions()) {
    if (each.name == name) return each.what;
  }
  return callee::other;
}

}  // namespace kv::detail
