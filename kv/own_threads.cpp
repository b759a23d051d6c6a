#include "own_threads.hpp"

#include <system_error>
#include <utility>

#include <kv/detail/core.hpp>

#include "stack_overflow.hpp"
#include "thread_key.hpp"

namespace kv::detail {

namespace {

/// Whose thread this is, if it is one of a process. Set once, at its start.
constinit thread_local const own_threads* made_by = nullptr;

/// Throws a system_error that says what was refused.
template <class F>
std::thread start_thread(const F& live) {
  try {
    return std::thread(live);
  } catch (const std::system_error& e) {
    throw std::system_error(e.code(), "no thread for a process that needs one of its own (kv::spawn_thread)");
  }
}

}  // namespace

void own_threads::leave(void* who) noexcept {
  auto& self = *static_cast<member*>(who);
  auto& home = self.home;
  std::thread predecessor;
  {
    const std::lock_guard lock(home.mutex_);
    predecessor = std::exchange(home.last_ended_, std::move(self.thread));
    home.running_.erase(self.place);
    home.one_ended_.notify_all();
  }
  // From here on join() may join this thread. The predecessor has at most this line, and other keys, to go.
  if (predecessor.joinable()) predecessor.join();
}

void own_threads::launch(core& home, process& p, std::unique_ptr<action> start) {
  static const auto key = make_thread_key(&leave, "processes that need a thread of their own");
  std::list<member> fresh;
  auto& added = fresh.emplace_back(*this);
  added.place = fresh.begin();
  const auto live = [this, &home, &p, &added, first = start.get()] {
    const alternate_stack for_signals;
    const running_stack here(p);
    made_by = this;
    home.run_on_thread(p, std::unique_ptr<action>(first));
    // Not reached when the process ends the program. Beyond a program's first 32 keys this needs memory: without any, the
    // thread counts as ended before its thread_local objects are destroyed.
    if (pthread_setspecific(key, &added) != 0) leave(&added);
  };
  // Under the lock, so that the thread is in the list before it leaves it. What is thrown destroys nothing of the user's.
  const std::lock_guard lock(mutex_);
  added.thread = start_thread(live);
  start.release();
  running_.splice(running_.end(), fresh);
}

bool own_threads::is_one() const noexcept { return made_by == this; }

void own_threads::join() noexcept {
  std::unique_lock lock(mutex_);
  one_ended_.wait(lock, [this] { return running_.empty(); });
  auto last = std::move(last_ended_);
  lock.unlock();
  if (last.joinable()) last.join();
}

}  // namespace kv::detail
