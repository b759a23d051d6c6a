// Children for supervisors to look after. They tell the test what happens to them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <kv/supervision.hpp>
#include <kv/testing.hpp>

#include "cues.hpp"

struct started {
  std::string id;
  kv::pid who;
};
struct stopped {
  std::string id;
};
/// A stubborn child was asked to end, and does not.
struct asked {
  std::string id;
  kv::exit_reason reason;
};

/// Tells when it starts and when it is destroyed.
class child {
 public:
  child(kv::pid test, std::string id) : test_(test), id_(std::move(id)) { kv::send(test_, started{id_, kv::self()}); }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() { kv::send(test_, stopped{id_}); }

  void end(const kv::exit_reason& reason) { kv::exit(reason); }
  void fail(const std::string& why) { throw std::runtime_error(why); }

 protected:
  kv::pid test_;
  std::string id_;
};

/// Traps exits and does not end when it is asked to.
class stubborn_child : public child {
 public:
  stubborn_child(kv::pid test, const std::string& id) : child(test, id) { kv::trap_exit(true); }
  void handle(const kv::exit_signal& signal) { kv::send(test_, asked{id_, signal.reason}); }
};

/// Traps exits, and when it is asked to end waits for the test's leave.
class slow_child : public child {
 public:
  slow_child(kv::pid test, const std::string& id) : child(test, id) { kv::trap_exit(true); }
  void handle(const kv::exit_signal& signal) {
    kv::send(test_, asked{id_, signal.reason});
    kv::receive<go_on>();
    kv::exit(signal.reason);
  }
};

template <class T = child>
kv::child_spec spec_of(kv::pid test, const std::string& id, kv::restart when = kv::restart::permanent) {
  auto spec = kv::worker(id, [=] { return kv::spawn_link<T>(test, id).id(); });
  spec.restart = when;
  return spec;
}

using specs = std::vector<kv::child_spec>;

/// No supervisor of a test gives up because a machine is slow, or goes on because it is fast.
inline constexpr std::chrono::hours long_period{1};

inline kv::ref<kv::supervisor> supervise(kv::runtime& home, specs children, kv::strategy how = {},
                                         unsigned max_restarts = 3) {
  return home.spawn<kv::supervisor>(
      kv::supervisor_options{.strategy = how, .max_restarts = max_restarts, .period = long_period},
      [children = std::move(children)] { return children; });
}

/// Takes as many messages as there are and returns the children they speak of.
template <class Message>
std::vector<std::string> expect_ids(kv::testing::probe& p, std::size_t count) {
  std::vector<std::string> result;
  while (result.size() < count) result.push_back(p.expect<Message>().id);
  return result;
}

inline kv::child_info info_of(const kv::ref<kv::supervisor>& supervisor, const std::string& id) {
  for (const auto& info : supervisor.call(&kv::supervisor::which_children)) {
    if (info.id == id) return info;
  }
  return {};
}

using ids = std::vector<std::string>;

/// Asks a supervisor to shut down, as its parent, and waits for that. A plain thread is the parent of what it starts.
template <class T>
kv::exit_reason shut_down(kv::testing::probe& p, kv::runtime& home, const kv::ref<T>& supervisor) {
  p.monitor(supervisor);
  home.exit(supervisor, kv::exit_reason::shutdown);
  return p.expect_down(supervisor).reason;
}
