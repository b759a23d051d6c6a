#include <kv/codec.hpp>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

namespace kv {

void encoder::write_count(std::size_t count) {
  if (count > std::numeric_limits<std::uint32_t>::max())
    throw std::length_error("at most 4294967295 elements can be written, not " + std::to_string(count));
  write(static_cast<std::uint32_t>(count));
}

std::size_t decoder::read_count() {
  const std::size_t count = read<std::uint32_t>();
  if (count > rest_.size()) {
    throw std::runtime_error("expected " + std::to_string(count) + " elements or bytes, and only " +
                             std::to_string(rest_.size()) + " bytes are left");
  }
  return count;
}

std::string_view decoder::read_bytes(std::size_t count) {
  if (count > rest_.size()) {
    throw std::runtime_error("expected " + std::to_string(count) + " bytes, and only " + std::to_string(rest_.size()) +
                             " are left");
  }
  const auto result = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return result;
}

bool detail::read_flag(decoder& in) {
  const auto byte = in.read<std::uint8_t>();
  if (byte > 1) throw std::runtime_error("expected a byte 0 or 1, got " + std::to_string(byte));
  return byte == 1;
}

}  // namespace kv
