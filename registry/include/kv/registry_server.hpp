// The registry's process.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <kv/bucket.hpp>
#include <kv/bucket_supervisor.hpp>
#include <kv/detail/retry_timer.hpp>
#include <kv/events.hpp>
#include <kv/quarantine.hpp>
#include <kv/table.hpp>

namespace kv {

/// A bucket was created under a name.
struct created {
  std::string name;
  pid bucket;
};

/// The bucket of that name has ended, and the name is free. `noproc` when it ended while no registry watched, or there was
/// no memory to note why.
struct exited {
  std::string name;
  pid bucket;
  exit_reason reason;
};

std::ostream& operator<<(std::ostream& out, const created& event);
std::ostream& operator<<(std::ostream& out, const exited& event);

/// The way to an event manager that publishes what happens to buckets.
using registry_events = events<created, exited>;

/// Name to bucket. Public, and owned by whoever shall outlive the registry.
using names_table = table<std::string, pid>;

/// Events that are not known to have been delivered, by their number. The same.
using outbox_table = table<std::uint64_t, std::variant<created, exited>>;

/// By name, the processes that wait for a bucket of that name. The same.
using waiting_table = table<std::string, std::vector<pid>>;

/// Rows of the names table that the registry could not use. The same.
using names_quarantine = quarantine_table<std::string, pid>;

/// Says why the row of a name cannot be used; nothing when it can. Asked by the registry when it starts, of every row.
using names_validator = std::function<std::optional<std::string>(const std::string& name, pid bucket)>;

namespace detail {
/// A name that somebody waits for has been entered.
struct name_entered {};

/// A mistake that the guide makes on its way to a correct registry. Only tests bring it back, to show that they find it.
enum class registry_mistake : std::uint8_t { none, announces_before_removal };
}  // namespace detail

/// What a registry works with.
struct registry_options {
  names_table names;
  outbox_table outbox;
  waiting_table waiting;
  registry_events events;
  std::string buckets;  ///< registered name of the bucket_supervisor
  detail::registry_mistake mistake = {};
  /// Where rows go that it cannot use. Without it, those that name no bucket are removed.
  std::optional<names_quarantine> quarantine = {};
  /// May call the bucket, and wait, but not for the registry. Only with a quarantine.
  names_validator validate = {};
};

/// The one writer of the names table: it creates, watches and announces buckets. Everything it knows it can read from
/// the two tables again, so it may end at any moment and lose nothing:
///
/// (R1) An event stands in the outbox before the row it speaks of changes, and until every handler has had it.
///      So it is announced at least once, in the order of its number.
/// (R2) The row of a bucket is gone before its `exited` is announced: who hears of it finds the name free.
/// (R3) A row is only removed while it names that bucket.
/// (R4) Every row's bucket is monitored, with its name as the tag.
/// (R5) Who waits for a name stands in the table of the waiting before he looks for its row, and is told after the row is
///      entered. So he finds it, or is told.
/// (R6) A row that cannot be used is in quarantine before it is removed, and its bucket is not ended. If it names one,
///      the row's end is announced as that of a bucket is, with `quarantined: ` and why: the name is free again.
/// (R7) It waits for no client and no handler: a create that has to wait for a burial or for handlers is kept as data,
///      and a request that fails changes nothing. Only for the bucket supervisor, which starts a bucket, it waits itself.
/// (R8) Want of memory does not end it. What has happened and cannot be noted or announced is found in the tables again,
///      which is tried every 100 ms; what is asked of it meanwhile is refused.
///
/// Start it with spawn_link_named, under the name that its kv::registry is given.
class registry_server {
 public:
  static constexpr bool outlives_shortage = true;  // a request that fails for want of a resource is refused
  static constexpr bool reserved_stack = true;     // see runtime_options::reserved_stacks

  /// Takes over what the tables say: finishes what was begun, watches every row, purges what names no living bucket,
  /// puts what it cannot use into quarantine, and ends buckets that were started but never entered. O(rows). Throws
  /// std::invalid_argument for a validator without a quarantine.
  explicit registry_server(registry_options options);

  using answer = from<std::optional<ref<bucket>>>;

  /// Answers with the bucket of that name, new or not, when it is announced or cannot be now; with nothing when there is
  /// no bucket supervisor. Refuses when it cannot be started, and then nothing has changed.
  void create(answer caller, const std::string& name);
  /// Answers when all that has happened so far is announced, or cannot be now.
  void settle(from<void> caller);

  void handle(const down& news);
  void handle(const event_manager_started& news);
  void handle(const event_receipt& receipt);
  /// There may be memory for what had to wait for it.
  struct wake {};
  void handle(const wake&);
  /// A row names a dead bucket, of which no `down` has come.
  struct burial_due {
    std::string name;
    pid bucket;
  };
  void handle(const burial_due& due);
  using messages = message_types<event_manager_started, event_receipt, wake, burial_due>;

 private:
  using event = std::variant<created, exited>;

  /// Who waits until an event is announced: to hear of a bucket, or that it is.
  struct awaiting {
    std::optional<answer> creator = {};
    std::optional<from<void>> settler = {};
    std::optional<ref<bucket>> made = {};
    void tell();
  };

  void recover_outbox();
  void adopt_rows();
  bool set_aside_if_foreign(const std::string& name, pid who);
  bool set_aside_if_bad(const std::string& name, pid who);
  void end_strays();

  void find_or_start(answer& caller, const std::string& name);
  void start(answer& caller, const std::string& name);
  void enter(const std::string& name, pid bucket);
  void wake_waiting(const std::string& name);
  void wake_all();
  void wake_later() noexcept;
  void await_burial(answer& caller, const std::string& name, pid who);
  void bury(const std::string& name, pid bucket, const exit_reason& reason);
  void bury_later() noexcept;
  void bury_all();
  void has_buried(const std::string& name);

  std::uint64_t announce(event what);
  void take_back(std::uint64_t number);
  awaiting& when_announced(std::uint64_t number);
  void publish();
  bool publish_next();
  void is_announced();
  void answer_all();

  registry_options options_;
  std::unordered_map<std::string, std::vector<answer>> burials_;  // who wants a name whose bucket is to be buried first

  // What is to be announced, one event at a time, so that none overtakes another.
  std::deque<std::pair<std::uint64_t, event>> unannounced_;  // as in the outbox
  std::uint64_t last_number_ = 0;
  std::unordered_map<std::string, std::uint64_t> newest_;  // by name, the number of its last `created` among these
  std::unordered_map<std::uint64_t, std::vector<awaiting>> awaiting_;  // by number
  bool is_publishing_ = false;                                         // the first of these is with the event manager
  pid manager_ = {};
  monitor_ref manager_watch_ = {};

  detail::retry_timer again_;  // for want of memory; see wake
  bool has_unburied_ = false;  // a row names a dead bucket whose end could not be noted
  bool has_unwoken_ = false;   // a name was entered, and not everyone who waits for it could be told
};

}  // namespace kv
