#include "soak/killer.hpp"

#include <array>

namespace kv::soak {

namespace {

/// What the tree calls its children, by their part.
constexpr std::array<const char*, 3> child_ids{"events", "buckets", "registry"};

const char* id_of(part what) { return child_ids.at(static_cast<std::size_t>(what)); }

}  // namespace

void restart_log::note(const restart_report& entry) {
  if (!entry.new_pid) return;  // it is tried again
  ++count_;
  const std::lock_guard lock(mutex_);
  is_back_[entry.child] = true;
  changed_.notify_all();
}

void restart_log::forget(const std::string& child) {
  const std::lock_guard lock(mutex_);
  is_back_[child] = false;
}

void restart_log::await(const std::string& child) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_back_[child]; });
}

void pacemaker::work_done() {
  const std::lock_guard lock(mutex_);
  ++units_;
  changed_.notify_all();
}

void pacemaker::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

bool pacemaker::await(unsigned units) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&, enough = units_ + units] { return is_closed_ || units_ >= enough; });
  return !is_closed_;
}

void killer::run() {
  constexpr unsigned longest_peace = 100;  // units of work
  while (in_.pace.await(1 + pick(longest_peace))) strike();
}

void killer::strike() {
  if (pick(50) == 0) {
    in_.kills.begin(part::tree);
    const bool by_force = pick(2) == 0;
    in_.keeper.call_for(infinity, &keeper::renew, by_force);
    return in_.kills.end(part::tree);
  }
  if (pick(4) == 0) {
    std::vector<part> victims{part::events, part::buckets, part::registry};
    victims.erase(victims.begin() + pick(3));
    return kill_parts(victims);
  }
  const auto victim = static_cast<part>(pick(3));
  const unsigned times = pick(4) == 0 ? 3 : 1;  // some die as soon as they are back
  for (unsigned i = 0; i < times; ++i) kill_parts({victim});
}

void killer::kill_parts(const std::vector<part>& victims) {
  const auto world = in_.keeper.call_for(infinity, &keeper::current);
  const auto children = world.tree.root.call_for(infinity, &supervisor::which_children);
  for (const auto victim : victims) {
    in_.restarts.forget(id_of(victim));
    in_.kills.begin(victim);
  }
  for (const auto victim : victims) in_.home.exit(children.at(static_cast<std::size_t>(victim)).who, exit_reason::kill);
  for (const auto victim : victims) {
    in_.restarts.await(id_of(victim));
    in_.kills.end(victim);
  }
}

}  // namespace kv::soak
