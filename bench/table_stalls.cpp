// How long a reader of a table is held up by what happens to it: its growth, and a change of its owner.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>

#include <benchmark/benchmark.h>

#include "fixtures.hpp"
#include "latencies.hpp"
#include "summary.hpp"
#include "table_peers.hpp"

namespace kv::bench {

namespace {

using numbers = table<std::string, std::size_t>;

/// Calls a function at the end of its scope.
template <class F>
class finally {
 public:
  explicit finally(F& f) : f_(f) {}
  finally(const finally&) = delete;
  finally& operator=(const finally&) = delete;
  ~finally() { f_(); }

 private:
  F& f_;
};

constexpr std::size_t grown_size = 10'000'000;
constexpr std::size_t inherited_size = 10'000;
constexpr int transfers = 1000;
constexpr std::size_t reads_before = 1'000'000;

/// Reads rows 0 to `count() - 1`, one after the other, for as long as `goes_on(reads so far)`. Nothing if one is missing.
template <class Count, class Predicate>
std::optional<latencies> read(const numbers& rows, Count count, Predicate goes_on) {
  latencies result;
  for (std::size_t at = 0; goes_on(result.size()); ++at) {
    const auto end = count();
    if (end == 0) continue;
    const auto name = name_of(at % end);
    if (result.time([&] { return rows.lookup(name); }) != at % end) return std::nullopt;
  }
  result.stop();
  return result;
}

/// A table that fills up while a thread reads what is there already; or one that is full, while something else fills up:
/// how long this machine holds up a thread that nobody has asked to wait.
void grow(benchmark::State& state, bool beside) {
  for (auto _ : state) {
    runtime home({.threads = 1, .on_report = [](const report&) {}});
    auto rows = numbers::create(home, {.access = table_access::public_, .ownerless = true});
    flat_numbers others;
    for (std::size_t i = 0; beside && i < grown_size; ++i) rows.insert(name_of(i), i);
    std::atomic<std::size_t> written{0};
    std::optional<latencies> all;
    std::jthread reader(
        [&] { all = read(rows, [&] { return written.load(); }, [&](std::size_t) { return written != grown_size; }); });
    state.SetIterationTime(seconds_of([&] {
      for (std::size_t i = 0; i < grown_size; ++i) {
        beside ? others.put(name_of(i), i) : rows.insert(name_of(i), i);
        written = i + 1;
      }
    }));
    reader.join();
    if (!all) return state.SkipWithError("a row is missing");
    if (rows.size() != grown_size) return state.SkipWithError("the table has another size");
    all->count(state);
  }
}

/// A table whose owners are killed, one after the other; its heir gives it to the next.
class estate {
 public:
  estate() {
    inside(home_, [this] {
      auto rows = numbers::create(home_, {.access = table_access::public_, .ownerless = true});
      for (std::size_t i = 0; i < inherited_size; ++i) rows.insert(name_of(i), i);
      rows_ = rows;
    });
  }
  const numbers& rows() const { return *rows_; }

  /// Calls `when_over` before the table goes with its last owner. False when it was not handed on as it should be.
  template <class F>
  bool change_hands(F when_over) {
    return inside(home_, [&] {
      const finally over(when_over);
      rows_->adopt();
      rows_->set_heirs({self()}, std::string("yours again"));
      for (int i = 0; i < transfers; ++i) {
        const auto owner = spawn([] { [[maybe_unused]] const auto never = receive<int>(); });
        rows_->give_away(owner);
        exit(owner, exit_reason::kill);
        const auto back = receive_for<table_transfer<numbers>>(std::chrono::seconds(10));
        if (!back || back->from != owner || rows_->owner() != self()) return false;
      }
      return true;
    });
  }

 private:
  runtime home_{{.threads = 1, .on_report = [](const report&) {}}};  // and a thread that reads
  std::optional<numbers> rows_;
};

void read_in_peace(benchmark::State& state) {
  const estate here;
  for (auto _ : state) {
    auto all = read(here.rows(), [] { return inherited_size; }, [](std::size_t n) { return n < reads_before; });
    if (!all) return state.SkipWithError("a row is missing");
    all->count(state);
    state.SetIterationTime(1e-9);
  }
}

void read_while_owners_die(benchmark::State& state) {
  for (auto _ : state) {
    estate here;
    std::atomic<bool> is_over{false};
    double seconds = 0;
    std::optional<latencies> all;
    std::jthread reader(
        [&] { all = read(here.rows(), [] { return inherited_size; }, [&](std::size_t) { return !is_over; }); });
    const auto start = std::chrono::steady_clock::now();
    const bool went_well = here.change_hands([&] {
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      is_over = true;
      reader.join();
    });
    if (!went_well) return state.SkipWithError("the table was not inherited");
    if (!all) return state.SkipWithError("a row is missing");
    all->count(state);
    state.SetIterationTime(seconds / transfers);
  }
}

}  // namespace

void add_table_stalls(summary& table) {
  const auto add_grow = [](const std::string& name, bool beside) {
    add_benchmark(
        name, [beside](benchmark::State& state) { grow(state, beside); }, timing::manual)
        ->Iterations(1)
        ->Unit(benchmark::kSecond);
  };
  add_grow("table/grow/kv", false);
  add_grow("table/grow/beside", true);
  add_latency_rows(table, "table, lookup while it grows to 10,000,000 rows", "table/grow/kv",
                   {.name = "table/grow/beside", .what = "a full table, while a flat map grows"}, at_most(1e6));

  add_benchmark("inherit/before", read_in_peace, timing::manual)->Iterations(1);
  add_benchmark("inherit/during", read_while_owners_die, timing::manual)->Iterations(1);
  table.add({.operation = "table, from the birth of an owner to its end and back", .kv = "inherit/during", .peer = ""});
  add_latency_rows(table, "table, lookup while its owner dies, 1,000 times", "inherit/during",
                   {.name = "inherit/before", .what = "before"});
}

}  // namespace kv::bench
