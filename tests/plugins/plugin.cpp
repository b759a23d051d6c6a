// A plugin, built twice: what one of them starts, the other finds and uses.
#include "plugin.hpp"

#include <optional>
#include <typeinfo>

namespace {

using namespace plugins;

void start(kv::runtime& home) {
  home.spawn_named<greeter>("greeter", greeter{"hello"});
  home.spawn_named<inline_runner>("runner");
  home.spawn([&home] {
    kv::register_name("keeper", kv::self());
    auto table = greetings::create(home, {.name = "greetings"});
    table.insert("hello", 1);
    for (;;) {
      const auto message = kv::receive<news>();
      kv::send(*kv::whereis("reader"), news{message.number + 1});
    }
  });
}

/// Inside a process of this plugin, with the code of this plugin.
std::string use_inside(kv::runtime& home) {
  kv::register_name("reader", kv::self());
  const auto keeper = kv::await_name("keeper");
  if (!keeper) return "no keeper";
  const auto found = home.whereis<greeter>("greeter");
  if (!found) return "no greeter of that type";
  if (!home.as<greeter>(*found)) return "the greeter's pid is of no greeter";
  if (home.as<inline_runner>(*found)) return "the greeter's pid is of another class";
  if (found->call(&greeter::greet, "you") != "hello, you") return "another greeting";
  kv::send(*keeper, news{1});
  if (kv::receive<news>().number != 2) return "other news";
  const auto table = greetings::find(home, "greetings");
  if (!table || table->lookup("hello") != 1) return "another table";
  const auto runner = home.whereis<inline_runner>("runner");
  const auto inside =
      runner->call([](inline_runner&) { return std::pair(kv::self(), kv::detail::current_process->id()); });
  if (inside.first != runner->id() || inside.second != runner->id()) return "another process than the runner";
  try {
    runner->call([&found](inline_runner&) { found->call(&greeter::greet, "me"); });
    return "a leaf may call";
  } catch (const kv::call_error&) {
    return {};  // it ended, by leaf_blocked
  }
}

std::string use(kv::runtime& home) {
  std::optional<std::string> result;
  struct runs {
    std::string run(kv::runtime& where) const { return use_inside(where); }
  };
  return home.spawn<runs>().call([&home](const runs& r) { return r.run(home); });
}

const void* current() { return &kv::detail::current_process; }

const void* reader() { return &kv::detail::readers::mine(); }

const plugin mine{start, use, &typeid(greeter), current, reader};

}  // namespace

extern "C" [[gnu::visibility("default")]] const plugin* kv_test_plugin() { return &mine; }
