// Walkthrough, step 4: buckets that die. The table speaks of them until the registry has heard; lookup must not.
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include <kv/bucket.hpp>
#include <kv/process.hpp>
#include <kv/table.hpp>
#include <kv/testing.hpp>

namespace {

using names_table = kv::table<std::string, kv::ref<kv::bucket>>;

// [lookup]
std::optional<kv::ref<kv::bucket>> lookup(const names_table& names, std::string_view name) {
  const auto row = names.lookup(name);
  return row && row->alive() ? row : std::nullopt;
}
// [/lookup]

class registry {
 public:
  explicit registry(kv::runtime& home) : names_(names_table::create(home, {.name = "names"})) {}

  kv::ref<kv::bucket> create(const std::string& name) {
    if (const auto known = lookup(names_, name)) return *known;
    const auto made = kv::spawn<kv::bucket>();
    kv::monitor(made, name);
    names_.insert(name, made);  // over the row of a dead bucket, if there is one
    return made;
  }

  // [handle]
  void handle(const kv::down& news) {
    const auto row = names_.lookup(news.tag);
    if (row && row->id() == news.from) names_.erase(news.tag);  // else the name is somebody else's by now
  }
  // [/handle]

  // [settle]
  /// Returns once the row of a dead bucket is gone.
  void settle(const std::string& name) {
    const auto row = names_.lookup(name);
    if (!row || row->alive()) return;
    const auto news = kv::receive_if<kv::down>([&](const kv::down& d) { return d.from == row->id(); });
    handle(*news);
  }
  // [/settle]

 private:
  names_table names_;
};

}  // namespace

int main() {
  kv::runtime runtime;
  const auto server = runtime.spawn<registry>(std::ref(runtime));
  const auto names = names_table::find(runtime, "names").value();

  // [race]
  const auto first = server.call(&registry::create, "shopping");
  {
    const kv::testing::suspended late(runtime, server);
    kv::testing::kill_and_await(runtime, first);

    const auto row = names.lookup("shopping").value();  // what step 3 would have answered
    try {
      row.call(&kv::bucket::get, "milk");
    } catch (const kv::call_error& e) {
      std::cout << "the row's bucket: " << e.reason() << '\n';
    }
    std::cout << "lookup: " << (lookup(names, "shopping") ? "found" : "not found") << '\n';
    std::cout << "rows: " << names.size() << '\n';
  }
  // [/race]

  server.call(&registry::settle, "shopping");
  std::cout << "rows after the news: " << names.size() << '\n';

  const auto second = server.call(&registry::create, "shopping");
  std::cout << "the name's new bucket is " << (second == first ? "the old one" : "another one") << '\n';
}
