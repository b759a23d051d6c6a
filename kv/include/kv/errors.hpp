// What kv throws. Three tiers, never mixed: what may well be absent is a std::optional, misuse is a std::logic_error
// (std::invalid_argument for arguments), and a peer that did not answer is a call_error.
#pragma once

#include <stdexcept>
#include <string>

#include <kv/exit_reason.hpp>
#include <kv/pid.hpp>

namespace kv {

/// A call got no answer. Says whom it called and why. Mirrors the exits of `gen_server:call/3`.
class call_error : public std::runtime_error {
 public:
  enum class code {
    noproc,        ///< there is no such process (any more)
    timeout,       ///< it did not answer in time; it may still do what was asked
    exited,        ///< it ended before it answered: see reason()
    calling_self,  ///< a process called itself and would have waited for ever
    overloaded,    ///< its mailbox was full: see limit_mailbox
    interrupted    ///< the caller has to end and waited in a destructor; the callee may still do what was asked
  };

  call_error(code why, pid callee, const exit_reason& reason = exit_reason::noproc);

  /// Nobody has that name: noproc.
  explicit call_error(const std::string& name);

  code why() const noexcept { return why_; }
  /// Returns whom it called; nobody when that was a name without a process.
  pid callee() const noexcept { return callee_; }
  /// Returns why the callee ended. Only for code::exited and code::noproc.
  const exit_reason& reason() const noexcept { return reason_; }

 private:
  code why_;
  pid callee_;
  exit_reason reason_;
};

/// A process could not be started: its constructor threw. reason() holds the exception. As `{error, Reason}` of
/// `gen_server:start/3`.
class start_error : public std::runtime_error {
 public:
  start_error(const std::string& what, const exit_reason& reason) : std::runtime_error(what), reason_(reason) {}
  const exit_reason& reason() const noexcept { return reason_; }

 private:
  exit_reason reason_;
};

/// A leaf process tried to block. A leaf runs on its caller's stack, so waiting there would stop the caller for ever.
class leaf_blocked : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Something of which a runtime has only so many is used up; the text says what. Ends the one request that wanted another.
/// Mirrors the `system_limit` of Erlang.
class system_limit : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Every stack of the runtime's pool is held by a process that is blocked inside a callback. Ends the one call that
/// wanted another. See runtime_options::max_stacks.
class out_of_stacks : public system_limit {
 public:
  using system_limit::system_limit;
};

/// A name is taken, and by whom.
class name_taken : public std::runtime_error {
 public:
  name_taken(const std::string& name, pid holder)
      : std::runtime_error("name " + name + " is taken by " + to_string(holder)), holder_(holder) {}
  pid holder() const noexcept { return holder_; }

 private:
  pid holder_;
};

}  // namespace kv
