#include "soak/killer.hpp"

#include <array>

#include "soak/starver.hpp"

namespace kv::soak {

namespace {

/// What the tree calls its children, by their part.
constexpr std::array<const char*, 3> child_ids{"events", "buckets", "registry"};

const char* id_of(part what) { return child_ids.at(static_cast<std::size_t>(what)); }

}  // namespace

std::vector<part> killer::kill(const surroundings& where, const std::vector<part>& victims) {
  std::vector<child_info> children;
  try {
    const auto world = where.keeper.call_for(infinity, &keeper::current);
    children = world.tree.root.call_for(infinity, &supervisor::which_children);
  } catch (const call_error&) {
    return {};  // it has ended, which the keeper says
  }
  for (const auto victim : victims) {
    where.restarts.forget(id_of(victim));
    where.kills.begin(victim);
  }
  for (const auto victim : victims) {
    where.home.exit(children.at(static_cast<std::size_t>(victim)).who, exit_reason::kill);
  }
  return victims;
}

void killer::await_return(const surroundings& where, const std::vector<part>& victims) {
  for (const auto victim : victims) {
    where.restarts.await(id_of(victim));
    where.kills.end(victim);
  }
}

void killer::run() {
  constexpr unsigned longest_peace = 100;  // units of work
  starver other(in_, random_());
  other.run_short_of_each();
  while (in_.pace.await(1 + pick(longest_peace))) strike(other);
}

void killer::strike(starver& other) {
  if (pick(8) == 0) return other.run_short_of_one();
  if (pick(50) == 0) return kill_tree();
  if (pick(4) == 0) {
    std::vector<part> victims{part::events, part::buckets, part::registry};
    victims.erase(victims.begin() + pick(3));
    return kill_parts(victims);
  }
  const auto victim = static_cast<part>(pick(3));
  const unsigned times = pick(4) == 0 ? 3 : 1;  // some die as soon as they are back
  for (unsigned i = 0; i < times; ++i) kill_parts({victim});
}

void killer::kill_tree() {
  in_.kills.begin(part::tree);
  const bool by_force = pick(2) == 0;
  in_.keeper.call_for(infinity, &keeper::renew, by_force);
  in_.kills.end(part::tree);
}

}  // namespace kv::soak
