#include "soak/keeper.hpp"

#include <chrono>
#include <limits>
#include <vector>

namespace kv::soak {

keeper::keeper(const surroundings& where) : in_(where) {
  trap_exit(true);
  start();
}

void keeper::start() {
  for (;;) {
    try {
      return start_once();
    } catch (const std::exception&) {
      if (!in_.kills.is_under_way(part::memory)) throw;
    }
    end_what_is_left(in_.home);
  }
}

void keeper::start_once() {
  // The killer waits for what it has killed, so only the number of restarts is to be generous; and a handler that waits
  // for a core is no slow handler.
  const auto tree = start_tree(
      in_.home, {.max_restarts = std::numeric_limits<unsigned>::max(), .handler_deadline = std::chrono::minutes(1)});
  const auto log = in_.home.spawn<event_log>(in_.found);
  try {
    tree.events.forward_to(log);
  } catch (...) {
    log.stop();
    throw;
  }
  world_ = {tree, log, world_ ? world_->life + 1 : 0};
  add_handler();
}

/// Of a tree that has ended by itself or could not be started, until its names are free.
void keeper::end_what_is_left(runtime& home) {
  for (const auto* const name : {"kv", "kv.registry", "kv.buckets", "kv.events"}) {
    const auto left = home.whereis(name);
    if (!left) continue;
    const auto watch = monitor(*left);
    kv::exit(*left, exit_reason::kill);
    static_cast<void>(await(watch));
  }
}

void keeper::add_handler() {
  in_.ears.is_removed = false;
  try {
    handler_ = world_->tree.events.add_handler([&ears = in_.ears](const created&) { ++ears.events; });
  } catch (const std::exception&) {
    if (!in_.kills.is_under_way(part::memory)) throw;
    in_.ears.is_removed = true;
  }
}

void keeper::renew_handler() {
  try {
    world_->tree.events.remove(handler_);
  } catch (const call_error&) {
    // There is no manager to remove it, and the next call says so, too.
  }
  add_handler();
}

pid keeper::runner_of_handler() const {
  const auto rows = subscription_table::find(in_.home, "kv.subscriptions");
  const auto row = rows ? rows->lookup(handler_.value) : std::nullopt;
  return row ? row->runner : pid{};
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
  is_closed_ = false;
}

void keeper::mend() {
  if (is_closed_ || world_->tree.root.alive()) return;
  if (!in_.kills.is_under_way(part::memory)) in_.found.lost("the tree has ended, and was not killed");
  in_.kills.begin(part::tree);
  end_what_is_left(in_.home);
  world_->log.stop();
  start();
  in_.restarts.note_all();
  in_.kills.end(part::tree);
}

void keeper::close() {
  is_closed_ = true;
  world_->tree.events.remove(handler_);
  world_->tree.stop();
  world_->log.stop();
}

void keeper::handle(const exit_signal& signal) {
  if (!signal.from) kv::exit(signal.reason);  // the runtime shuts down
  // While stacks are short nothing can be started here: then the killer asks for it.
  if (signal.from == world_->tree.root.id() && !in_.kills.is_under_way(part::stacks)) mend();
}

}  // namespace kv::soak
