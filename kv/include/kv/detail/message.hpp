// What travels between processes: intrusive nodes, owned by exactly one party at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

#include <kv/exit_reason.hpp>
#include <kv/messages.hpp>
#include <kv/pid.hpp>

namespace kv::detail {

class core;

/// Of a number that names something to users, the lower bits are counted up; the others say whose it is, so that it names
/// nothing elsewhere.
inline constexpr unsigned counted_bits = 40;
inline constexpr std::uint64_t counted_up = (std::uint64_t{1} << counted_bits) - 1;

enum class message_kind : std::uint8_t {
  signal,  // handled when it arrives, whatever the receiver is doing
  letter,  // a user's message: handed to handle() or taken by receive()
  action,  // code to run inside the receiver: a cast, a start
  request  // an action whose sender waits; comes back to it as a reply
};

/// Tells whether two types are one. Each shared library can have a type_info of its own for a class, so addresses prove
/// only that they are; then names count, as the standard library compares them.
inline bool is_same(const std::type_info& a, const std::type_info& b) noexcept { return &a == &b || a == b; }

/// A node of one mailbox at a time. Whoever holds the pointer owns it: the sender until it is pushed, then the
/// receiver, and a request travels back to its caller in the same node. So neither side can outlive a reply.
class message {
 public:
  explicit message(message_kind what) noexcept : kind(what) {}
  message(const message&) = delete;
  message& operator=(const message&) = delete;
  virtual ~message() = default;

  /// Returns the type that reports show.
  virtual const std::type_info& type() const noexcept = 0;

  message* next = nullptr;
  std::uint32_t generation = 0;  // of the addressee: a node that reaches a later process of its slot bounces
  message_kind kind;
  bool is_counted = false;    // by the bound of the receiver's mailbox
  bool is_addressed = false;  // a letter to an alias
  bool is_exempt = false;     // from that bound
};

using message_ptr = std::unique_ptr<message>;

/// Links, monitors, exits: the things that are obeyed even while the receiver is blocked in a callback.
class signal final : public message {
 public:
  enum class op : std::uint8_t {
    exit,          // somebody asks the receiver to end
    link,          // `from` has linked itself to the receiver
    unlink,        // and takes that back
    link_exit,     // a linked process has ended
    monitor,       // `from` watches the receiver
    demonitor,     // and takes that back
    down,          // a process that the receiver watches has ended
    resume,        // the testing kit lets a frozen process go on
    forget_reply,  // the receiver does not want the answer to that request any more
    idle_check     // a timer asks whether the receiver has been idle for as long as it wants to know
  };

  signal(op what, pid sender, const exit_reason& why = {}, monitor_ref watch = {})
      : message(message_kind::signal), from(sender), reason(why), ref(watch), operation(what) {}
  const std::type_info& type() const noexcept override { return typeid(signal); }

  pid from;
  exit_reason reason;
  monitor_ref ref;
  op operation;
};

/// A plain message.
class letter : public message {
 public:
  letter() noexcept : message(message_kind::letter) {}
  virtual void* body() noexcept = 0;
  /// Runs the overload of the receiver's handle() that the sender saw, when the sender knew the receiver's class.
  virtual bool deliver(void* /*state*/) { return false; }
  /// Returns which alias of the receiver it was sent to, when it is_addressed.
  virtual std::uint64_t alias() const noexcept { return 0; }

  template <class M>
  M* as() noexcept {
    return is_same(type(), typeid(M)) ? static_cast<M*>(body()) : nullptr;
  }
};

template <class M>
class letter_of : public letter {
 public:
  explicit letter_of(M content) : content_(std::move(content)) {}
  const std::type_info& type() const noexcept override { return typeid(M); }
  void* body() noexcept override { return &content_; }

 protected:
  M content_;
};

/// A letter to a server whose class the sender knew: it brings the way to handle() along.
template <class Server, class M>
class addressed_letter final : public letter_of<M> {
 public:
  using letter_of<M>::letter_of;
  bool deliver(void* state) override {
    static_cast<Server*>(state)->handle(std::as_const(this->content_));
    return true;
  }
};

/// A letter that is dropped when its receiver has taken the alias back.
template <class M>
class aliased_letter final : public letter_of<M> {
 public:
  aliased_letter(M content, std::uint64_t alias) : letter_of<M>(std::move(content)), alias_(alias) {
    this->is_addressed = true;
  }
  std::uint64_t alias() const noexcept override { return alias_; }

 private:
  std::uint64_t alias_;
};

/// Code to run inside the receiver.
class action : public message {
 public:
  explicit action(message_kind what = message_kind::action) noexcept : message(what) {}
  virtual void run(void* state) = 0;
};

template <class F>
class action_of final : public action {
 public:
  explicit action_of(F function) : function_(std::move(function)) {}
  const std::type_info& type() const noexcept override { return typeid(F); }
  void run(void* state) override { function_(state); }

 private:
  F function_;
};

/// An action whose caller waits. Answered exactly once, by being pushed into the caller's mailbox: with a result, or
/// with the reason why there is none.
class request : public action {
 public:
  request() noexcept : action(message_kind::request) {}

  pid caller;             // also of another runtime, which may be gone by the time of the answer: see answer()
  std::uint64_t ref = 0;  // which call of the caller this answers; a late reply matches none
  bool is_kept = false;   // the caller may look for the answer later: see errands::replies
  bool answered = false;  // it is on its way back
  bool failed = false;    // there is no result, because of `failure`
  exit_reason failure;

  void fail_with(const exit_reason& why) {
    failed = true;
    failure = why;
  }
  /// Returns why a request fails that whoever had it has dropped.
  static exit_reason no_reply() { return exit_reason::custom("no reply"); }
};

/// Any thread. Answers a request, with its result or with the reason why there is none. Dropped when its caller's
/// runtime has ended.
void answer(std::unique_ptr<request> what, const exit_reason* failure) noexcept;

/// Takes the name of the type a user wrote, for reports.
std::string type_name(const std::type_info& type);

}  // namespace kv::detail
