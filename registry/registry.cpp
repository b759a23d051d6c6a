#include <kv/registry.hpp>

#include <algorithm>

#include <kv/detail/caller.hpp>

#include "name_watch.hpp"

namespace kv {

ref<bucket> registry::create(std::string_view name) const {
  if (const auto found = lookup(name)) return *found;
  const auto server = home_->whereis<registry_server>(server_);
  if (!server) throw call_error(server_);
  const auto made = server->call(&registry_server::create, name);
  if (made) return *made;
  throw registry_error("bucket " + std::string(name) + " could not be started: there is no bucket supervisor");
}

namespace {

/// Waits in place of a process of another runtime, which then waits for it as for any call. Ends with it.
class deputy {
 public:
  explicit deputy(runtime& home) : home_(home), at_work_(home.spawn<nothing>()) {}
  deputy(const deputy&) = delete;
  deputy& operator=(const deputy&) = delete;
  ~deputy() { home_.exit(at_work_, exit_reason::kill); }

  template <class F>
  auto run(F function) const {
    return at_work_.call_for(infinity, [function](nothing&) { return function(); });
  }

 private:
  struct nothing {};

  runtime& home_;
  const ref<nothing> at_work_;
};

}  // namespace

std::optional<ref<bucket>> registry::await(std::string_view name, std::chrono::nanoseconds timeout) const {
  auto found = lookup(name);
  if (found || timeout.count() <= 0) return found;
  if (&home_->core().waits_at("wait for a name") != &home_->core()) {
    return deputy(*home_).run([*this, text = std::string(name), timeout] { return await(text, timeout); });
  }
  const detail::caller who(home_->core());
  const detail::run_as as(who.self());
  const auto deadline = home_->core().deadline_after(timeout);
  bool in_time = true;
  while (!found && in_time) {
    detail::watching_name watch(*home_, names_, waiting_, name);
    found = lookup(name);  // which may have come before the watch began
    if (found) break;
    in_time = watch.wait_until(deadline);
    found = lookup(name);  // nothing when it has died again: then its successor is waited for
  }
  return found;
}

std::vector<std::string> registry::keys(pid who) const {
  std::vector<std::string> result;
  if (!home_->alive(who)) return result;
  names_.for_each([&](const std::string& name, pid bucket) {
    if (bucket == who) result.push_back(name);
  });
  std::ranges::sort(result);
  return result;
}

handler_id registry::listen(std::string name, pid who) const {
  return events_.forward_to(who, [name = std::move(name)](const auto& event) { return event.name == name; });
}

bool registry::unlisten(handler_id id) const { return events_.remove(id); }

}  // namespace kv
