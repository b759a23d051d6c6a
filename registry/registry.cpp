#include <kv/registry.hpp>

#include <algorithm>

namespace kv {

ref<bucket> registry::create(std::string_view name) const {
  if (const auto found = lookup(name)) return *found;
  const auto server = home_->whereis<registry_server>(server_);
  if (!server) throw call_error(server_);
  const auto made = server->call(&registry_server::create, name);
  if (made) return *made;
  throw registry_error("bucket " + std::string(name) + " could not be started: there is no bucket supervisor");
}

std::vector<std::pair<std::string, ref<bucket>>> registry::list() const {
  std::vector<std::pair<std::string, ref<bucket>>> result;
  for (const auto& [name, who] : names_.to_vector()) {
    if (const auto found = home_->as<bucket>(who)) result.emplace_back(name, *found);
  }
  std::ranges::sort(result, {}, [](const auto& row) -> auto& { return row.first; });
  return result;
}

}  // namespace kv
