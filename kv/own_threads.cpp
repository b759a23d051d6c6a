#include "own_threads.hpp"

#include <system_error>
#include <utility>

#include <kv/detail/core.hpp>

#include "stack_overflow.hpp"

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

/// The first thread_local object of a thread that was made for a process, and so the last one that is destroyed: the
/// thread has run all that is the user's by then.
class own_threads::farewell {
 public:
  farewell(own_threads& home, std::list<std::thread>::iterator mine) noexcept : home_(home), mine_(mine) {}
  farewell(const farewell&) = delete;
  farewell& operator=(const farewell&) = delete;
  ~farewell() {
    if (!has_ended_) return;  // the program ends, by std::exit in the process
    std::thread predecessor;
    {
      const std::lock_guard lock(home_.mutex_);
      predecessor = std::exchange(home_.last_ended_, std::move(*mine_));
      home_.running_.erase(mine_);
      home_.one_ended_.notify_all();
    }
    // From here on join() may join it. The predecessor is through, but for this very line.
    if (predecessor.joinable()) predecessor.join();
  }

  /// The process has ended.
  void may_end() noexcept { has_ended_ = true; }

 private:
  own_threads& home_;
  std::list<std::thread>::iterator mine_;
  bool has_ended_ = false;
};

void own_threads::launch(core& home, process& p, std::unique_ptr<action> start) {
  std::list<std::thread> fresh(1);
  const auto mine = fresh.begin();
  const auto live = [this, &home, &p, mine, first = start.get()] {
    static thread_local farewell last(*this, mine);
    const alternate_stack for_signals;
    const running_stack here(p);
    made_by = this;
    home.run_on_thread(p, std::unique_ptr<action>(first));
    last.may_end();
  };
  // Under the lock, so that the thread is in the list before it leaves it. What is thrown destroys nothing of the user's.
  const std::lock_guard lock(mutex_);
  *mine = start_thread(live);
  start.release();
  running_.splice(running_.end(), fresh);
}

bool own_threads::is_one() const noexcept { return made_by == this; }

void own_threads::join() noexcept {
  std::unique_lock lock(mutex_);
  one_ended_.wait(lock, [this] { return running_.empty(); });
  if (last_ended_.joinable()) last_ended_.join();
}

}  // namespace kv::detail
