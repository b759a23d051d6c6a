// Servers that several suites need.
#pragma once

#include <string>

#include <kv/process.hpp>

/// A server with a fiber of its own that knows nothing: tests run their own functions inside it.
struct blank {};

/// The same as a leaf.
struct blank_leaf {
  static constexpr bool leaf = true;
};

/// Traps exits and passes every signal on as a message, until the runtime shuts down.
struct trapper {
  kv::pid to;

  explicit trapper(kv::pid reader) : to(reader) { kv::trap_exit(true); }
  void handle(const kv::exit_signal& signal) {
    if (!signal.from && signal.reason == kv::exit_reason::shutdown) kv::exit(signal.reason);
    kv::send(to, signal);
  }
};

/// Runs a function inside a server, for what it does there.
template <class T, class F>
void inside(const kv::ref<T>& server, F function) {
  server.call([function](T&) { function(); });
}
