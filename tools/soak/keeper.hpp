// Who starts the tree, and starts it again.
#pragma once

#include <cstdint>
#include <optional>

#include <kv/kv.hpp>

#include "soak/event_log.hpp"

namespace kv::soak {

/// One life of the tree.
struct world {
  kv::tree tree;
  ref<event_log> log;  // hears of everything in it
  std::uint64_t life = 0;
};

/// A process that keeps a tree. Who asks for the world while the tree is being renewed waits for the new one.
class keeper {
 public:
  keeper(runtime& home, findings& found);

  world current() const { return *world_; }
  /// Ends the tree, by force or in order, and starts another once nothing is left of it.
  void renew(bool by_force);
  /// Ends the tree in order.
  void close();

  void handle(const exit_signal& signal);

 private:
  void start();

  runtime& home_;
  findings& found_;
  std::optional<world> world_;
};

}  // namespace kv::soak
