// The registry and what it works with, each started alone and handed to the next, as the guide's tests do. The test
// owns the tables.
#pragma once

#include <string>
#include <variant>

#include <kv/registry.hpp>
#include <kv/testing.hpp>

#include "cues.hpp"
#include "reports.hpp"

/// An event as the tests compare it.
struct happened {
  std::string what;
  std::string name;
  kv::pid bucket;
  friend bool operator==(const happened&, const happened&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const happened& h) {
  return out << h.what << ' ' << h.name << ' ' << h.bucket;
}

/// Waits for the next event, of either kind.
inline happened next_event(kv::testing::probe& p) {
  happened result;
  const bool came = p.run([&] {
    return kv::receive_for(
        kv::testing::patience, [&](const kv::created& e) { result = {"created", e.name, e.bucket}; },
        [&](const kv::exited& e) { result = {"exited", e.name, e.bucket}; });
  });
  if (!came) throw kv::testing::expectation_failed("no event came");
  return result;
}

class registry_parts {
 public:
  explicit registry_parts(std::chrono::nanoseconds handler_deadline = kv::testing::patience, unsigned threads = 2)
      : runtime({.threads = threads, .on_report = seen.sink()}), handler_deadline_(handler_deadline) {
    start_events();
    start_buckets();
    events.forward_to(p);
  }
  registry_parts(const registry_parts&) = delete;
  registry_parts& operator=(const registry_parts&) = delete;
  ~registry_parts() {
    for (const auto* name : {"registry", "buckets", "events"}) stop(name);
  }

  void start_events() {
    const kv::event_manager_options options{.handler_deadline = handler_deadline_, .greet = "registry"};
    p.run([&] { return kv::start_event_manager("events", subscriptions, options); });
  }
  void start_buckets() { buckets = runtime.spawn_named<kv::bucket_supervisor>("buckets"); }
  void start_registry() {
    server = runtime.spawn_named<kv::registry_server>("registry",
                                                      kv::registry_options{names, outbox, waiting, events, "buckets"});
  }
  void stop(const std::string& name) {
    if (const auto who = runtime.whereis(name)) kv::testing::kill_and_await(runtime, *who);
  }
  /// Returns when the registry has handled what was sent to it before, and announced what it could.
  void settle() const { server.call(&kv::registry_server::settle); }
  template <class K, class V>
  kv::table<K, V> make_table() {
    return kv::table<K, V>::create(runtime, {.name = {}, .access = kv::table_access::public_, .owner = p});
  }

  reports seen;
  kv::runtime runtime;
  kv::testing::probe p{runtime};
  kv::names_table names = make_table<std::string, kv::pid>();
  kv::outbox_table outbox = make_table<std::uint64_t, std::variant<kv::created, kv::exited>>();
  kv::waiting_table waiting = make_table<std::string, std::vector<kv::pid>>();
  kv::subscription_table subscriptions =
      kv::subscription_table::create(runtime, {.name = {}, .access = kv::table_access::public_, .owner = p});
  kv::registry_events events{runtime, "events"};
  kv::registry registry{runtime, "registry", names, waiting, events};
  kv::ref<kv::bucket_supervisor> buckets;
  kv::ref<kv::registry_server> server;

 private:
  std::chrono::nanoseconds handler_deadline_;
};
