// Talking to a process that may block, so that it needs a fiber of its own. The peer is what Boost.Fiber offers for
// the same: a fiber that takes functions from a channel and runs them on its state.
#include <functional>

#include <benchmark/benchmark.h>
#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/future.hpp>

#include "fixtures.hpp"
#include "summary.hpp"

namespace kv::bench {

namespace {

/// The state on both sides. No leaf: it could block.
struct counter {
  int add(int by) { return value += by; }
  int value = 0;
};

/// After so many casts a call makes sure that all were handled.
constexpr int casts_per_call = 1000;

class fiber_server {
 public:
  ~fiber_server() {
    tasks_.close();
    fiber_.join();
  }

  int call(int by) {
    boost::fibers::promise<int> promise;
    auto result = promise.get_future();
    push([by, &promise](counter& state) { promise.set_value(state.add(by)); });
    return result.get();
  }
  void cast(int by) {
    push([by](counter& state) { state.add(by); });
  }

 private:
  using task = std::function<void(counter&)>;

  void push(task what) { tasks_.push(std::move(what)); }
  void serve() {
    counter state;
    for (task next; tasks_.pop(next) == boost::fibers::channel_op_status::success;) next(state);
  }

  boost::fibers::buffered_channel<task> tasks_{2048};  // a power of two, and more than is ever cast at a time
  boost::fibers::fiber fiber_{[this] { serve(); }};
};

class kv_server {
 public:
  explicit kv_server(runtime& home) : server_(home.spawn<counter>()) {}
  int call(int by) { return server_.call(&counter::add, by); }
  void cast(int by) { server_.cast(&counter::add, by); }

 private:
  ref<counter> server_;
};

template <class Server>
void call_loop(benchmark::State& state, Server& server) {
  int expected = 0;
  for (auto _ : state) {
    if (server.call(1) != ++expected) return state.SkipWithError("a call was lost");
  }
}

template <class Server>
void cast_loop(benchmark::State& state, Server& server) {
  int expected = 0;
  while (state.KeepRunningBatch(casts_per_call)) {
    for (int i = 0; i < casts_per_call; ++i) server.cast(1);
    expected += casts_per_call;
    if (server.call(0) != expected) return state.SkipWithError("a cast was lost");
  }
}

/// One thread: what is measured is the switches between processes, not those between cores.
auto with_kv(void (*loop)(benchmark::State&, kv_server&)) {
  return [loop](benchmark::State& state) {
    runtime home({.threads = 1});
    kv_server server(home);
    inside(home, [&] { loop(state, server); });
  };
}

auto with_fibers(void (*loop)(benchmark::State&, fiber_server&)) {
  return [loop](benchmark::State& state) {
    fiber_server server;
    loop(state, server);
  };
}

}  // namespace

void add_calls(summary& table) {
  add_benchmark("call/kv", with_kv(call_loop));
  add_benchmark("call/fiber_channel", with_fibers(call_loop));
  table.add({.operation = "call to a process that may block, from a process",
             .kv = "call/kv",
             .peer = "call/fiber_channel",
             .goal = at_most(300)});

  add_benchmark("cast/kv", with_kv(cast_loop));
  add_benchmark("cast/fiber_channel", with_fibers(cast_loop));
  table.add({.operation = "cast to it, until handled", .kv = "cast/kv", .peer = "cast/fiber_channel"});
}

}  // namespace kv::bench
