// Calls go on while the one who tracks them dies of a mistake, and while a caller sits in a tunnel. In a simulation: half
// a minute takes no time.
#include <chrono>
#include <iostream>
#include <string>

#include <kv/testing.hpp>

#include "call_tracker.hpp"

namespace {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using tracking::call_table;
using tracking::tracker;

class exchange {
 public:
  void begin(const std::string& caller, const std::string& callee, kv::pid line) {
    current().call(&tracker::begin, caller, callee, line);
  }
  void hang_up(const std::string& caller) {
    try {
      current().call(&tracker::hang_up, caller);
    } catch (const kv::call_error& e) {
      std::cout << "the tracker ends: " << e.reason() << '\n';
    }
  }
  bool come_back(const std::string& caller, kv::pid line) { return current().call(&tracker::come_back, caller, line); }
  void show() {
    const auto calls = call_table::find(world, "calls").value();
    std::cout << calls.size() << (calls.size() == 1 ? " call" : " calls");
    calls.for_each([this](const std::string& caller, const tracking::call& each) {
      std::cout << ", " << caller << " to " << each.callee << " for " << (world.now() - each.since) / 1s << " s";
    });
    std::cout << '\n';
  }

  kv::simulation world{{.runtime = {.on_report = [](const kv::report&) {}}}};
  kv::ref<kv::supervisor> root = tracking::start(world);

 private:
  kv::ref<tracker> current() {
    world.run_until_idle();
    return world.whereis<tracker>("tracker").value();
  }
};

}  // namespace

int main() {
  exchange city;
  auto& world = city.world;

  // [mistake]
  const auto ann = world.spawn<tracking::line>(), cid = world.spawn<tracking::line>();
  city.begin("ann", "bob", ann);
  city.begin("cid", "dora", cid);
  world.advance(10s);
  city.show();
  city.hang_up("eve");  // who is on no phone
  city.show();
  // [/mistake]

  // [ghost]
  kill_and_await(world, ann);
  kill_and_await(world, cid);
  world.advance(20s);
  std::cout << "both lines are broken for 20 s\n";
  city.show();
  const auto ann_again = world.spawn<tracking::line>();
  std::cout << "ann has a new line, her call is " << (city.come_back("ann", ann_again) ? "there" : "gone") << '\n';
  world.advance(10s);
  std::cout << "cid has none for 30 s\n";
  city.show();
  // [/ghost]

  // [nobody]
  world.suspend(city.root);  // it restarts nobody now
  kill_and_await(world, world.whereis("tracker").value());
  kill_and_await(world, ann_again);
  world.advance(1min);
  std::cout << "no tracker for a minute, and ann's new line is broken\n";
  city.show();
  world.resume(city.root);
  world.run_until_idle();
  std::cout << "another tracker\n";
  city.show();
  // [/nobody]
}
