// An event manager alone, with its table owned by the test.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <kv/events.hpp>
#include <kv/simulation.hpp>
#include <kv/testing.hpp>

#include "cues.hpp"
#include "reports.hpp"

struct rain {
  int number;
};
struct sun {
  int number;
};
using weather = kv::events<rain, sun>;

/// Has no time limit that a slow machine could meet, unless the test says so.
class weather_station {
 public:
  explicit weather_station(std::chrono::nanoseconds deadline = kv::testing::patience, unsigned threads = 2)
      : runtime({.threads = threads, .on_report = seen.sink()}), options_{.handler_deadline = deadline, .greet = {}} {
    start();
  }
  weather_station(const weather_station&) = delete;
  weather_station& operator=(const weather_station&) = delete;
  ~weather_station() { stop(); }

  void start() {
    p.run([&] { return kv::start_event_manager("weather", rows, options_); });
  }
  void stop() {
    if (const auto manager = events.manager_pid()) kv::testing::kill_and_await(runtime, *manager);
  }
  std::vector<kv::handler_report> removals() const { return seen.all<kv::handler_report>(); }

  reports seen;
  kv::runtime runtime;
  kv::testing::probe p{runtime};
  kv::subscription_table rows =
      kv::subscription_table::create(runtime, {.name = {}, .access = kv::table_access::public_, .owner = p});
  weather events{runtime, "weather"};

 private:
  kv::event_manager_options options_;
};

/// A station in virtual time: a deadline is not over while anybody has something to do.
struct simulated_station {
  explicit simulated_station(std::chrono::nanoseconds deadline = kv::infinity)
      : options{.handler_deadline = deadline, .greet = {}} {
    start();
  }

  kv::pid start() {
    return manager = p.run([&] { return kv::start_event_manager("weather", rows, options); });
  }
  std::vector<kv::handler_report> removals() const { return seen.all<kv::handler_report>(); }

  reports seen = {};
  kv::simulation world{{.runtime = {.on_report = seen.sink()}}};
  kv::testing::probe p{world};
  kv::subscription_table rows =
      kv::subscription_table::create(world, {.name = {}, .access = kv::table_access::public_, .owner = p});
  kv::event_manager_options options;
  weather events{world, "weather"};
  kv::pid manager = {};
};

/// Tells the test when the handler that holds it is unwound.
struct tell_at_end {
  struct ended {};
  kv::pid test;
  ~tell_at_end() { kv::send(test, ended{}); }
};
