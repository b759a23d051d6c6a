// Walkthrough, step 5: the registry dies. The table is the supervisor's by now, and waits for the next registry.
#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/bucket.hpp>
#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table.hpp>
#include <kv/testing.hpp>

namespace {

using namespace std::chrono_literals;
using kv::testing::kill_and_await;
using names_table = kv::table<std::string, kv::ref<kv::bucket>>;

std::optional<kv::ref<kv::bucket>> lookup(const names_table& names, std::string_view name) {
  const auto row = names.lookup(name);
  return row && row->alive() ? row : std::nullopt;
}

// As in step 4, but for the constructor.
class registry {
 public:
  explicit registry(names_table names) : names_(std::move(names)) {}

  kv::ref<kv::bucket> create(const std::string& name) {
    if (const auto known = lookup(names_, name)) return *known;
    const auto made = kv::spawn<kv::bucket>();
    kv::monitor(made, name);
    names_.insert(name, made);
    return made;
  }

  void handle(const kv::down& news) {
    const auto row = names_.lookup(news.tag);
    if (row && row->id() == news.from) names_.erase(news.tag);
  }

  void settle(const std::string& name) {
    const auto row = names_.lookup(name);
    if (!row || row->alive()) return;
    const auto news = kv::receive_if<kv::down>([&](const kv::down& d) { return d.from == row->id(); });
    handle(*news);
  }

 private:
  names_table names_;
};

// [watchful]
class watchful_registry : public registry {
 public:
  explicit watchful_registry(const names_table& names) : registry(names) {
    names.for_each([](const std::string& name, kv::ref<kv::bucket> bucket) { kv::monitor(bucket, name); });
  }
};
// [/watchful]

// [tree]
template <class Registry>
kv::ref<kv::supervisor> start(kv::runtime& runtime) {
  const auto init = [&runtime] {
    const auto names = names_table::create(runtime, {.name = "names", .access = kv::table_access::public_});
    return std::vector{
        kv::worker("registry", [names] { return kv::spawn_link_named<Registry>("registry", names).id(); })};
  };
  return runtime.spawn<kv::supervisor>(kv::supervisor_options{}, init);
}
// [/tree]

void without_watching_again() {
  kv::runtime runtime({.on_report = [](const kv::report&) {}});  // the restart is no surprise here
  const auto root = start<registry>(runtime);
  const auto names = names_table::find(runtime, "names").value();
  const auto shopping = runtime.whereis<registry>("registry")->call(&registry::create, "shopping");
  shopping.call(&kv::bucket::put, "milk", "3");
  // [crash]
  {
    const kv::testing::suspended late(runtime, root);  // it restarts nobody now
    kill_and_await(runtime, runtime.whereis("registry").value());
    std::cout << "registry: " << (runtime.whereis("registry") ? "there" : "dead") << '\n';
    std::cout << "milk: " << lookup(names, "shopping")->call(&kv::bucket::get, "milk").value() << '\n';
  }
  const auto child = root.call(&kv::supervisor::which_children).at(0);
  std::cout << child.id << ": " << (child.who ? "there" : "dead") << ", restarts: " << child.restarts << '\n';
  // [/crash]

  // [forgotten]
  kill_and_await(runtime, shopping);
  try {
    runtime.whereis<registry>("registry")->call_for(10ms, &registry::settle, "shopping");
  } catch (const kv::call_error& e) {
    std::cout << "news of its end: " << (e.why() == kv::call_error::code::timeout ? "none" : e.what()) << '\n';
  }
  std::cout << "rows: " << names.size() << '\n';
  // [/forgotten]
}

void watching_again() {
  kv::runtime runtime({.on_report = [](const kv::report&) {}});
  const auto root = start<watchful_registry>(runtime);
  const auto names = names_table::find(runtime, "names").value();
  const auto create = [&](const char* name) {
    return runtime.whereis<watchful_registry>("registry")->call(&registry::create, name);
  };
  const auto shopping = create("shopping"), work = create("work"), holidays = create("holidays");
  // [adopted]
  {
    const kv::testing::suspended late(runtime, root);
    kill_and_await(runtime, runtime.whereis("registry").value());
    kill_and_await(runtime, shopping);  // while nobody watches
  }
  root.call(&kv::supervisor::which_children);  // once this is answered, the registry is there again
  kill_and_await(runtime, work);
  // [/adopted]

  const auto server = runtime.whereis<watchful_registry>("registry").value();
  server.call(&registry::settle, "shopping");
  server.call(&registry::settle, "work");
  std::cout << "rows: " << names.size() << ", holidays " << (create("holidays") == holidays ? "kept" : "lost") << '\n';
}

}  // namespace

int main() {
  without_watching_again();
  watching_again();
}
