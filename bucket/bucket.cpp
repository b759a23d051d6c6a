#include <kv/bucket.hpp>

#include <new>
#include <ostream>

namespace kv {

std::ostream& operator<<(std::ostream& out, const bucket_changed& change) {
  out << change.key;
  return change.value ? out << " SET TO " << *change.value : out << " DELETED";
}

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
  if (watches_) tell(key, value);
}

std::optional<std::string> bucket::erase(std::string_view key) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return std::nullopt;
  std::optional<std::string> gone(std::move(entry->second));
  entries_.erase(entry);
  if (watches_) tell(key, std::nullopt);
  return gone;
}

std::vector<std::string> bucket::keys() const {
  std::vector<std::string> result;
  result.reserve(entries_.size());
  for (const auto& [key, value] : entries_) result.push_back(key);
  return result;
}

// Subscribers ------------------------------------------------------------------------------------------------------

void bucket::subscribe(pid who) {
  if (!watches_) watches_ = std::make_unique<watches>();
  const auto [row, is_new] = watches_->try_emplace(who);
  if (!is_new) return;
  try {
    row->second = detail::watch(who);
  } catch (...) {
    watches_->erase(row);
    throw;
  }
}

bool bucket::unsubscribe(pid who) {
  if (!watches_) return false;
  const auto row = watches_->find(who);
  if (row == watches_->end()) return false;
  demonitor(row->second, true);
  watches_->erase(row);
  if (watches_->empty()) watches_.reset();
  return true;
}

void bucket::handle(const down& news) {
  if (!watches_) return;
  const auto row = watches_->find(news.from);
  if (row != watches_->end() && row->second == news.ref) unsubscribe(news.from);
}

void bucket::tell(std::string_view key, std::optional<std::string_view> value) const {
  for (const auto& [who, watch] : *watches_) {
    try {
      send(who, bucket_changed{self(), std::string(key), value ? std::optional<std::string>(*value) : std::nullopt});
    } catch (const leaf_blocked&) {
      // Its mailbox is full and makes senders wait, which a bucket cannot. It must not end for that.
    } catch (const std::bad_alloc&) {
      // The change is made. What the bucket holds must not go because one who listens could not be told.
    }
  }
}

}  // namespace kv
