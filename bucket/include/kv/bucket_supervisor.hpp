// The parent of all buckets.
#pragma once

#include <kv/bucket.hpp>
#include <kv/supervision.hpp>

namespace kv {

/// Starts buckets, which are temporary: one that ends is not started again, because its name is free then and its
/// content gone. All end with it. Mirrors `KV.Bucket.Supervisor`.
class bucket_supervisor : public dynamic_supervisor {
 public:
  /// Starts an empty bucket.
  ref<bucket> start_bucket() { return start_child<bucket>(); }
};

}  // namespace kv
