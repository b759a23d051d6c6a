// How texts speak of a table.
#pragma once

#include <string>

namespace kv::detail {

inline std::string label(const std::string& name) { return name.empty() ? "a table without a name" : "table " + name; }

}  // namespace kv::detail
