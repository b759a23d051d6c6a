// The parent of all buckets.
#pragma once

#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <kv/bucket.hpp>
#include <kv/detail/failure_of.hpp>
#include <kv/supervision.hpp>

namespace kv {

/// Starts buckets, which are temporary: one that ends is not started again, because its name is free then and its
/// content gone. All end with it. Mirrors `KV.Bucket.Supervisor`.
class bucket_supervisor : public dynamic_supervisor {
 public:
  /// Starts an empty bucket; nothing when it could not be started, for want of memory. The other buckets do not notice.
  std::optional<ref<bucket>> start_bucket() { return try_start_bucket().first; }
  /// The same, with what kept it from being started.
  std::pair<std::optional<ref<bucket>>, std::exception_ptr> try_start_bucket() {
    std::optional<ref<bucket>> made;
    const auto failure = detail::failure_of([&] { made = start_child<bucket>(); });
    return {made, failure};
  }
  /// children(), with what kept it from being told: an exception that left it would end all of them.
  std::pair<std::vector<pid>, std::exception_ptr> try_children() const {
    std::vector<pid> all;
    const auto failure = detail::failure_of([&] { all = children(); });
    return {std::move(all), failure};
  }
};

}  // namespace kv
