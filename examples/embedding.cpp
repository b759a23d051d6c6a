// kv inside a program of your own: a tree, a bucket, and a registry that dies without being missed.
#include <iostream>

#include <kv/kv.hpp>

int main() {
  // [embedding]
  kv::runtime runtime;
  const auto tree = kv::start_tree(runtime);
  tree.events.add_handler([](const kv::created& event) { std::cout << "created " << event.name << '\n'; });

  const auto shopping = tree.registry.create("shopping");  // the handler is through when this returns
  shopping.call(&kv::bucket::put, "milk", "3");

  if (const auto server = tree.registry.server_pid()) runtime.exit(*server, kv::exit_reason::kill);
  const auto found = tree.registry.lookup("shopping").value();  // asks the table, so nobody has to be there
  std::cout << "milk: " << found.call(&kv::bucket::get, "milk").value() << '\n';
  // [/embedding]
}
