#include "shell/inspect.hpp"

#include <algorithm>
#include <sstream>
#include <string_view>
#include <vector>

#include "shell/words.hpp"

namespace kv::shell {
namespace {

/// How the lines of a node begin: its own, and those of what is under it.
struct branch {
  std::string_view own;
  std::string_view under;
};

branch branch_of(bool is_last) { return is_last ? branch{"└── ", "    "} : branch{"├── ", "│   "}; }

void draw_buckets(std::ostream& out, const registry& names, std::string_view indent) {
  const auto rows = names.list();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [name, who] = rows[i];
    out << indent << branch_of(i + 1 == rows.size()).own << quote(name) << ' ' << who << " running\n";
  }
}

}  // namespace

std::string list_buckets(const registry& names) {
  std::ostringstream out;
  for (const auto& [name, who] : names.list()) {
    try {
      const auto entries = who.call(&bucket::size);
      out << quote(name) << ' ' << who << ' ' << entries << '\n';
    } catch (const call_error&) {
      // It has ended since, and is no bucket any more.
    }
  }
  return out.str();
}

std::string list_tables(const runtime& home) {
  auto tables = all_tables(home);
  std::ranges::sort(tables, {}, &table_info::name);
  std::ostringstream out;
  for (const auto& t : tables) {
    out << quote(t.name) << ' ' << t.type << ' ' << to_string(t.access) << ' ' << t.owner << ' '
        << t.heir.value_or(pid{}) << ' ' << t.size << ' ' << t.memory << '\n';
  }
  return out.str();
}

std::string draw_tree(const tree& kv) {
  const auto children = kv.root.call_for(infinity, &supervisor::which_children);
  std::ostringstream out;
  out << "supervisor " << kv.root << " running\n";
  for (std::size_t i = 0; i < children.size(); ++i) {
    const auto& child = children[i];
    const auto [own, under] = branch_of(i + 1 == children.size());
    out << own << child.id << ' ' << child.who << (child.who ? " running" : " down") << ", restarts " << child.restarts
        << '\n';
    if (child.is_supervisor) draw_buckets(out, kv.registry, under);
  }
  return out.str();
}

}  // namespace kv::shell
