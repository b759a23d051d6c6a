// What travels between processes: intrusive nodes, owned by exactly one party at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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

  message* next = nullptr;       // in the list that holds it: a mailbox, a queue, a set of notices
  std::uint32_t generation = 0;  // of the addressee: no later process of its slot takes it
  message_kind kind;
  bool is_counted : 1 = false;    // by the bound of the receiver's mailbox
  bool is_addressed : 1 = false;  // a letter to an alias
  bool is_exempt : 1 = false;     // from that bound
  bool is_made_late : 1 = false;  // a letter whose content does not exist yet, perhaps
};

using message_ptr = std::unique_ptr<message>;

/// A plain message.
class letter : public message {
 public:
  letter() noexcept : message(message_kind::letter) {}
  /// Receiver. Throws only where the content is made late: see late_letter.
  virtual void* body() = 0;
  /// Runs the overload of the receiver's handle() that the sender saw, when the sender knew the receiver's class.
  virtual bool deliver(void* /*state*/) { return false; }
  /// Returns which alias of the receiver it was sent to, when it is_addressed.
  virtual std::uint64_t alias() const noexcept { return 0; }

  template <class M>
  M* as() {
    return is_same(type(), typeid(M)) ? static_cast<M*>(body()) : nullptr;
  }
};

/// A letter whose content the receiver makes, when it takes it: because making it runs a user's code, such as a copy
/// constructor, which none but the receiver has to wait for, or to suffer from.
template <class M>
class late_letter : public letter {
 public:
  late_letter() noexcept { this->is_made_late = true; }
  const std::type_info& type() const noexcept final { return typeid(M); }
  void* body() final {
    if (!content_) content_.emplace(make());
    return &*content_;
  }

 private:
  virtual M make() = 0;

  std::optional<M> content_;
};

/// Links, monitors, exits: the things that are obeyed even while the receiver is blocked in a callback. A signal that
/// ties two processes stays with the receiver, and comes back as the notice of its death: so a death allocates nothing.
/// Where its receiver is to see it, the same node becomes a letter.
class signal : public letter {
 public:
  enum class op : std::uint8_t {
    exit,          // `from` asks the receiver to end
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

  virtual pid from() const noexcept = 0;
  virtual exit_reason reason() const noexcept { return {}; }
  /// The receiver is to see it as a message.
  void present() noexcept { kind = message_kind::letter; }

  op operation;

 protected:
  explicit signal(op what) noexcept : operation(what) { kind = message_kind::signal; }
};

/// A signal about an end, seen as an exit_signal: exit, link, unlink, link_exit.
class exit_notice : public signal {
 public:
  exit_notice(op what, pid sender, const exit_reason& why = {}) noexcept : signal(what), news{sender, why} {}
  const std::type_info& type() const noexcept override {
    return kind == message_kind::letter ? typeid(exit_signal) : typeid(signal);
  }
  void* body() override { return &news; }
  pid from() const noexcept override { return news.from; }
  exit_reason reason() const noexcept override { return news.reason; }
  /// By which a set of notices finds it: the process to tell.
  using key_type = pid;
  const pid& key() const noexcept { return news.from; }

  exit_signal news;
  // Of a link: the last request that this process has made, and the last that has come from the other. See apply_link.
  std::uint32_t asked = 0;
  std::uint32_t seen = 0;
};

/// A monitor, and the `down` that comes of it. As a monitor, `news.from` is the watcher.
class down_notice final : public signal {
 public:
  down_notice(op what, down content) noexcept : signal(what), news(std::move(content)) {}
  const std::type_info& type() const noexcept override {
    return kind == message_kind::letter ? typeid(down) : typeid(signal);
  }
  void* body() override { return &news; }
  pid from() const noexcept override { return news.from; }
  exit_reason reason() const noexcept override { return news.reason; }
  /// By which a set of notices finds it: the watcher, and which of its monitors.
  struct key_type {
    pid who;
    monitor_ref ref;
    friend bool operator==(const key_type&, const key_type&) = default;
  };
  key_type key() const noexcept { return {news.from, news.ref}; }

  down news;
};

/// A signal about something that has a number: demonitor, forget_reply, and those that need none.
class control_signal final : public signal {
 public:
  control_signal(op what, pid sender, std::uint64_t which = 0) noexcept
      : signal(what), number(which), sender_(sender) {}
  const std::type_info& type() const noexcept override { return typeid(signal); }
  void* body() override { return nullptr; }
  pid from() const noexcept override { return sender_; }

  std::uint64_t number;

 private:
  pid sender_;
};

template <class M>
class letter_of : public letter {
 public:
  explicit letter_of(M content) : content_(std::move(content)) {}
  const std::type_info& type() const noexcept override { return typeid(M); }
  void* body() override { return &content_; }

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
