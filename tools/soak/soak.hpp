// A runtime with a tree, its clients and its killer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <kv/kv.hpp>

#include "soak/client.hpp"
#include "soak/killer.hpp"

namespace kv::soak {

/// How a soak is run.
struct settings {
  double minutes = 1;
  std::uint64_t seed = 0;
  unsigned clients = 2 * runtime_options{}.threads;  ///< every other one is a process
  unsigned threads = runtime_options{}.threads;      ///< of the runtime
  std::vector<part> shortages{part::stacks, part::memory, part::threads};
};

/// What has been done so far.
struct figures {
  std::uint64_t operations = 0;
  std::uint64_t kills = 0;
  std::uint64_t shortages = 0;
  std::uint64_t restarts = 0;
};

/// What is there after all was stopped.
struct leftovers {
  std::size_t processes = 0;
  std::size_t rows = 0;  ///< of tables
};

/// Everything starts with it. Used by one thread.
class soak {
 public:
  soak(const settings& chosen, findings& found);
  soak(const soak&) = delete;
  soak& operator=(const soak&) = delete;
  ~soak();

  figures so_far() const;
  /// Adds up what the clients have measured: `part` is a member of measurements, `weather` one of measurements::split.
  void collect(histogram& sum, measurements::split measurements::* part,
               histogram measurements::split::* weather) const;

  /// Ends the clients, the killer and every bucket, sees that all of that was announced, and stops the tree. Tells what
  /// is left, which should be nothing.
  leftovers stop();

 private:
  void hear(const report& entry);
  void end_clients();
  std::size_t count_leaked_processes();
  std::size_t end_buckets();

  findings& found_;
  calamities kills_;
  restart_log restarts_;
  hearing ears_;
  pacemaker pace_;
  std::atomic<bool> is_over_{false};
  std::vector<std::unique_ptr<client>> clients_;  // before the runtime, whose processes use them
  runtime home_;
  ref<keeper> keeper_;
  std::vector<pid> processes_;
  std::vector<std::jthread> threads_;  // last: they use all the others
};

}  // namespace kv::soak
