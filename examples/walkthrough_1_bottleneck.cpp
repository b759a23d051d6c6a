// Walkthrough, step 1: a registry that is a process and nothing else. Every lookup waits for its turn.
#include <iostream>
#include <map>
#include <optional>
#include <string>

#include <kv/bucket.hpp>
#include <kv/process.hpp>
#include <kv/testing.hpp>

namespace {

// [registry]
class registry {
 public:
  std::optional<kv::ref<kv::bucket>> lookup(const std::string& name) const {
    const auto row = names_.find(name);
    return row == names_.end() ? std::nullopt : std::optional(row->second);
  }

  void create(const std::string& name) {
    if (names_.contains(name)) return;
    const auto made = kv::spawn<kv::bucket>();
    kv::monitor(made, name);  // its end comes as kv::down, with the name as the tag
    names_.emplace(name, made);
  }

  void handle(const kv::down& news) { names_.erase(news.tag); }

 private:
  std::map<std::string, kv::ref<kv::bucket>> names_;
};
// [/registry]

struct answer {
  bool found;
};

}  // namespace

int main() {
  // [use]
  kv::runtime runtime;
  const auto server = runtime.spawn<registry>();
  server.call(&registry::create, "shopping");

  const auto shopping = server.call(&registry::lookup, "shopping").value();
  shopping.call(&kv::bucket::put, "milk", "3");
  std::cout << "milk: " << shopping.call(&kv::bucket::get, "milk").value() << '\n';
  // [/use]

  // [bottleneck]
  kv::testing::probe probe(runtime);
  {
    const kv::testing::suspended busy(runtime, server);
    for (int customer = 0; customer < 3; ++customer) {
      runtime.spawn(
          [server, to = probe.id()] { kv::send(to, answer{server.call(&registry::lookup, "shopping").has_value()}); });
    }
    std::cout << "answers while the registry is busy: " << (probe.has<answer>() ? "some" : "none") << '\n';
  }
  int answers = 0;
  for (int customer = 0; customer < 3; ++customer) answers += probe.expect<answer>().found ? 1 : 0;
  std::cout << "answers once it is free: " << answers << '\n';
  // [/bottleneck]
}
