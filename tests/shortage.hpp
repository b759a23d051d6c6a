// What the tests of supervisors need in which memory and other resources are wanting.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <kv/kv.hpp>
#include <kv/simulation.hpp>

#include "children.hpp"
#include "reports.hpp"

namespace shortage {

using kv::strategy;
using kv::supervisor;

/// What a child holds, so that its start wants memory.
struct worker {
  std::string note = std::string(100, 'x');
};

inline kv::child_spec worker_of(const std::string& id) {
  return kv::worker(id, [] { return kv::spawn_link<worker>().id(); });
}

inline constexpr std::array names{"a", "b", "c", "d", "e", "f"};

inline specs workers() {
  specs result;
  for (const auto* const name : names) result.push_back(worker_of(name));
  return result;
}

/// A world with a supervisor that gives up after the fourth restart within 5 s.
struct fixture {
  explicit fixture(strategy how = {}, specs children = workers(), kv::restart_delay delay = {})
      : s(world.spawn<supervisor>(kv::supervisor_options{.strategy = how, .delay = delay},
                                  [children = std::move(children)] { return children; })) {}

  /// Asks again when that is refused: once an allocation has been, the next is not.
  std::vector<kv::child_info> children() {
    try {
      return s.call(&supervisor::which_children);
    } catch (const kv::call_error& e) {
      if (e.why() != kv::call_error::code::exited) throw;
      return s.call(&supervisor::which_children);
    }
  }
  kv::child_info info(const std::string& id) {
    const auto all = children();
    return *std::ranges::find(all, id, &kv::child_info::id);
  }
  kv::pid pid_of(const std::string& id) { return info(id).who; }
  std::vector<kv::pid> pids() {
    std::vector<kv::pid> result;
    for (const auto& c : children()) result.push_back(c.who);
    return result;
  }
  void kill(kv::pid who) {
    world.exit(who, kv::exit_reason::kill);
    world.run_until_idle();
  }
  /// What must hold at any time: a child that is known as running runs, and no other does.
  void check_known() {
    std::size_t running = 0;
    for (const auto& c : children()) {
      if (!c.who) continue;
      ++running;
      CHECK(world.alive(c.who));
    }
    CHECK_MESSAGE(world.process_count() == running + 1, world.processes_and_waits());  // and the supervisor
  }
  void check_complete() {
    check_known();
    CHECK(s.call(&supervisor::count_children).active == std::size(names));
  }

  reports seen;
  kv::simulation world{{.runtime = {.on_report = seen.sink()}}};
  kv::ref<supervisor> s;
};

/// Tells whether the allocation that is to be refused has still not come when a function calls the process.
template <class F>
bool may_yet_be_refused(kv::simulation& world, F call) {
  const auto before = world.trace().size();
  call();
  const auto after = world.trace();
  return std::any_of(after.begin() + static_cast<std::ptrdiff_t>(before), after.end(),
                     [](const std::string& line) { return line.find("may be refused") != std::string::npos; });
}

inline constexpr std::array strategies{strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one};

}  // namespace shortage
