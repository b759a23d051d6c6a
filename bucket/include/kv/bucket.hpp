// A bucket: the state that the guide keeps in an Agent.
#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kv/messages.hpp>
#include <kv/pid.hpp>
#include <kv/process.hpp>
#include <kv/ref.hpp>

namespace kv {

/// What a bucket sends to its subscribers.
struct bucket_changed {
  pid bucket;
  std::string key;
  std::optional<std::string> value;  ///< what the key holds now; nothing when it was deleted
  friend bool operator==(const bucket_changed&, const bucket_changed&) = default;
};

/// Prints `milk SET TO 3` or `milk DELETED`.
std::ostream& operator<<(std::ostream& out, const bucket_changed& change);

/// A process's worth of key-value state: strings, byte-exact, any content. A leaf: no function of it blocks, so a call
/// to an idle bucket runs at once on the caller's stack.
///
///     auto shopping = runtime.spawn<kv::bucket>();
///     shopping.call(&kv::bucket::put, "milk", "3");
///
/// Want of memory does not end it: a call for which there is none throws call_error{exited}, with the std::bad_alloc as its
/// reason, and has changed nothing.
///
/// Not synchronised by itself: the process that owns it is what keeps others out. All functions are O(log entries)
/// unless they say otherwise. Mirrors `KV.Bucket`.
class bucket {
 public:
  static constexpr bool leaf = true;
  static constexpr bool outlives_shortage = true;  // a request for which there is no memory is refused

  /// Returns what the key holds.
  std::optional<std::string> get(std::string_view key) const;
  /// Sets what the key holds, and tells every subscriber, also when it held just that. O(subscribers).
  void put(std::string_view key, std::string_view value);
  /// Removes the key; returns what it held. If it held something, every subscriber is told. O(subscribers).
  std::optional<std::string> erase(std::string_view key);
  /// Returns the number of entries. O(1).
  std::size_t size() const noexcept { return entries_.size(); }
  /// Returns all keys in order. O(entries).
  std::vector<std::string> keys() const;

  /// From now on that process is sent a bucket_changed for every change, in the order of the changes: when a call to put
  /// or erase returns, it is in the mailbox of each subscriber. Once is enough: who subscribes twice is told once. Ends
  /// with the subscriber. One whose mailbox is full misses it, whatever it wants senders to do, and so does one for which
  /// there is no memory. Requires: called inside the bucket's process. See kv::subscribe. O(log subscribers).
  void subscribe(pid who);
  /// Takes that back; tells whether it was subscribed. What was sent before may still be in its mailbox.
  bool unsubscribe(pid who);
  /// Returns how many processes are subscribed. O(1).
  std::size_t subscriber_count() const noexcept { return watches_ ? watches_->size() : 0; }

  /// A subscriber has ended.
  void handle(const down& news);

 private:
  using watches = std::map<pid, monitor_ref>;  // of the subscribers

  void tell(std::string_view key, std::optional<std::string_view> value) const;

  std::map<std::string, std::string, std::less<>> entries_;
  std::unique_ptr<watches> watches_;  // null while nobody is subscribed: there are many buckets
};

/// Subscribes the calling process to a bucket, see bucket::subscribe. Throws call_error as any call. Mirrors
/// `KV.Bucket.subscribe/1`.
inline void subscribe(const ref<bucket>& to) { to.call(&bucket::subscribe, self()); }
/// Takes that back; tells whether the calling process was subscribed.
inline bool unsubscribe(const ref<bucket>& from) { return from.call(&bucket::unsubscribe, self()); }

}  // namespace kv
