// Who sees to it that things die.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include <kv/kv.hpp>

#include "soak/calamities.hpp"
#include "soak/keeper.hpp"
#include "soak/restart_log.hpp"

namespace kv::soak {

class starver;

/// Kills parts of the tree, one or several at a time, and now and then the whole; now and then it lets something run
/// short, each thing once before all else. Waits until all is back before it goes on, so no supervisor ever gives up.
class killer {
 public:
  struct surroundings {
    runtime& home;
    ref<soak::keeper> keeper;
    calamities& kills;
    restart_log& restarts;
    pacemaker& pace;
    findings& found;
    hearing& ears;
    std::vector<part> shortages;  // what may run short
  };
  killer(const surroundings& where, std::uint64_t seed) : in_(where), random_(seed) {}

  /// Blocks the calling thread until the pacemaker is closed.
  void run();

  /// Kills these children of the tree, each a calamity that begins with it. Returns them; none when there is no tree.
  static std::vector<part> kill(const surroundings& where, const std::vector<part>& victims);
  /// Waits until they are back, and the calamities over.
  static void await_return(const surroundings& where, const std::vector<part>& victims);

 private:
  void strike(starver& other);
  void kill_parts(const std::vector<part>& victims) { await_return(in_, kill(in_, victims)); }
  void kill_tree();

  unsigned pick(unsigned count) { return std::uniform_int_distribution(0U, count - 1)(random_); }

  surroundings in_;
  std::mt19937_64 random_;
};

}  // namespace kv::soak
