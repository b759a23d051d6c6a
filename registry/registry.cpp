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

std::optional<ref<bucket>> registry::await(std::string_view name, std::chrono::nanoseconds timeout) const {
  auto found = lookup(name);
  if (found || timeout.count() <= 0) return found;
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
