#include <doctest/doctest.h>
#include <kv/process.hpp>
#include <kv/table.hpp>
#include <map>
#include <iostream>

struct box {
  static constexpr bool leaf = true;
  std::map<std::string, std::string> rows;
  void put(std::string k, std::string v) { rows[k] = v; }
  std::optional<std::string> get(std::string_view k) const { auto i = rows.find(std::string(k)); return i == rows.end() ? std::nullopt : std::optional(i->second); }
  void boom() { throw std::runtime_error("boom"); }
};
struct front {
  kv::ref<box> b;
  explicit front(kv::ref<box> x) : b(x) {}
  std::optional<std::string> get(std::string_view k) { return b.call(&box::get, k); }
  int slow() { kv::receive<int>(); return 7; }
};
TEST_CASE("smoke") {
  kv::runtime rt({.threads = 2});
  auto b = rt.spawn<box>();
  b.call(&box::put, "milk", "3");
  CHECK(b.call(&box::get, "milk") == "3");
  auto f = rt.spawn<front>(b);
  CHECK(f.call(&front::get, "milk") == "3");
  CHECK_THROWS_AS(f.call_for(std::chrono::milliseconds(10), &front::slow), kv::call_error);
  rt.send(f, 3);
  CHECK(f.call(&front::get, "milk") == "3");
  CHECK_THROWS_WITH(b.call(&box::boom), doctest::Contains("boom"));
  CHECK_FALSE(b.alive());
  f.stop();
  CHECK_FALSE(f.alive());
}
TEST_CASE("ping") {
  kv::runtime rt({.threads = 1});
  auto b = rt.spawn<box>();
  b.call(&box::put, "milk", "3");
  auto f = rt.spawn<front>(b);
  rt.spawn([&] {
    auto t0 = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000000; ++i) f.call(&front::get, "milk");
    std::cerr << std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - t0).count() / 1e6 << " ns/call\n";
    t0 = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000000; ++i) b.call(&box::get, "milk");
    std::cerr << std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - t0).count() / 1e6 << " ns/leaf call\n";
    f.stop();
  });
  while (f.alive());
}
TEST_CASE("start stop") {
  for (int i = 0; i < 200; ++i) { kv::runtime rt({.threads = 2}); rt.spawn([]{ kv::receive<int>(); }); }
}
#include <kv/kv.hpp>
TEST_CASE("tree smoke") {
  kv::runtime rt({.threads = 2});
  auto t = kv::start_tree(rt);
  std::atomic<int> n = 0;
  t.events.add_handler([&](const kv::created& c) { ++n; std::cerr << c << "\n"; });
  t.events.add_handler([&](const kv::exited& c) { std::cerr << c << "\n"; });
  auto b = t.registry.create("shopping");
  CHECK(n == 1);
  b.call(&kv::bucket::put, "milk", "3");
  rt.exit(*t.registry.server_pid(), kv::exit_reason::kill);
  while (!t.registry.server_pid());
  CHECK(t.registry.lookup("shopping")->call(&kv::bucket::get, "milk") == "3");
  rt.exit(*t.events.manager_pid(), kv::exit_reason::kill);
  while (!t.registry.server_pid());
  b.stop();
  t.stop();
  CHECK(kv::all_tables(rt).empty());
}
