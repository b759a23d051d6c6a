// What a seed decides.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace kv::detail {

/// Decides where a run leaves the plain order. Each decision depends on the seed and on the number of the place alone,
/// not on the decisions before: so a run can be repeated with fewer deviations, each the same as before.
class fate {
 public:
  enum class kind : std::uint8_t {
    order,       // somebody who is not the first in the queue goes next
    preemption,  // whoever runs is interrupted
    kill,        // a victim is killed
    refusal      // an allocation fails
  };

  fate(std::uint64_t seed, std::optional<std::vector<std::uint64_t>> only);

  std::uint64_t seed() const noexcept { return seed_; }
  /// Tells whether to deviate there in that way, and remembers it.
  bool strikes(kind how, std::uint64_t place);
  /// Returns a number below the bound that belongs to that place.
  std::uint64_t draw(kind how, std::uint64_t place, std::uint64_t bound) const noexcept;
  /// Returns the next of the numbers that processes ask for.
  std::uint64_t random() noexcept;
  const std::vector<std::uint64_t>& struck() const noexcept { return struck_; }

 private:
  std::uint64_t seed_;
  std::uint64_t rate_;  // of deviations, in 65,536 places
  std::optional<std::vector<std::uint64_t>> only_;
  std::vector<std::uint64_t> struck_;
  std::uint64_t drawn_ = 0;
};

}  // namespace kv::detail
