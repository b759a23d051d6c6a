// How somebody waits for a name.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <kv/process.hpp>
#include <kv/registry_server.hpp>

namespace kv::detail {

/// A process that stands in the table of those who wait for a name, until the registry tells it that the name has been
/// entered. Then it ends, which its monitor hears of: so nothing is ever sent to the waiting process that could come too
/// late and be found by somebody else. It ends with the names, too.
class name_watch {
 public:
  static constexpr bool leaf = true;

  name_watch(const names_table& names, waiting_table waiting, std::string name);
  name_watch(const name_watch&) = delete;
  name_watch& operator=(const name_watch&) = delete;
  ~name_watch();

  void handle(const name_entered&) { exit(exit_reason::normal); }
  void handle(const down&) { exit(exit_reason::normal); }
  using messages = message_types<name_entered>;

 private:
  waiting_table waiting_;
  std::string name_;
};

/// The calling process watches a name for a scope. When that ends, by whatever way, nothing of it is left behind.
class watching_name {
 public:
  watching_name(runtime& home, const names_table& names, const waiting_table& waiting, std::string_view name);
  watching_name(const watching_name&) = delete;
  watching_name& operator=(const watching_name&) = delete;
  ~watching_name();

  /// Waits until the name has been entered since this began; false when it was not in time. To be called once.
  bool wait_until(time_point deadline);

 private:
  watching_name(core& home, ref<name_watch> watch) : home_(home), watch_(watch) {}

  core& home_;
  const ref<name_watch> watch_;
  std::unique_ptr<signal> kill_ = std::make_unique<exit_notice>(signal::op::exit, self(), exit_reason::kill);
  monitor_ref monitor_ = {};
  bool has_ended_ = false;
};

}  // namespace kv::detail
