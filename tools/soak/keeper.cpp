#include "soak/keeper.hpp"

#include <limits>
#include <vector>

namespace kv::soak {

keeper::keeper(runtime& home, findings& found) : home_(home), found_(found) {
  trap_exit(true);
  start();
}

void keeper::start() {
  // The killer waits for what it has killed, so only the number of restarts is to be generous.
  const auto tree = start_tree(home_, {.max_restarts = std::numeric_limits<unsigned>::max()});
  const auto log = home_.spawn<event_log>(found_);
  tree.events.forward_to(log);
  world_ = {tree, log, world_ ? world_->life + 1 : 0};
}

void keeper::renew(bool by_force) {
  if (by_force) {
    // Its children learn of its end one after the other, and keep their names until then.
    std::vector<monitor_ref> watches{monitor(world_->tree.root)};
    for (const auto& child : world_->tree.root.call(&supervisor::which_children)) watches.push_back(monitor(child.who));
    kv::exit(world_->tree.root, exit_reason::kill);
    for (const auto watch : watches) static_cast<void>(await(watch));
    world_->log.stop();
  } else {
    close();
  }
  start();
}

void keeper::close() {
  world_->tree.stop();
  world_->log.stop();
}

void keeper::handle(const exit_signal& signal) {
  if (!signal.from)
    kv::exit(signal.reason);  // the runtime shuts down; the ends of trees are awaited where they are caused
}

}  // namespace kv::soak
