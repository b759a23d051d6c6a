// What a program and its plugins agree on.
#pragma once

#include <cstdint>
#include <string>

#include <kv/process.hpp>
#include <kv/runtime.hpp>
#include <kv/table.hpp>

namespace plugins {

/// A server that one plugin starts and another finds.
struct greeter {
  std::string greeting;
  std::string greet(const std::string& whom) const { return greeting + ", " + whom; }
};

/// Runs what others bring, on their stack.
struct inline_runner {
  static constexpr bool leaf = true;
};

/// A message from one plugin to the other.
struct news {
  int number;
};

using greetings = kv::table<std::string, int>;

/// What each plugin gives the program.
struct plugin {
  void (*start)(kv::runtime& home);
  /// Returns what went wrong; nothing when all is well.
  std::string (*use)(kv::runtime& home);
  const void* type;  // where its own type_info is, to see that this test tests something
  // What there is once in the program: the current process, and what this thread reads tables with.
  const void* (*current)();
  const void* (*reader)();
};

using get_plugin = const plugin*();

}  // namespace plugins
