#include "trace.hpp"

#include <array>
#include <sstream>

namespace kv::detail {

namespace {

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

const char* verb_of(signal::op what) noexcept {
  switch (what) {
    case signal::op::exit: return "exit signal";
    case signal::op::link: return "link";
    case signal::op::unlink: return "unlink";
    case signal::op::link_exit: return "exit of link";
    case signal::op::monitor: return "monitor";
    case signal::op::demonitor: return "demonitor";
    case signal::op::down: return "down";
    case signal::op::forget_reply: return "forget reply";
    case signal::op::idle_check: return "idle check";
    case signal::op::resume: break;
  }
  return "resume";
}

bool has_reason(signal::op what) noexcept {
  return what == signal::op::exit || what == signal::op::link_exit || what == signal::op::down;
}

void describe(std::ostream& out, const step& s) {
  switch (s.what) {
    case step::kind::starts:
      out << "starts as " << portable_name(*s.type);
      if (s.other) out << ", child of " << s.other;
      return;
    case step::kind::constructs: out << "constructs its state"; return;
    case step::kind::handles: out << "handles " << portable_name(*s.type); return;
    case step::kind::is_called:
      out << "is called by " << (s.other ? to_string(s.other) : "a thread") << ": " << portable_name(*s.type);
      return;
    case step::kind::obeys:
      out << "obeys " << verb_of(s.operation) << " from " << s.other;
      if (has_reason(s.operation)) out << ": " << s.reason;
      return;
    case step::kind::waits:
      out << "waits";
      if (s.other) out << " for the answer of " << s.other;
      return;
    case step::kind::goes_on: out << "goes on"; return;
    case step::kind::times_out: out << "has waited long enough"; return;
    case step::kind::ends: out << "ends: " << s.reason; return;
    case step::kind::preempted: out << "! is interrupted"; return;
    case step::kind::jumps_queue: out << "! goes before its turn"; return;
    case step::kind::fault_kill: out << "! is killed"; return;
    case step::kind::fault_memory: out << "! may be refused an allocation"; return;
  }
}

}  // namespace

std::string portable_name(const std::type_info& type) {
  auto name = type_name(type);
  // A lambda is `f()::{lambda(int)#1}` to one compiler and `f()::$_0` to another.
  const auto lambda = std::min(name.find("{lambda"), name.find("$_"));
  if (lambda != std::string::npos) name = name.substr(0, lambda) + "lambda";
  replace_all(name, "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string");
  replace_all(name, "std::basic_string_view<char, std::char_traits<char> >", "std::string_view");
  return name;
}

std::string wish_of(const suspension& waiting) {
  std::string what;
  for (const auto* const type : waiting.wanted) what += (what.empty() ? "" : " or ") + portable_name(*type);
  if (what.empty()) what = "anything";
  return waiting.callee ? "waits for the answer of " + to_string(waiting.callee) + " to " + what
                        : "waits for a message of " + what;
}

std::string to_text(duration time) {
  struct unit {
    std::int64_t size;
    const char* name;
  };
  static constexpr std::array units{unit{1'000'000'000, " s"}, unit{1'000'000, " ms"}, unit{1000, " us"}};
  std::ostringstream out;
  for (const auto& u : units) {
    if (time.count() % u.size != 0 && time.count() < u.size) continue;
    out << static_cast<double>(time.count()) / static_cast<double>(u.size) << u.name;
    return out.str();
  }
  out << time.count() << " ns";
  return out.str();
}

void trace::add(std::uint64_t number, duration at, step what) {
  if (entries_.size() == capacity) entries_.pop_front();
  entries_.push_back({number, at, std::move(what)});
}

std::vector<std::string> trace::last(std::size_t count) const {
  std::vector<std::string> lines;
  const auto shown = std::min(count, entries_.size());
  lines.reserve(shown);
  for (auto e = entries_.end() - static_cast<std::ptrdiff_t>(shown); e != entries_.end(); ++e) {
    lines.push_back(to_text(*e));
  }
  return lines;
}

std::string trace::to_text(const entry& e) {
  std::ostringstream out;
  out << e.number << " [" << detail::to_text(e.at) << "] ";
  if (e.what.who) {
    out << e.what.who;
  } else {
    out << "the test";
  }
  out << ' ';
  describe(out, e.what);
  return out.str();
}

}  // namespace kv::detail
