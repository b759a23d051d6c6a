// Processes that wait for a name.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <kv/kv.hpp>
#include <kv/testing.hpp>

using found_bucket = std::optional<kv::ref<kv::bucket>>;

/// What somebody who waited was answered.
struct answer {
  found_bucket found;
};

/// Starts a process that waits for a name and sends what it was answered.
inline kv::pid spawn_waiting(kv::runtime& home, const kv::registry& names, kv::pid to, std::chrono::nanoseconds timeout,
                             const std::string& name = "shopping") {
  return home.spawn([=] { kv::send(to, answer{names.await(name, timeout)}); });
}

inline std::size_t rows_of_waiting(const kv::runtime& home) {
  return kv::waiting_table::find(home, "kv.waiting")->size();
}

/// A tree in a simulation, and somebody who reads answers.
struct scene {
  kv::simulation world{{.runtime = {.on_report = [](const kv::report&) {}}}};
  kv::tree tree = kv::start_tree(world);
  kv::testing::probe p{world};
};
