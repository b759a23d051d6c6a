// How far an x86-64 instruction reaches, and where it leads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace kv::detail {

/// What one instruction does to the flow.
struct instruction {
  enum class flow : std::uint8_t {
    next,      // goes on behind itself
    branch,    // to `target`, or goes on
    jump,      // to `target`
    call,      // of `target`, which may come back
    jump_via,  // to what `target` points to; to an unknown place when that is null
    call_via,  // the same, for a call
    stop,      // comes back from the function, or traps
    unknown    // none that this reader knows
  };
  flow what = flow::unknown;
  const std::uint8_t* next = nullptr;
  const std::uint8_t* target = nullptr;
};

/// Reads one instruction as far as its length and its place in the flow go: all of 64-bit mode that compilers use. A
/// letter for each opcode says what follows it:
///
///   .  nothing              m  operands             1  operands, a byte          Z  operands, an immediate
///   i  a byte               z  an immediate         v  an immediate of full size 8  an address    3  three bytes
///   b  a branch's byte      B  a branch's four      j  a jump's byte             J  a jump's four C  a call's four
///   g  a byte if TEST       G  an immediate if TEST f  INC to PUSH, in the operands
///   t  another opcode, m    T  another opcode, 1    s  no other instruction      x  is none
class instruction_reader {
 public:
  static instruction read(const std::uint8_t* at) noexcept { return instruction_reader(at).decode(); }

 private:
  using flow = instruction::flow;

  static constexpr char one_byte[] =
      "mmmmizxxmmmmizxx"
      "mmmmizxxmmmmizxx"
      "mmmmizxxmmmmizxx"
      "mmmmizxxmmmmizxx"
      "................"
      "................"
      "xxxm....zZi1...."
      "bbbbbbbbbbbbbbbb"
      "1Zx1mmmmmmmmmmmm"
      "..........x....."
      "8888....iz......"
      "iiiiiiiivvvvvvvv"
      "11ssxx1Z3.sssixs"
      "mmmmxxx.mmmmmmmm"
      "bbbbiiiiCJxj...."
      "....s.gG......mf";
  static constexpr char two_byte[] =  // behind 0f
      "mmmmx......sxm.1"
      "mmmmmmmmmmmmmmmm"
      "mmmmxxxxmmmmmmmm"
      "......x.txTxxxxx"
      "mmmmmmmmmmmmmmmm"
      "mmmmmmmmmmmmmmmm"
      "mmmmmmmmmmmmmmmm"
      "1111mmm.mmmmmmmm"
      "BBBBBBBBBBBBBBBB"
      "mmmmmmmmmmmmmmmm"
      "...m1mxx...m1mmm"
      "mmmmmmmmms1mmmmm"
      "mm1m111m........"
      "mmmmmmmmmmmmmmmm"
      "mmmmmmmmmmmmmmmm"
      "mmmmmmmmmmmmmmms";

  explicit instruction_reader(const std::uint8_t* at) noexcept : at_(at) {}

  instruction decode() noexcept {
    skip_prefixes();
    const auto op = *at_++;
    if (op == 0x0f) return decode_rest(two_byte[*at_++]);
    if (op == 0xc5) return vector(1, 1);
    if (op == 0xc4) return vector(2, at_[0] & 0x1fU);
    if (op == 0x62) return vector(3, at_[0] & 0x07U);
    return decode_rest(one_byte[op]);
  }

  void skip_prefixes() noexcept {
    constexpr std::uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3};
    while (std::memchr(prefixes, *at_, sizeof prefixes) != nullptr) is_short_ = *at_++ == 0x66 || is_short_;
    if ((*at_ & 0xf0U) == 0x40) is_wide_ = (*at_++ & 8U) != 0;
  }

  /// A VEX or EVEX prefix, which names the map.
  instruction vector(std::size_t prefix_bytes, unsigned map) noexcept {
    at_ += prefix_bytes;
    const auto op = *at_++;
    if (map == 1) return decode_rest(two_byte[op]);
    return operands(map == 3 ? 1 : 0);
  }

  instruction decode_rest(char form) noexcept {
    switch (form) {
      case '.': return skip(0);
      case 'm': return operands(0);
      case '1': return operands(1);
      case 'Z': return operands(immediate());
      case 'i': return skip(1);
      case 'z': return skip(immediate());
      case 'v': return skip(is_wide_ ? 8 : immediate());
      case '8': return skip(8);
      case '3': return skip(3);
      case 'b': return to_byte(flow::branch);
      case 'B': return to_word(flow::branch);
      case 'j': return to_byte(flow::jump);
      case 'J': return to_word(flow::jump);
      case 'C': return to_word(flow::call);
      case 'g': return operands(is_test() ? 1 : 0);
      case 'G': return operands(is_test() ? immediate() : 0);
      case 'f': return group_five();
      case 't': ++at_; return operands(0);
      case 'T': ++at_; return operands(1);
      case 's': return {.what = flow::stop};
      default: return {};
    }
  }

  std::size_t immediate() const noexcept { return is_short_ ? 2 : 4; }
  bool is_test() const noexcept { return (at_[0] & 0x38U) < 0x10; }

  instruction group_five() noexcept {
    const auto form = at_[0] & 0x38U;
    const bool is_relative = (at_[0] & 0xc7U) == 0x05;  // to the next instruction
    auto result = operands(0);
    if (form == 0x10 || form == 0x18) result.what = flow::call_via;
    if (form == 0x20 || form == 0x28) result.what = flow::jump_via;
    if (is_relative && result.what != flow::next) result.target = result.next + word_at(at_ + 1);
    return result;
  }

  instruction operands(std::size_t bytes_behind) const noexcept {
    const unsigned mod = *at_ >> 6U;
    const unsigned rm = *at_ & 7U;
    std::size_t length = 1;
    if (mod != 3 && rm == 4) length += mod == 0 && (at_[1] & 7U) == 5 ? 5 : 1;
    if (mod == 0 && rm == 5) length += 4;
    if (mod == 1) length += 1;
    if (mod == 2) length += 4;
    return skip(length + bytes_behind);
  }

  instruction skip(std::size_t bytes) const noexcept { return {.what = flow::next, .next = at_ + bytes}; }

  instruction to_byte(flow what) const noexcept {
    return {.what = what, .next = at_ + 1, .target = at_ + 1 + static_cast<std::int8_t>(*at_)};
  }
  instruction to_word(flow what) const noexcept {
    return {.what = what, .next = at_ + 4, .target = at_ + 4 + word_at(at_)};
  }
  static std::int32_t word_at(const std::uint8_t* from) noexcept {
    std::int32_t result = 0;
    std::memcpy(&result, from, sizeof result);
    return result;
  }

  const std::uint8_t* at_;
  bool is_short_ = false;  // an operand size prefix
  bool is_wide_ = false;   // REX.W
};

}  // namespace kv::detail
