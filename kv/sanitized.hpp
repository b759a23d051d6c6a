// Whether a sanitizer watches: for what it would be blind to, or slow with.
#pragma once

namespace kv::detail {

/// Under the address or the thread sanitizer, of either compiler.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool is_sanitized = true;
#elif defined(__has_feature)
inline constexpr bool is_sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool is_sanitized = false;
#endif

}  // namespace kv::detail
