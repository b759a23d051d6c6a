// Walkthrough, step 2: what a table is. Its owner writes it, everybody reads it, and it goes with its owner.
#include <functional>
#include <iostream>
#include <string>

#include <kv/process.hpp>
#include <kv/table.hpp>
#include <kv/testing.hpp>

namespace {

// [owner]
using prices_table = kv::table<std::string, int>;

class shopkeeper {
 public:
  explicit shopkeeper(kv::runtime& home) : prices_(prices_table::create(home, {.name = "prices"})) {}

  void set(const std::string& article, int price) { prices_.insert(article, price); }

 private:
  prices_table prices_;
};
// [/owner]

}  // namespace

int main() {
  // [read]
  kv::runtime runtime;
  const auto owner = runtime.spawn<shopkeeper>(std::ref(runtime));
  owner.call(&shopkeeper::set, "milk", 3);

  auto prices = prices_table::find(runtime, "prices").value();
  std::cout << "milk: " << prices.lookup("milk").value() << '\n';
  std::cout << "eggs: " << (prices.lookup("eggs") ? "found" : "nothing") << '\n';

  try {
    prices.insert("milk", 1);
  } catch (const kv::table_error& e) {
    std::cout << "a write by somebody else: " << (e.why() == kv::table_error::code::access ? "refused" : "?") << '\n';
  }
  std::cout << "milk is still " << prices.lookup("milk").value() << '\n';
  // [/read]

  kv::testing::kill_and_await(runtime, owner);
  std::cout << "its owner is dead: " << (prices_table::find(runtime, "prices") ? "a table" : "no table") << '\n';
}
