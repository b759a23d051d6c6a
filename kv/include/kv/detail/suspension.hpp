// How a process waits, and how it is born.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <typeinfo>

#include <kv/detail/process.hpp>

namespace kv::detail {

/// What a blocked process waits for. Lives on the stack that waits.
struct suspension {
  std::uint64_t awaited = 0;  // the call whose reply is wanted, or 0
  message_ptr reply = nullptr;
  void* parked = nullptr;  // the executor's
  bool gives_up = true;    // it can say that nothing came
  // For those who ask what it waits for.
  time_point since{};                                  // when it began to; or else not known yet
  pid callee = {};                                     // of that call
  std::span<const std::type_info* const> wanted = {};  // of the messages that would do, or the call
};

/// How a process is born.
struct birth {
  std::unique_ptr<behaviour> body;
  bool leaf = false;
  bool link = false;
  monitor_ref* monitor = nullptr;  // where the reference goes, if its creator monitors it
  std::string name = {};           // registered before it runs; empty for none
  bool on_reserve = false;         // see process::has_reserve
};

}  // namespace kv::detail
