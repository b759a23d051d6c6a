#include "shell/inspect.hpp"

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <string_view>
#include <utility>
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

std::string whole_seconds(std::chrono::nanoseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

std::string names_in(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : " ") + quote(name);
  return text;
}

std::string pids_in(std::vector<pid> all) {
  std::ranges::sort(all);
  std::string text;
  for (const auto each : all) text += (text.empty() ? "" : " ") + to_string(each);
  return text;
}

/// Lines of a label and what it is about; those about nothing are left out.
class facts {
 public:
  void add(std::string_view label, const std::string& text) {
    if (!text.empty()) lines_ += std::string(label) + ": " + on_one_line(text) + '\n';
  }
  void add(std::string_view label, std::uint64_t number) { add(label, std::to_string(number)); }
  std::string take() { return std::move(lines_); }

 private:
  std::string lines_;
};

std::string to_text(const std::vector<heir>& heirs) {
  std::string text;
  for (const auto& who : heirs) {
    if (!text.empty()) text += ',';
    text += std::holds_alternative<pid>(who) ? to_string(std::get<pid>(who)) : quote(std::get<std::string>(who));
  }
  return text.empty() ? to_string(pid{}) : text;
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
    out << quote(t.name) << ' ' << t.type << ' ' << to_string(t.access) << ' ' << t.owner << ' ' << to_text(t.heirs)
        << ' ' << t.size << ' ' << t.memory << '\n';
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

// Processes --------------------------------------------------------------------------------------------------------

std::string list_processes(const runtime& home) {
  std::ostringstream out;
  for (const auto id : home.processes()) {
    const auto found = home.info(id);
    if (!found) continue;  // it has ended since
    const auto names = names_in(found->names);
    out << id << ' ' << (names.empty() ? "-" : names) << ' ' << quote(found->type) << ' ' << to_string(found->state)
        << ' ' << (found->within ? std::to_string(found->within->mailbox) : "-") << '\n';
  }
  return out.str();
}

std::optional<pid> find_process(const runtime& home, std::string_view written) {
  const auto all = home.processes();
  const auto found = std::ranges::find(all, written, [](pid id) { return to_string(id); });
  return found == all.end() ? std::nullopt : std::optional(*found);
}

std::optional<std::string> describe_process(const runtime& home, const registry& names, pid who) {
  const auto found = home.info(who);
  if (!found) return std::nullopt;
  facts all;
  all.add("pid", to_string(who));
  all.add("names", names_in(found->names));
  all.add("bucket", names_in(names.keys(who)));
  all.add("class", quote(found->type));
  all.add("state", to_string(found->state));
  all.add("doing", found->doing);
  if (found->since) all.add("for", whole_seconds(home.now() - *found->since));
  if (found->parent) all.add("parent", to_string(found->parent));
  if (const auto& within = found->within) {
    all.add("mailbox", within->mailbox);
    all.add("links", pids_in(within->links));
    all.add("monitors", pids_in(within->monitors));
    all.add("monitored by", pids_in(within->monitored_by));
    all.add("traps exits", within->traps_exits ? "yes" : "no");
  }
  all.add("handled", found->handled);
  all.add("restarts", found->restarts);
  all.add("dropped", found->dropped);
  return all.take();
}

std::string list_restarts(const tree& kv, std::chrono::steady_clock::time_point now) {
  std::string lines;
  for (const auto& event : kv.root.call_for(infinity, &supervisor::history)) {
    std::ostringstream line;
    line << whole_seconds(now - event.when) << " ago " << event;
    lines += on_one_line(line.str()) + '\n';
  }
  return lines;
}

}  // namespace kv::shell
