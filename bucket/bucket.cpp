#include <kv/bucket.hpp>

namespace kv {

std::optional<std::string> bucket::get(std::string_view key) const {
  const auto entry = entries_.find(key);
  return entry == entries_.end() ? std::nullopt : std::optional(entry->second);
}

void bucket::put(std::string_view key, std::string_view value) {
  const auto entry = entries_.lower_bound(key);
  if (entry != entries_.end() && entry->first == key) {
    entry->second = value;
  } else {
    entries_.emplace_hint(entry, key, value);
  }
}

std::optional<std::string> bucket::erase(std::string_view key) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return std::nullopt;
  std::optional<std::string> gone(std::move(entry->second));
  entries_.erase(entry);
  return gone;
}

std::vector<std::string> bucket::keys() const {
  std::vector<std::string> result;
  result.reserve(entries_.size());
  for (const auto& [key, value] : entries_) result.push_back(key);
  return result;
}

}  // namespace kv
