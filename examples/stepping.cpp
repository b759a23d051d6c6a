// A test that holds a runtime in its hand: message by message, and its clock.
#include <chrono>
#include <iostream>
#include <memory>

#include <kv/process.hpp>
#include <kv/testing.hpp>

using namespace std::chrono_literals;

// [cart]
struct added {
  int price;
};
struct checkout {};
struct receipt {
  int total;
};

/// A cart that forgets what is in it when nobody has touched it for ten minutes.
void cart(kv::pid customer) {
  int total = 0;
  for (bool open = true; open;) {
    const bool touched = kv::receive_for(
        10min, [&](const added& item) { total += item.price; },
        [&](const checkout&) {
          kv::send(customer, receipt{total});
          open = false;
        });
    if (!touched) total = 0;
  }
}
// [/cart]

int main() {
  // [time]
  kv::simulation world;
  kv::testing::probe customer(world);
  const auto first = world.spawn([to = customer.id()] { cart(to); });
  world.send(first, added{3});
  world.advance(9min);
  world.send(first, added{4});
  world.advance(9min);
  world.send(first, checkout{});
  std::cout << "in time: " << customer.expect<receipt>().total << '\n';
  // [/time]

  // [late]
  const auto second = world.spawn([to = customer.id()] { cart(to); });
  world.send(second, added{3});
  world.run_until_idle();
  const auto time = world.fire_next_timer().value();
  std::cout << "after " << time / 1min << " minutes: ";
  world.step(second);
  world.send(second, checkout{});
  std::cout << customer.expect<receipt>().total << '\n';
  // [/late]

  // [wrong]
  try {
    world.step(second);
  } catch (const kv::testing::expectation_failed&) {
    std::cout << "a cart that was checked out has nothing to do\n";
  }
  // [/wrong]
}
