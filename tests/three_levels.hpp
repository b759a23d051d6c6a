// A tree of three levels whose workers keep a journal, and what must hold of it after deaths.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <kv/simulation.hpp>
#include <kv/supervision.hpp>

#include "exploring.hpp"

namespace three_levels {

using kv::strategy;
using kv::supervisor;

/// The workers of the left supervisor are 0, 1 and 2, those of the right one 3, 4 and 5.
constexpr int n_workers = 6;

struct event {
  int worker;
  bool starts;
};
/// What the workers did, in order. One thread runs all of them.
using journal = std::vector<event>;
/// They may outlive the test that fails.
using shared_journal = std::shared_ptr<journal>;

/// Those in the middle trap exits and know nothing else to do with them than to end with their parent.
template <int N>
struct worker {
  explicit worker(shared_journal where) : log(std::move(where)) {
    log->push_back({N, true});
    if constexpr (N % 3 == 1) kv::trap_exit(true);
  }
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;
  ~worker() { log->push_back({N, false}); }

  shared_journal log;
};

struct shape {
  strategy root;
  std::optional<strategy> middle;  ///< none is a dynamic supervisor
  bool delayed = false;
};

template <int N>
kv::child_spec spec_of(const shared_journal& log) {
  return kv::worker(std::to_string(N), [log] { return kv::spawn_link<worker<N>>(log).id(); });
}

inline kv::restart_delay delay_of(shape how) { return {.first = std::chrono::seconds(how.delayed ? 1 : 0)}; }

inline kv::supervisor_options patient(strategy how, kv::restart_delay delay) {
  return {.strategy = how, .max_restarts = 100, .period = std::chrono::hours(1), .delay = delay};
}

/// A dynamic supervisor that has its children from the start.
struct pool : kv::dynamic_supervisor {
  pool(kv::restart_delay delay, const std::vector<kv::child_spec>& children)
      : dynamic_supervisor({.max_restarts = 100, .period = std::chrono::hours(1), .delay = delay}) {
    for (const auto& spec : children) {
      const auto answer = start_child(spec);
      if (!answer) throw kv::start_error(spec.id, answer.reason);
    }
  }
};

/// Longer than any delay of three restarts in a row.
inline void come_to_rest(kv::simulation& world) { world.advance(std::chrono::minutes(1)); }

template <int First>
kv::child_spec middle(const std::string& name, shape how, const shared_journal& log) {
  return kv::supervisor_child(name, [=] {
    const std::vector children{spec_of<First>(log), spec_of<First + 1>(log), spec_of<First + 2>(log)};
    if (!how.middle) return kv::spawn_link_named<pool>(name, delay_of(how), children).id();
    const auto init = [=] { return children; };
    return kv::spawn_link_named<supervisor>(name, patient(*how.middle, delay_of(how)), init).id();
  });
}

inline kv::ref<supervisor> start_tree(kv::simulation& world, shape how, const shared_journal& log) {
  const auto init = [=] { return std::vector{middle<0>("left", how, log), middle<3>("right", how, log)}; };
  return world.spawn_named<supervisor>("root", patient(how.root, delay_of(how)), init);
}

// What must hold ---------------------------------------------------------------------------------------------------

inline std::vector<kv::child_info> children_of(kv::simulation& world, kv::pid who) {
  if (const auto dynamic = world.as<pool>(who)) return dynamic->call(&pool::which_children);
  return kv::ref<supervisor>(world.core(), who).call(&supervisor::which_children);
}

/// Each supervisor has all its children, they live, and nobody else does.
inline void check_complete(kv::simulation& world, kv::pid root) {
  std::set<kv::pid> known{root};
  const auto add_children = [&](kv::pid of, std::size_t count) {
    const auto children = children_of(world, of);
    require(children.size() == count, "a supervisor has lost a child");
    for (const auto& c : children) {
      require(world.alive(c.who), c.id + " is down");
      require(known.insert(c.who).second, c.id + " is there twice");
    }
    return children;
  };
  for (const auto& m : add_children(root, 2)) {
    require(world.whereis(m.id) == m.who, m.id + " has lost its name");
    add_children(m.who, 3);
  }
  require(world.process_count() == known.size(), "there are orphans:\n" + world.processes_and_waits());
}

inline void check_nobody_left(kv::simulation& world) {
  require(world.process_count() == 0, "processes are left:\n" + world.processes_and_waits());
}

inline std::vector<int> starts_in(const journal& log) {
  std::vector<int> result;
  for (const auto& e : log) {
    if (e.starts) result.push_back(e.worker);
  }
  return result;
}

/// Nobody starts while he lives.
inline void check_nobody_twice(const journal& log) {
  std::array<int, n_workers> living{};
  for (const auto& e : log) {
    auto& count = living.at(static_cast<std::size_t>(e.worker));
    count += e.starts ? 1 : -1;
    require(count == 0 || count == 1, "worker " + std::to_string(e.worker) + " is there twice");
  }
}

/// Workers from one to before another.
inline std::vector<int> range(int begin, int end) {
  std::vector<int> result;
  for (int i = begin; i < end; ++i) result.push_back(i);
  return result;
}

/// Which workers are started again when that worker dies.
inline std::vector<int> restarted_with(int worker, std::optional<strategy> how) {
  const int first = worker - worker % 3;
  switch (how.value_or(strategy::one_for_one)) {
    case strategy::one_for_one: return {worker};
    case strategy::one_for_all: return range(first, first + 3);
    case strategy::rest_for_one: return range(worker, first + 3);
  }
  return {};
}

/// The same for the death of a supervisor.
inline std::vector<int> restarted_with(const std::string& name, strategy how) {
  if (how == strategy::one_for_all) return range(0, n_workers);
  if (name == "right") return range(3, n_workers);
  return range(0, how == strategy::one_for_one ? 3 : n_workers);
}

/// What one death led to, while the rest of the tree may still have been starting for the first time.
inline void check_restarts(const journal& log, const std::vector<int>& expected, bool in_turn) {
  std::vector<int> first, again;
  for (const int worker : starts_in(log)) {
    (std::ranges::find(first, worker) == first.end() ? first : again).push_back(worker);
  }
  require(first == range(0, n_workers), "not started in order");
  require(again == expected, "others were restarted than should be, or out of order");
  if (!in_turn) return;
  check_nobody_twice(log);
  journal theirs;
  std::ranges::copy_if(log, std::back_inserter(theirs),
                       [&](const event& e) { return std::ranges::find(expected, e.worker) != expected.end(); });
  const auto last_end = std::find_if(theirs.rbegin(), theirs.rend(), [](const event& e) { return !e.starts; });
  const journal after(last_end.base(), theirs.end());
  require(starts_in(after) == expected, "a restart began before all had ended");
}

inline void check_stopped_in_reverse(const journal& log, std::size_t begin) {
  const journal end(log.begin() + static_cast<std::ptrdiff_t>(begin), log.end());
  require(end.size() == n_workers, "somebody started, or did not end, while the tree was stopped");
  for (int i = 0; i < n_workers; ++i) {
    const auto& e = end[static_cast<std::size_t>(i)];
    require(!e.starts && e.worker == n_workers - 1 - i, "not stopped in reverse");
  }
}

}  // namespace three_levels
