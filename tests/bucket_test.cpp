// Promises under test: a bucket keeps exactly what it was given; buckets are temporary, and end with their supervisor.
#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include <kv/bucket.hpp>
#include <kv/bucket_supervisor.hpp>
#include <kv/testing.hpp>

#include "reports.hpp"

namespace bucket_test {

using kv::bucket;
using kv::testing::exit_and_await;
using kv::testing::probe;

TEST_CASE("stores values by key") {
  kv::runtime runtime({.threads = 1});
  const auto b = runtime.spawn<bucket>();
  CHECK(b.call(&bucket::get, "milk") == std::nullopt);
  b.call(&bucket::put, "milk", "3");
  CHECK(b.call(&bucket::get, "milk") == "3");
  b.call(&bucket::put, "milk", "4");
  CHECK(b.call(&bucket::get, "milk") == "4");
  CHECK(b.call(&bucket::size) == 1);
}

TEST_CASE("erase returns what the key held, once") {
  kv::runtime runtime({.threads = 1});
  const auto b = runtime.spawn<bucket>();
  b.call(&bucket::put, "milk", "3");
  b.call(&bucket::put, "eggs", "6");
  CHECK(b.call(&bucket::erase, "milk") == "3");
  CHECK(b.call(&bucket::erase, "milk") == std::nullopt);
  CHECK(b.call(&bucket::get, "milk") == std::nullopt);
  CHECK(b.call(&bucket::get, "eggs") == "6");
  CHECK(b.call(&bucket::size) == 1);
}

TEST_CASE("keys come in order, none, one and many") {
  kv::runtime runtime({.threads = 1});
  const auto b = runtime.spawn<bucket>();
  CHECK(b.call(&bucket::keys).empty());
  for (const char* key : {"pear", "apple", "fig", "apple"}) b.call(&bucket::put, key, "1");
  CHECK(b.call(&bucket::keys) == std::vector<std::string>{"apple", "fig", "pear"});
  CHECK(b.call(&bucket::size) == 3);
}

TEST_CASE("keys and values are kept byte by byte") {
  kv::runtime runtime({.threads = 1});
  const auto b = runtime.spawn<bucket>();
  std::string every_byte(256, '\0');
  for (std::size_t i = 0; i < every_byte.size(); ++i) every_byte[i] = static_cast<char>(i);
  const std::string nul("\0", 1), two_nuls("\0\0", 2), large(1024 * 1024, 'x');
  const std::vector<std::string> texts{"", " ", nul, two_nuls, "a" + nul + "b", "a", every_byte, large, "\xff\xfe"};
  for (const auto& text : texts) b.call(&bucket::put, text, text);
  CHECK(b.call(&bucket::size) == texts.size());
  for (const auto& text : texts) CHECK(b.call(&bucket::get, text) == text);
  b.call(&bucket::put, "a", nul);  // the neighbour "a\0b" is another key
  CHECK(b.call(&bucket::get, "a" + nul + "b") == "a" + nul + "b");
  for (const auto& text : texts) CHECK(b.call(&bucket::erase, text).has_value());
  CHECK(b.call(&bucket::size) == 0);
}

TEST_CASE("a bucket is used in the same way from inside a process") {
  kv::runtime runtime({.threads = 2});
  probe p(runtime);
  const auto b = runtime.spawn<bucket>();
  runtime.spawn([b, to = p.id()] {
    b.call(&bucket::put, "milk", "3");
    kv::send(to, b.call(&bucket::get, "milk"));
  });
  CHECK(p.expect<std::optional<std::string>>() == "3");
}

TEST_CASE("are temporary workers") {
  kv::runtime runtime({.threads = 2});
  const auto s = runtime.spawn<kv::bucket_supervisor>();
  const auto first = s.call(&kv::bucket_supervisor::start_bucket).value();
  const auto second = s.call(&kv::bucket_supervisor::start_bucket).value();
  second.call(&bucket::put, "milk", "3");
  for (const auto& how : {kv::exit_reason::kill, kv::exit_reason::shutdown}) {
    exit_and_await(runtime, s.call(&kv::bucket_supervisor::start_bucket).value(), how);
    CHECK(s.call(&kv::bucket_supervisor::count_children).active == 2);
  }
  exit_and_await(runtime, first, kv::exit_reason::shutdown);
  CHECK(s.call(&kv::bucket_supervisor::children) == std::vector<kv::pid>{second});
  CHECK(second.call(&bucket::get, "milk") == "3");
}

TEST_CASE("a bucket that crashes takes neither its supervisor nor a sibling along") {
  reports seen;
  kv::runtime runtime({.threads = 2, .on_report = seen.sink()});
  const auto s = runtime.spawn<kv::bucket_supervisor>();
  const auto bad = s.call(&kv::bucket_supervisor::start_bucket).value();
  const auto good = s.call(&kv::bucket_supervisor::start_bucket).value();
  probe p(runtime);
  p.monitor(bad);
  CHECK_THROWS_AS(bad.call([](bucket&) { throw std::runtime_error("sour"); }), kv::call_error);
  p.expect_down(bad);
  CHECK(s.call(&kv::bucket_supervisor::children) == std::vector<kv::pid>{good});
  CHECK(seen.all<kv::crash_report>().size() == 1);
}

TEST_CASE("all buckets end with their supervisor, killed or asked") {
  for (const auto& how : {kv::exit_reason::kill, kv::exit_reason::shutdown}) {
    CAPTURE(to_string(how));
    kv::runtime runtime({.threads = 2});
    probe p(runtime);
    const auto s = runtime.spawn<kv::bucket_supervisor>();
    std::vector<kv::ref<bucket>> all;
    for (int i = 0; i < 1000; ++i) all.push_back(s.call(&kv::bucket_supervisor::start_bucket).value());
    for (const auto& b : all) p.monitor(b);
    runtime.exit(s, how);
    for (const auto& b : all) p.expect_down(b);
    for (const auto& b : all) CHECK_FALSE(b.alive());
  }
}

}  // namespace bucket_test
