#include <kv/detail/key_view.hpp>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kv::detail {

std::uint64_t hash_text(std::string_view text, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

}  // namespace kv::detail
