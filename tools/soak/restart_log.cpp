#include "soak/restart_log.hpp"

namespace kv::soak {

void restart_log::note(const restart_report& entry) {
  if (!entry.new_pid) return;  // it is tried again
  ++count_;
  const std::lock_guard lock(mutex_);
  is_back_[entry.child] = true;
  changed_.notify_all();
}

void restart_log::note_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [child, is_back] : is_back_) is_back = true;
  changed_.notify_all();
}

void restart_log::forget(const std::string& child) {
  const std::lock_guard lock(mutex_);
  is_back_[child] = false;
}

void restart_log::await(const std::string& child) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_back_[child]; });
}

void pacemaker::work_done() {
  const std::lock_guard lock(mutex_);
  ++units_;
  changed_.notify_all();
}

void pacemaker::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  changed_.notify_all();
}

bool pacemaker::await(unsigned units, std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const auto enough = units_ + units;
  return changed_.wait_until(lock, deadline, [&] { return is_closed_ || units_ >= enough; }) && !is_closed_;
}

bool pacemaker::await(unsigned units) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&, enough = units_ + units] { return is_closed_ || units_ >= enough; });
  return !is_closed_;
}

}  // namespace kv::soak
