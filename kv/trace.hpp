// What happened in a simulation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <kv/detail/process.hpp>
#include <kv/detail/step.hpp>
#include <kv/detail/suspension.hpp>

namespace kv::detail {

/// The last steps of a run. Keeps what happened as it is and makes text of it only when asked.
class trace {
 public:
  void add(std::uint64_t number, duration at, step what);
  /// Returns the last `count` steps, a line each.
  std::vector<std::string> last(std::size_t count) const;

  static constexpr std::size_t capacity = 10'000;

 private:
  struct entry {
    std::uint64_t number;
    duration at;
    step what;
  };
  static std::string to_text(const entry& e);

  std::deque<entry> entries_;
};

/// Returns the name of a type as every compiler spells it: compilers agree on all names but those of lambdas.
std::string portable_name(const std::type_info& type);
/// Says what a process waits for.
std::string wish_of(const suspension& waiting);

/// Returns a time as people read it, such as `1.5 s`.
std::string to_text(duration time);

}  // namespace kv::detail
