// The tables are those of the Itanium C++ ABI: `.eh_frame`, as the Linux Standard Base describes it, leads from an
// address of code to its function's language-specific data, whose layout is in "C++ ABI: Exception Handling", 7.3.
#include "exception_table.hpp"

#include <cstddef>
#include <cstring>
#include <typeinfo>

#include <kv/detail/process.hpp>

namespace kv::detail {

namespace {

/// What the unwinder says of the place of a function.
struct function_bases {
  void* text = nullptr;
  void* data = nullptr;
  void* start = nullptr;
};

extern "C" const void* _Unwind_Find_FDE(void* code, function_bases* bases);

constexpr std::uint8_t omitted = 0xff;

/// Reads the tables' numbers, one after the other.
class table_reader {
 public:
  table_reader(const std::uint8_t* at, std::uintptr_t function) noexcept : at_(at), function_(function) {}

  const std::uint8_t* at() const noexcept { return at_; }
  void skip(std::size_t bytes) noexcept { at_ += bytes; }

  template <class T>
  T fixed() noexcept {
    T result{};
    std::memcpy(&result, at_, sizeof result);
    at_ += sizeof result;
    return result;
  }
  std::uint8_t byte() noexcept { return *at_++; }
  std::uint64_t unsigned_leb() noexcept { return leb(false); }
  std::int64_t signed_leb() noexcept { return static_cast<std::int64_t>(leb(true)); }

  /// A pointer in one of the encodings; 0 for none.
  std::uintptr_t pointer(std::uint8_t encoding) noexcept {
    if (encoding == omitted) return 0;
    const auto from = reinterpret_cast<std::uintptr_t>(at_);
    auto result = number(encoding);
    if (result == 0) return 0;
    if ((encoding & 0x70U) == 0x10) result += from;
    if ((encoding & 0x70U) == 0x40) result += function_;
    if ((encoding & 0x80U) != 0) std::memcpy(&result, reinterpret_cast<const void*>(result), sizeof result);
    return result;
  }

  std::uintptr_t number(std::uint8_t encoding) noexcept {
    switch (encoding & 0x0fU) {
      case 0x01: return unsigned_leb();
      case 0x02: return fixed<std::uint16_t>();
      case 0x03: return fixed<std::uint32_t>();
      case 0x09: return static_cast<std::uintptr_t>(signed_leb());
      case 0x0a: return static_cast<std::uintptr_t>(fixed<std::int16_t>());
      case 0x0b: return static_cast<std::uintptr_t>(fixed<std::int32_t>());
      default: return fixed<std::uintptr_t>();
    }
  }

 private:
  std::uint64_t leb(bool is_signed) noexcept {
    std::uint64_t result = 0;
    unsigned shift = 0;
    std::uint8_t b = 0x80;
    for (; (b & 0x80U) != 0; shift += 7) result |= std::uint64_t{(b = byte()) & 0x7fU} << shift;
    if (is_signed && (b & 0x40U) != 0 && shift < 64) result |= ~std::uint64_t{0} << shift;
    return result;
  }

  const std::uint8_t* at_;
  std::uintptr_t function_;
};

/// Returns how many bytes a number takes; of those that have no fixed length, 0.
std::size_t size_of(std::uint8_t encoding) noexcept {
  switch (encoding & 0x07U) {
    case 0x02: return 2;
    case 0x03: return 4;
    default: return 8;
  }
}

/// How the entries of one object file write their pointers.
struct encodings {
  bool has_data = false;  // a length comes before what is optional
  std::uint8_t code = 0;
  std::uint8_t language_data = omitted;
};

encodings read_common_part(const std::uint8_t* at) noexcept {
  encodings result;
  table_reader in(at, 0);
  in.skip(8);  // length, id
  const auto version = in.byte();
  const auto* letters = reinterpret_cast<const char*>(in.at());
  in.skip(std::strlen(letters) + 1);
  in.unsigned_leb();  // code alignment
  in.signed_leb();    // data alignment
  version == 1 ? static_cast<void>(in.byte()) : static_cast<void>(in.unsigned_leb());
  if (*letters++ != 'z') return result;
  result.has_data = true;
  in.unsigned_leb();
  for (; *letters != '\0'; ++letters) {
    if (*letters == 'R') result.code = in.byte();
    if (*letters == 'L') result.language_data = in.byte();
    if (*letters == 'P') in.number(in.byte());
  }
  return result;
}

/// Returns where the language-specific data of a function are; null when it has none.
const std::uint8_t* find_language_data(const std::uint8_t* entry, std::uintptr_t function) noexcept {
  table_reader in(entry, function);
  in.skip(4);
  const auto* const here = in.at();
  const auto common = read_common_part(here - in.fixed<std::int32_t>());
  if (!common.has_data) return nullptr;
  in.number(common.code);  // the function's start and length
  in.number(common.code);
  in.unsigned_leb();
  return reinterpret_cast<const std::uint8_t*>(in.pointer(common.language_data));
}

/// The language-specific data of a function.
class language_data {
 public:
  language_data(const std::uint8_t* at, std::uintptr_t function) noexcept : in_(at, function), function_(function) {
    const auto pads_encoding = in_.byte();
    pads_ = pads_encoding == omitted ? function : in_.pointer(pads_encoding);
    types_encoding_ = in_.byte();
    if (types_encoding_ != omitted) {
      const auto distance = in_.unsigned_leb();
      types_ = in_.at() + distance;
    }
    sites_encoding_ = in_.byte();
    const auto length = in_.unsigned_leb();
    actions_ = in_.at() + length;
  }

  call_site find(std::uintptr_t code) noexcept {
    while (in_.at() < actions_) {
      const auto start = function_ + in_.number(sites_encoding_);
      const auto length = in_.number(sites_encoding_);
      const auto pad = in_.number(sites_encoding_);
      const auto action = in_.unsigned_leb();
      if (code < start) break;
      if (code >= start + length) continue;
      call_site result{.is_listed = true};
      if (pad == 0) return result;
      result.landing_pad = reinterpret_cast<const std::uint8_t*>(pads_ + pad);
      if (action != 0) read_actions(action, result);
      return result;
    }
    return {};
  }

 private:
  void read_actions(std::uint64_t first, call_site& result) const noexcept {
    table_reader in(actions_ + first - 1, function_);
    for (;;) {
      const auto filter = in.signed_leb();
      if (filter > 0) note_handler(type_at(static_cast<std::size_t>(filter)), result);
      if (filter < 0) result.may_refuse = true;
      const auto* const here = in.at();
      const auto distance = in.signed_leb();
      if (distance == 0) return;
      in = table_reader(here + distance, function_);
    }
  }

  static void note_handler(const std::type_info* type, call_site& result) noexcept {
    if (type == nullptr) {
      result.catches_all = true;
    } else if (!result.catches_all && *type == typeid(unwind)) {
      result.catches_unwind = true;
    }
  }

  /// The types stand before their end, the first one last. Null for `catch (...)`.
  const std::type_info* type_at(std::size_t index) const noexcept {
    table_reader in(types_ - index * size_of(types_encoding_), function_);
    return reinterpret_cast<const std::type_info*>(in.pointer(types_encoding_));
  }

  table_reader in_;
  std::uintptr_t function_;
  std::uintptr_t pads_ = 0;
  std::uint8_t types_encoding_ = omitted;
  const std::uint8_t* types_ = nullptr;
  std::uint8_t sites_encoding_ = 0;
  const std::uint8_t* actions_ = nullptr;
};

}  // namespace

call_site find_call_site(std::uintptr_t code) noexcept {
  constexpr call_site passes{.is_listed = true};
  function_bases bases;
  const auto* const entry = static_cast<const std::uint8_t*>(_Unwind_Find_FDE(reinterpret_cast<void*>(code), &bases));
  if (entry == nullptr) return passes;
  const auto function = reinterpret_cast<std::uintptr_t>(bases.start);
  const auto* const data = find_language_data(entry, function);
  return data == nullptr ? passes : language_data(data, function).find(code);
}

}  // namespace kv::detail
