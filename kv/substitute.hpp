// How tests run on a simulation what was written for a runtime.
#pragma once

#include <kv/detail/core.hpp>

namespace kv::detail {

/// What runs the runtimes that this thread makes, or null for threads. Set for a scope by testing::simulate_runtimes.
inline constinit thread_local const executor_factory* substitute = nullptr;

}  // namespace kv::detail
