// The parent of all buckets.
#pragma once

#include <optional>

#include <kv/bucket.hpp>
#include <kv/supervision.hpp>

namespace kv {

/// Starts buckets, which are temporary: one that ends is not started again, because its name is free then and its
/// content gone. All end with it. Mirrors `KV.Bucket.Supervisor`.
class bucket_supervisor : public dynamic_supervisor {
 public:
  /// Starts an empty bucket; nothing when it could not be started, for want of memory.
  std::optional<ref<bucket>> start_bucket() {
    try {
      return start_child<bucket>();
    } catch (const start_error&) {
      return std::nullopt;
    }
  }
};

}  // namespace kv
