// A client of the tree, and what it knows of the buckets that are its own.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <kv/kv.hpp>

#include "soak/calamities.hpp"
#include "soak/histogram.hpp"
#include "soak/keeper.hpp"
#include "soak/killer.hpp"

namespace kv::soak {

/// What a client has measured. Written by it alone, read by whoever reports.
struct measurements {
  /// While everything lived, and while something was dying or coming back.
  struct split {
    histogram calm;
    histogram stormy;
  };
  split lookup;
  split get;
  std::atomic<std::uint64_t> operations{0};
};

/// Uses buckets at random and compares each answer with a model. Nobody else creates, changes or stops a client's own
/// buckets, so of them it knows everything:
///
/// - While a bucket lives it holds exactly what was put into it.
/// - It dies only if its client ends it, or somebody kills the bucket supervisor or the tree; then it is never seen again.
/// - A lookup finds it until then; a create finds it or fails only while what it needs is being killed.
/// - A request that found no stack to wait on may be done or not, and is before the next to the same process.
///
/// Of the names that all share it knows only that a bucket never answers what was put into another one, and that who was
/// seen dead is not found.
class client {
 public:
  struct surroundings {
    runtime& home;
    ref<soak::keeper> keeper;
    const calamities& kills;
    findings& found;
    pacemaker& pace;
    const std::atomic<bool>& is_over;
  };
  /// One that is a process holds a stack while it waits, and may find none.
  client(const surroundings& where, unsigned number, std::uint64_t seed, bool is_process);

  /// Works until it is over, on a plain thread.
  void run();
  /// Does a unit of work. In a process, which gives way between two.
  void work();
  bool is_over() const noexcept { return in_.is_over; }

  const measurements& measured() const noexcept { return measured_; }

 private:
  using time_point = std::chrono::steady_clock::time_point;

  /// A name, and what is known of the bucket that it stands for.
  struct record {
    std::string name;
    bool is_shared = false;
    ref<bucket> who = {};                                                // null, while there is none that it knows of
    std::map<std::string, std::string> content = {};                     // of its own bucket
    std::multimap<std::string, std::optional<std::string>> unsure = {};  // what keys of it may hold instead
    calamities::moment born = {};                                        // before it was created
    bool is_doomed = false;                            // killed by its client, who has not seen it dead
    pid dead = {};                                     // the last one that was seen dead
    std::optional<calamities::moment> unsettled = {};  // when a create began that may or may not have done its work
    bool is_open = false;                              // that create may still do it
  };

  void step();
  void operate(record& r);
  std::optional<ref<bucket>> look_up(record& r);
  void create(record& r);
  void try_to_create(record& r, const calamities::moment& start);
  void adopt(record& r, ref<bucket> who, const calamities::moment& start);
  void get(record& r);
  void put(record& r);
  void erase(record& r);
  void inspect(record& r);
  void stop(record& r);
  void kill(record& r);

  template <class F>
  bool talk(record& r, const char* verb, F conversation);
  void see_dead(record& r, const char* how);
  void no_stack(const record& r, const char* verb, const calamities::moment& then);
  void judge(const record& r, const std::string& key, const std::optional<std::string>& said);
  static void settle(record& r, const std::string& key, const std::optional<std::string>& value);
  void measure(measurements::split& where, time_point start, const calamities::moment& then);
  void refresh();

  std::string describe(const record& r) const;
  void wrong(const record& r, const std::string& what) { in_.found.wrong(what + "; " + describe(r)); }
  unsigned pick(unsigned count) { return std::uniform_int_distribution(0U, count - 1)(random_); }
  std::string some_key() { return "key-" + std::to_string(pick(8)); }
  std::string fresh_value(const record& r, const std::string& key);

  surroundings in_;
  unsigned number_;
  bool is_process_;
  std::mt19937_64 random_;
  std::optional<world> world_;
  calamities::moment world_taken_;  // before it was
  std::vector<record> records_;
  std::uint64_t values_ = 0;
  std::uint64_t done_ = 0;
  measurements measured_;
};

}  // namespace kv::soak
