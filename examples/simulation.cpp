// A race in a server of one's own: found by machine, reduced to what it takes, repeated by its seed.
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include <kv/explore.hpp>
#include <kv/process.hpp>

// [server]
/// How many are in the room. A leaf, so calls to it run on their caller's stack.
class room {
 public:
  static constexpr bool leaf = true;
  int count() const { return count_; }
  void set(int count) { count_ = count; }
  void enter() { ++count_; }

 private:
  int count_ = 0;
};
// [/server]

// [scenario]
/// Two guests enter, in whatever way, and then there are two in the room.
void two_guests(kv::simulation& world, void (*enter)(kv::ref<room>)) {
  const auto hall = world.spawn<room>();
  for (int guest = 0; guest < 2; ++guest) world.spawn([=] { enter(hall); });
  world.run_until_idle();
  const auto count = hall.call(&room::count);
  if (count != 2) throw std::runtime_error("two guests have entered and the room counts " + std::to_string(count));
}
// [/scenario]

int main() {
  // [explore]
  const auto in_two_steps = [](kv::ref<room> hall) { hall.call(&room::set, hall.call(&room::count) + 1); };
  const auto in_one_step = [](kv::ref<room> hall) { hall.call(&room::enter); };
  try {
    kv::explore(1000, [=](kv::simulation& world) { two_guests(world, in_two_steps); });
  } catch (const kv::exploration_failed& e) {
    const std::string text = e.what();
    std::cout << text.substr(text.find("seed")) << '\n';  // without the place in the source
  }
  std::cout << kv::explore(1000, [=](kv::simulation& world) { two_guests(world, in_one_step); })
            << " seeds without a failure\n";
  // [/explore]
}
