// How values become bytes, and values again.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/endian/conversion.hpp>

#include <kv/detail/message.hpp>

namespace kv {

class encoder;
class decoder;

/// How a type is written into a file, and read from it. There is one for numbers (but `long double`), `bool`, enums and
/// std::string, and for pairs, optionals and vectors of what has one. Specialise it for a type of your own:
///
///     template <>
///     struct kv::codec<point> {
///       static void encode(const point& p, kv::encoder& out) { out.write(p.x), out.write(p.y); }
///       static point decode(kv::decoder& in) {
///         const auto x = in.read<int>();  // in two steps: arguments are evaluated in any order
///         return {x, in.read<int>()};
///       }
///     };
///
/// `decode` reads what `encode` wrote, and no more. Both may throw whatever they like. A `static std::string name()` is
/// what files call the type, and by which they are told from files of other types; otherwise that is its C++ name. A type
/// that is renamed keeps its files by it, and one that is written differently from now on needs another.
template <class T>
struct codec;

template <class T>
concept encodable = requires(const T& value, encoder& out, decoder& in) {
  codec<T>::encode(value, out);
  { codec<T>::decode(in) } -> std::same_as<T>;
};

/// What a codec writes to: bytes, numbers little-endian and as wide as they are.
class encoder {
 public:
  /// Appends to `out`.
  explicit encoder(std::string& out) : out_(out) {}

  template <class T>
  void write(const T& value) {
    codec<T>::encode(value, *this);
  }
  /// Writes how many elements, or bytes, follow. Throws std::length_error from 2^32 on.
  void write_count(std::size_t count);
  /// Writes these bytes and nothing else: who reads them has to know how many they are.
  void write_bytes(std::string_view bytes) { out_.append(bytes); }
  /// Returns how much has been written.
  std::size_t size() const noexcept { return out_.size(); }

 private:
  std::string& out_;
};

/// What a codec reads from. Whatever the bytes are, it reads none that are not there, and throws std::runtime_error
/// instead.
class decoder {
 public:
  /// `bytes` must outlive it.
  explicit decoder(std::string_view bytes = {}) : rest_(bytes) {}

  template <class T>
  T read() {
    return codec<T>::decode(*this);
  }
  /// Reads a number of elements that follow, each of a byte or more. It is no larger than the number of bytes that are
  /// left, so damaged ones cannot make the reader ask for more memory than the file has bytes.
  std::size_t read_count();
  /// Reads so many bytes; they are those that the decoder was given.
  std::string_view read_bytes(std::size_t count);
  /// Returns how many bytes are left.
  std::size_t remaining() const noexcept { return rest_.size(); }

 private:
  std::string_view rest_;
};

/// Returns what files call the type.
template <class T>
std::string codec_name() {
  if constexpr (requires { std::string(codec<T>::name()); }) {
    return codec<T>::name();
  } else {
    return detail::type_name(typeid(T));
  }
}

namespace detail {

template <class T>
concept portable_number =
    (std::integral<T> || std::same_as<T, float> || std::same_as<T, double>) && !std::same_as<T, bool>;

template <class T>
concept enumeration = std::is_enum_v<T>;

/// Reads a byte that is 0 or 1.
bool read_flag(decoder& in);

}  // namespace detail

template <detail::portable_number T>
struct codec<T> {
  static_assert(std::integral<T> || std::numeric_limits<T>::is_iec559);

  static std::string name() {
    if constexpr (std::same_as<T, char>) return "char";  // signed or not, it is the same byte
    const auto* const kind = std::integral<T> ? std::is_signed_v<T> ? "int" : "uint" : "float";
    return kind + std::to_string(8 * sizeof(T));
  }
  static void encode(T value, encoder& out) {
    std::array<char, sizeof(T)> bytes;
    boost::endian::endian_store<T, sizeof(T), boost::endian::order::little>(
        reinterpret_cast<unsigned char*>(bytes.data()), value);
    out.write_bytes({bytes.data(), bytes.size()});
  }
  static T decode(decoder& in) {
    const auto bytes = in.read_bytes(sizeof(T));
    return boost::endian::endian_load<T, sizeof(T), boost::endian::order::little>(
        reinterpret_cast<const unsigned char*>(bytes.data()));
  }
};

template <>
struct codec<bool> {
  static std::string name() { return "bool"; }
  static void encode(bool value, encoder& out) {
    out.write_bytes(value ? std::string_view("\1", 1) : std::string_view("\0", 1));
  }
  static bool decode(decoder& in) { return detail::read_flag(in); }
};

template <detail::enumeration T>
struct codec<T> {
  static std::string name() { return detail::type_name(typeid(T)) + ": " + codec_name<std::underlying_type_t<T>>(); }
  static void encode(T value, encoder& out) { out.write(static_cast<std::underlying_type_t<T>>(value)); }
  static T decode(decoder& in) { return static_cast<T>(in.read<std::underlying_type_t<T>>()); }
};

template <>
struct codec<std::string> {
  static std::string name() { return "string"; }
  static void encode(std::string_view text, encoder& out) {
    out.write_count(text.size());
    out.write_bytes(text);
  }
  static std::string decode(decoder& in) { return std::string(in.read_bytes(in.read_count())); }
};

template <encodable First, encodable Second>
struct codec<std::pair<First, Second>> {
  static std::string name() { return "pair<" + codec_name<First>() + ", " + codec_name<Second>() + '>'; }
  static void encode(const std::pair<First, Second>& both, encoder& out) {
    out.write(both.first);
    out.write(both.second);
  }
  static std::pair<First, Second> decode(decoder& in) {
    auto first = in.read<First>();
    return {std::move(first), in.read<Second>()};
  }
};

template <encodable T>
struct codec<std::optional<T>> {
  static std::string name() { return "optional<" + codec_name<T>() + '>'; }
  static void encode(const std::optional<T>& value, encoder& out) {
    out.write(value.has_value());
    if (value) out.write(*value);
  }
  static std::optional<T> decode(decoder& in) {
    return detail::read_flag(in) ? std::optional<T>(in.read<T>()) : std::nullopt;
  }
};

template <encodable T>
struct codec<std::vector<T>> {
  static std::string name() { return "vector<" + codec_name<T>() + '>'; }
  /// Throws std::logic_error when elements take no bytes: such a file could not be told from a damaged one.
  static void encode(const std::vector<T>& all, encoder& out) {
    out.write_count(all.size());
    const auto begin = out.size();
    for (const auto& each : all) out.write<T>(each);
    if (out.size() - begin < all.size()) throw std::logic_error("elements of " + name() + " are written as nothing");
  }
  static std::vector<T> decode(decoder& in) {
    std::vector<T> all;
    for (auto left = in.read_count(); left > 0; --left) all.push_back(in.read<T>());
    return all;
  }
};

}  // namespace kv
