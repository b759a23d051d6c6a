#include "linearizability.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <limits>
#include <map>
#include <ostream>
#include <set>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>

namespace linearizability {

namespace {

constexpr auto never = std::numeric_limits<std::uint64_t>::max();

/// What a table holds for one key, and how it answers when nobody else is there.
using content = std::optional<int>;

answer apply(content& held, const call& c) {
  switch (c.what) {
    case verb::insert: held = c.argument; return std::monostate{};
    case verb::insert_new: {
      const auto before = held;
      if (!held) held = c.argument;
      return before;
    }
    case verb::erase: return std::exchange(held, std::nullopt).has_value();
    case verb::erase_if_equal: {
      const bool is_equal = held == c.argument;
      if (is_equal) held.reset();
      return is_equal;
    }
    case verb::update:
      if (held) *held += c.argument;
      return held;
    case verb::update_or: return held = held.value_or(0) + c.argument;
    case verb::update_counter:
      if (held) *held = *held + c.argument > wrap_at ? 0 : *held + c.argument;
      return held;
    case verb::replace_if: {
      const bool is_equal = held == c.argument;
      if (is_equal) ++*held;
      return is_equal;
    }
    case verb::member: return held.has_value();
    case verb::take: return std::exchange(held, std::nullopt);
    case verb::lookup:
    case verb::read_in_place: break;
  }
  return held;
}

/// Calls of one key by their start. One that was not through at the end of the history ends `never`.
using calls = std::vector<call>;

/// Some of the calls in an order that explains their answers: all before `next` but those that were `left`. At most one
/// of each client is left, because what has ended by then cannot be put off; so this stays small however long the
/// history is.
struct progress {
  std::size_t next = 0;
  std::vector<std::size_t> left;
  content held;
  friend auto operator<=>(const progress&, const progress&) = default;
};

/// Tries every order that the clients' watches admit. After Wing and Gong, who take one call after the other that none
/// of the rest had ended before, with Lowe's remark that what was done and what is held now says all about what can
/// follow: breadth first, the set of those is all there is to remember.
class search {
 public:
  explicit search(const calls& all) : all_(all), first_end_(all.size() + 1, never) {
    for (auto i = all.size(); i-- > 0;) first_end_[i] = std::min(all[i].end, first_end_[i + 1]);
  }

  /// Returns what the key may hold after all calls that have ended; nothing at all when no order explains them.
  std::set<content> outcomes(const std::set<content>& before) {
    std::set<content> result;
    std::set<progress> front;
    for (const auto& held : before) front.insert({0, {}, held});
    while (!front.empty()) {
      for (const auto& at : std::exchange(front, {})) {
        if (horizon(at) == never) result.insert(at.held);
        take_one_more(at, front);
      }
    }
    return result;
  }

 private:
  /// What has started by then may come next: no other call had ended before.
  std::uint64_t horizon(const progress& at) const {
    auto result = first_end_[at.next];
    for (const auto i : at.left) result = std::min(result, all_[i].end);
    return result;
  }
  void take_one_more(const progress& at, std::set<progress>& front) const {
    const auto limit = horizon(at);
    for (auto i = at.left.begin(); i != at.left.end(); ++i) {
      if (all_[*i].start > limit) continue;
      auto rest = at;
      rest.left.erase(rest.left.begin() + (i - at.left.begin()));
      try_next(std::move(rest), *i, front);
    }
    auto rest = at;
    for (auto i = at.next; i < all_.size() && all_[i].start < limit; ++i) {
      rest.next = i + 1;
      try_next(rest, i, front);
      rest.left.push_back(i);
    }
  }
  void try_next(progress rest, std::size_t i, std::set<progress>& front) const {
    const auto said = apply(rest.held, all_[i]);
    // One that was not through may have done its work, whatever it will answer.
    if (said == all_[i].answered || all_[i].end == never) front.insert(std::move(rest));
  }

  const calls& all_;
  std::vector<std::uint64_t> first_end_;  // of the calls from each on
};

const std::set<content> nothing_held{std::nullopt};

bool is_linearizable(const calls& all) { return !search(all).outcomes(nothing_held).empty(); }

/// Returns the history as it stood at that time.
calls until(const calls& all, std::uint64_t time) {
  calls result;
  for (auto c : all) {
    if (c.start > time) break;
    if (c.end > time) c.end = never;
    result.push_back(c);
  }
  return result;
}

/// Returns the end of the first call that cannot be explained. What can be explained at a time could be at any before.
std::uint64_t first_bad_end(const calls& all) {
  std::vector<std::uint64_t> ends;
  for (const auto& c : all) ends.push_back(c.end);
  std::ranges::sort(ends);
  return *std::ranges::partition_point(ends, [&](auto time) { return is_linearizable(until(all, time)); });
}

/// Returns where to begin the story of a call: when the key was left alone for the last time before it, and some calls
/// earlier if that is only just before, because what was overwritten is often what has been answered.
std::size_t begin_of_story(const calls& all, std::uint64_t culprit_end) {
  constexpr std::size_t prelude = 3;
  const auto culprit = static_cast<std::size_t>(std::ranges::find(all, culprit_end, &call::end) - all.begin());
  std::size_t result = 0;
  std::uint64_t last_end = 0;
  for (std::size_t i = 0; i + prelude <= culprit; ++i) {
    if (all[i].start > last_end) result = i;
    last_end = std::max(last_end, all[i].end);
  }
  return result;
}

std::string text(const content& held) { return held ? std::to_string(*held) : "nothing"; }

std::string explain(const calls& all) {
  const auto bad = first_bad_end(all);
  const auto known = until(all, bad);
  const auto first = begin_of_story(known, bad);
  const calls past(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(first));
  std::ostringstream out;
  out << "key " << all.front().key << " held";
  std::string_view separator = " ";
  for (const auto& held : search(past).outcomes(nothing_held)) out << std::exchange(separator, " or ") << text(held);
  out << ", and then no order explains what is marked:\n";
  for (auto i = first; i < known.size(); ++i) out << (known[i].end == bad ? "> " : "  ") << known[i] << '\n';
  return out.str();
}

std::optional<std::string> find_survivor(const std::vector<call>& history) {
  const call* first_gone = nullptr;
  for (const auto& c : history) {
    if (c.answered != answer(no_table{})) continue;
    if (first_gone == nullptr || c.end < first_gone->end) first_gone = &c;
  }
  for (const auto& c : history) {
    if (first_gone == nullptr || c.answered == answer(no_table{}) || c.start < first_gone->end) continue;
    std::ostringstream out;
    out << "the table was gone and answered all the same:\n  " << *first_gone << "\n> " << c << '\n';
    return out.str();
  }
  return std::nullopt;
}

struct print_answer {
  std::ostream& out;
  void operator()(std::monostate) const {}
  void operator()(bool whether) const { out << " -> " << (whether ? "true" : "false"); }
  void operator()(const content& value) const { out << " -> " << text(value); }
  void operator()(no_table) const { out << " -> no_table"; }
};

}  // namespace

std::uint64_t now() noexcept {
  static std::atomic<std::uint64_t> tickets{0};
  return tickets.fetch_add(1, std::memory_order_acq_rel) + 1;
}

std::ostream& operator<<(std::ostream& out, const call& c) {
  static constexpr std::string_view names[verb_count] = {"insert", "insert_new", "erase",          "erase_if_equal",
                                                         "update", "update_or",  "update_counter", "replace_if",
                                                         "take",   "lookup",     "member",         "read_in_place"};
  const bool has_argument = c.what < verb::take && c.what != verb::erase;
  const bool adds = c.what == verb::update || c.what == verb::update_or || c.what == verb::update_counter;
  const bool is_through = c.end != never;
  out << '[' << c.start << ", " << (is_through ? std::to_string(c.end) : "...") << "] client " << c.client << ": "
      << names[static_cast<std::size_t>(c.what)] << '(' << c.key;
  if (has_argument) out << ", " << (adds ? "+" : "") << c.argument;
  out << ')';
  if (is_through) std::visit(print_answer{out}, c.answered);
  return out;
}

std::optional<std::string> find_violation(std::vector<call> history) {
  if (auto found = find_survivor(history)) return found;
  std::ranges::sort(history, {}, &call::start);
  std::map<int, calls> by_key;
  for (const auto& c : history) {
    if (c.answered != answer(no_table{})) by_key[c.key].push_back(c);
  }
  for (const auto& [key, all] : by_key) {
    if (!is_linearizable(all)) return explain(all);
  }
  return std::nullopt;
}

}  // namespace linearizability
