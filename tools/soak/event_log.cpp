#include "soak/event_log.hpp"

#include <algorithm>

namespace kv::soak {

void event_log::handle(const created& event) {
  auto& s = stories_[event.name];
  if (s.bucket == event.bucket) {
    if (s.has_exited) found_.wrong("created of " + event.name + ' ' + to_string(event.bucket) + " after its exited");
    return;
  }
  const auto next = event.name + ' ' + to_string(event.bucket);
  if (!s.has_exited) found_.lost("no exited of " + to_string(s.bucket) + " before created of " + next);
  if (const auto known = std::ranges::find(s.awaited, event.bucket); known != s.awaited.end()) {
    for (auto missing = s.awaited.begin(); missing != known; ++missing) {
      found_.lost("no created of " + to_string(*missing) + " before created of " + next);
    }
    s.awaited.erase(s.awaited.begin(), known + 1);
  }
  s.bucket = event.bucket;
  s.has_exited = false;
}

void event_log::handle(const exited& event) {
  auto& s = stories_[event.name];
  if (s.bucket != event.bucket) {
    found_.lost("no created before exited of " + event.name + ' ' + to_string(event.bucket) +
                "; the last event was of " + to_string(s.bucket));
  }
  s.bucket = event.bucket;
  s.has_exited = true;
}

void event_log::handle(const handed_out& news) {
  auto& s = stories_[news.name];
  if (s.bucket != news.bucket) s.awaited.push_back(news.bucket);
}

void event_log::finish() {
  for (const auto& [name, s] : stories_) {
    if (!s.has_exited) found_.lost("no exited of " + name + ' ' + to_string(s.bucket) + " by the end");
    for (const auto each : s.awaited) found_.lost("no created of " + name + ' ' + to_string(each) + " by the end");
  }
}

}  // namespace kv::soak
