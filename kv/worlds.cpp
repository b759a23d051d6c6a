#include "worlds.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include <pthread.h>
#include <unistd.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <kv/runtime.hpp>

#include "names.hpp"
#include "timer_queue.hpp"

namespace kv::detail {

namespace {

struct world {
  core* home;
  unsigned visitors = 0;
  bool is_ending = false;
};

struct directory {
  std::mutex mutex;  // of what follows; nobody else's code runs under it
  std::condition_variable is_empty;
  boost::unordered_flat_map<std::uint32_t, world> living;
  std::uint32_t last = 0;
  std::vector<core*> retired;  // with room for all that live
};

/// Never destroyed: a static runtime may end after everything else.
directory& all() {
  static auto& it = *new directory;
  return it;
}

// Written by the one thread that a child of fork() has, before it goes on; orders nothing.
constinit std::atomic<unsigned> fork_count{0};

/// Nobody else is in the directory when the program forks: so the child can use it for runtimes of its own.
void prepare_for_forks() {
  static const int registered = pthread_atfork([] { all().mutex.lock(); }, [] { all().mutex.unlock(); },
                                               [] {
                                                 fork_count.fetch_add(1, std::memory_order_relaxed);
                                                 all().mutex.unlock();
                                               });
  static_cast<void>(registered);  // without it, a runtime in a child of fork() still ends; see ~runtime
}

}  // namespace

std::unique_ptr<core, core_end> worlds::open(const runtime_options& options) {
  auto& here = all();
  core* place = nullptr;
  {
    const std::lock_guard lock(here.mutex);
    here.retired.reserve(here.living.size() + here.retired.size() + 1);
    if (!here.retired.empty()) {
      place = here.retired.back();
      here.retired.pop_back();
    }
  }
  std::allocator<core> memory;
  if (place == nullptr) {
    place = memory.allocate(1);
  } else {
    std::destroy_at(place);
  }
  try {
    return std::unique_ptr<core, core_end>(std::construct_at(place, options));
  } catch (...) {
    memory.deallocate(place, 1);
    throw;
  }
}

void core_end::operator()(core* what) const noexcept {
  what->retire();
  auto& here = all();
  const std::lock_guard lock(here.mutex);
  here.retired.push_back(what);
}

std::uint32_t worlds::enter(core& home) {
  prepare_for_forks();
  auto& here = all();
  const std::lock_guard lock(here.mutex);
  const auto node = here.last + 1;
  here.living.emplace(node, world{&home});
  return here.last = node;
}

void worlds::leave(std::uint32_t node) noexcept {
  auto& here = all();
  std::unique_lock lock(here.mutex);
  const auto mine = here.living.find(node);
  if (mine == here.living.end()) return;
  mine->second.is_ending = true;
  here.is_empty.wait(lock, [&] { return here.living.find(node)->second.visitors == 0; });
  here.living.erase(node);
}

bool worlds::is_alive(std::uint32_t node) noexcept {
  auto& here = all();
  const std::lock_guard lock(here.mutex);
  const auto found = here.living.find(node);
  return found != here.living.end() && !found->second.is_ending;
}

unsigned worlds::forks() noexcept { return fork_count.load(std::memory_order_relaxed); }

void worlds::end_child() noexcept {
  constexpr std::string_view text =
      "kv: a child of fork() inside a process has come back to the scheduler, whose other threads it does not have, "
      "and "
      "ends; it should have left by _exit() or exec() before its callback returned or waited\n";
  static_cast<void>(
      !::write(STDERR_FILENO, text.data(), text.size()));  // no stream: another thread may have held its lock
  ::_exit(EXIT_FAILURE);
}

visit::visit(std::uint32_t node) noexcept : node_(node), home_(nullptr) {
  auto& here = all();
  const std::lock_guard lock(here.mutex);
  const auto found = here.living.find(node);
  if (found == here.living.end() || found->second.is_ending) return;
  ++found->second.visitors;
  home_ = found->second.home;
}

visit::~visit() {
  if (home_ == nullptr) return;
  auto& here = all();
  const std::lock_guard lock(here.mutex);
  auto& left = here.living.find(node_)->second;
  // Under the lock, so that the runtime cannot see zero, return and let the directory be used again before this.
  if (--left.visitors == 0 && left.is_ending) here.is_empty.notify_all();
}

// What a core does at the border ----------------------------------------------------------------------------------

core& core::waits_at(const char* verb) {
  if (current_process == nullptr) return *this;
  refuse_to_block(*current_process, verb);
  auto& home = *current_process->home;
  return is_simulated_ || home.is_simulated_ ? *this : home;
}

void core::retire() noexcept {
  worlds::leave(node_);
  node_ = nowhere;
  is_simulated_ = false;
  // What may be the users', in the order in which it would be destroyed. The tables are dropped, and stay to say so.
  executor_.reset();
  timers_.reset();
  names_.reset();
  slots_.clear();
  sink_ = nullptr;
}

void post(pid to, message_ptr& what, executor::urgency how) noexcept {
  const visit home(to.node);
  if (home) home->try_deliver(to, what, how);
}

}  // namespace kv::detail
