// Walkthrough, step 3: the names in a table. Lookups ask nobody; a create that nobody waits for comes too late.
#include <functional>
#include <iostream>
#include <string>

#include <kv/bucket.hpp>
#include <kv/process.hpp>
#include <kv/table.hpp>
#include <kv/testing.hpp>

namespace {

// [registry]
using names_table = kv::table<std::string, kv::ref<kv::bucket>>;

class registry {
 public:
  explicit registry(kv::runtime& home) : names_(names_table::create(home, {.name = "names"})) {}

  void create(const std::string& name) {
    if (names_.member(name)) return;
    const auto made = kv::spawn<kv::bucket>();
    kv::monitor(made, name);
    names_.insert(name, made);
  }

  void handle(const kv::down& news) { names_.erase(news.tag); }

 private:
  names_table names_;
};
// [/registry]

const char* tell(bool found) { return found ? "found" : "not found"; }

}  // namespace

int main() {
  kv::runtime runtime;
  const auto server = runtime.spawn<registry>(std::ref(runtime));
  const auto names = names_table::find(runtime, "names").value();

  // [race]
  {
    const kv::testing::suspended busy(runtime, server);
    server.cast(&registry::create, "shopping");  // returns at once
    std::cout << "after create as a cast: " << tell(names.member("shopping")) << '\n';
  }
  // [/race]

  // [call]
  server.call(&registry::create, "work");  // returns when it is done
  std::cout << "after create as a call: " << tell(names.member("work")) << '\n';
  std::cout << "and the cast before it: " << tell(names.member("shopping")) << '\n';
  // [/call]

  // [busy]
  const kv::testing::suspended busy(runtime, server);
  std::cout << "while the registry is busy: " << tell(names.member("work")) << '\n';
  // [/busy]
}
