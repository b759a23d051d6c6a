// What a trace says of a run.
#pragma once

#include <cstdint>
#include <typeinfo>

#include <kv/detail/message.hpp>
#include <kv/exit_reason.hpp>
#include <kv/pid.hpp>

namespace kv::detail {

/// Something that happened to a process.
struct step {
  enum class kind : std::uint8_t {
    starts,       // `type`: its class, `other`: its parent
    constructs,   // its state
    handles,      // `type`: of the message
    is_called,    // on the stack of `other`; `type`: the function
    obeys,        // `operation` of `other`
    waits,        // for a message or, when there is one, for the answer of `other`
    goes_on,      // what it waited for has come, or it was preempted and it is its turn again
    times_out,    // it did not come
    ends,         // because of `reason`
    preempted,    // deviation: others go first, in the middle of what it does
    jumps_queue,  // deviation: it goes before those that were ready first
    fault_kill,   // deviation: it is killed
    fault_memory  // deviation: one of its next allocations fails
  };

  pid who;
  kind what;
  const std::type_info* type = nullptr;
  pid other = {};
  signal::op operation = {};
  exit_reason reason = {};
};

}  // namespace kv::detail
