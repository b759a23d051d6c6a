// The words that the tab key knows.
#pragma once

#include <kv/registry.hpp>

#include "shell/completion.hpp"

namespace kv::shell {

/// Returns the words of every command: its alternatives, and for a bucket the names of those that live. Requires: the
/// registry's runtime outlives it.
vocabulary words_of(registry names);

}  // namespace kv::shell
