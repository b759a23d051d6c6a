#include "soak/starver.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include <kv/testing.hpp>

#include "soak/resources.hpp"
#include "soak/shortage.hpp"

namespace kv::soak {

namespace {

constexpr unsigned longest = 20;  // units of work
constexpr auto longest_without_memory = std::chrono::milliseconds(300);

}  // namespace

// Hogs -----------------------------------------------------------------------------------------------------------

void hogs::add(unsigned count) {
  {
    const std::lock_guard lock(mutex_);
    living_ += count;
  }
  for (unsigned i = 0; i < count; ++i) all_.push_back(home_.spawn([this] { hold(); }));
}

void hogs::hold() {
  bool is_refused = false;
  try {
    receive([](const let_go&) {});
  } catch (const out_of_stacks&) {
    is_refused = true;
  }
  ended(is_refused);
}

void hogs::ended(bool for_want_of_a_stack) {
  const std::lock_guard lock(mutex_);
  --living_;
  is_refused_ |= for_want_of_a_stack;
  changed_.notify_all();
}

void hogs::await_refusal() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_refused_; });
}

void hogs::release() {
  for (const auto each : all_) home_.send(each, let_go{});
  all_.clear();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return living_ == 0; });
  is_refused_ = false;
}

// Shortages ------------------------------------------------------------------------------------------------------

void starver::run_short_of_each() {
  for (const auto what : in_.shortages) run_short_of(what);
}

void starver::run_short_of_one() {
  if (in_.shortages.empty()) return;
  run_short_of(in_.shortages.at(pick(static_cast<unsigned>(in_.shortages.size()))));
}

void starver::run_short_of(part what) {
  if (what == part::stacks) return run_short_of_stacks();
  if (!shortage::is_obeyed()) return;
  what == part::memory ? run_short_of_memory() : run_short_of_threads();
}

void starver::run_short_of_stacks() {
  std::vector<part> victims{part::events, part::buckets, part::registry};
  std::ranges::shuffle(victims, random_);
  victims.resize(pick(4));
  in_.kills.begin(part::stacks);
  hogs_.add(max_stacks + 64);
  hogs_.await_refusal();
  const auto killed = killer::kill(in_, victims);
  for (auto left = 1 + pick(longest); left > 0 && in_.pace.await(1); --left) hogs_.add(16);
  // After the stacks are there again, so that a tree that needs one of them is found and nothing hangs.
  hogs_.release();
  in_.keeper.call_for(infinity, &keeper::mend);
  killer::await_return(in_, killed);
  in_.kills.end(part::stacks);
}

void starver::run_short_of_memory() {
  static constexpr std::array<unsigned, 4> rates{16, 64, 256, 1024};
  static constexpr std::array names{"kv.events", "kv.buckets", "kv.registry", "kv"};
  in_.kills.begin(part::memory);
  shortage::of_memory(rates.at(pick(rates.size())));
  // Not for long, because all who wait for an event that there is no memory for do no work meanwhile.
  const auto end = std::chrono::steady_clock::now() + longest_without_memory;
  for (auto left = 1 + pick(longest); left > 0 && in_.pace.await(1, end); --left) {
    // Not the way of the other kills, because what is to be back may be gone with the whole tree.
    const auto victim = pick(4) == 0 ? in_.home.whereis(names.at(pick(names.size()))) : std::nullopt;
    if (victim) in_.home.exit(*victim, exit_reason::kill);
  }
  shortage::of_memory(0);
  await_whole_tree();
  in_.keeper.call_for(infinity, &keeper::renew_handler);
  in_.kills.end(part::memory);
}

/// Each part is there, and through with what it was doing.
void starver::await_whole_tree() {
  for (;;) {
    in_.keeper.call_for(infinity, &keeper::mend);
    const auto world = in_.keeper.call_for(infinity, &keeper::current);
    try {
      const auto children = world.tree.root.call_for(infinity, &supervisor::which_children);
      if (!std::ranges::all_of(children, [](const child_info& c) { return bool(c.who); })) continue;
      const auto registry = in_.home.whereis<registry_server>("kv.registry");
      const auto buckets = in_.home.whereis<bucket_supervisor>("kv.buckets");
      if (!registry || !buckets) continue;
      registry->call_for(infinity, [](registry_server&) {});
      buckets->call_for(infinity, &bucket_supervisor::count_children);
      static_cast<void>(world.tree.events.count());
      return;
    } catch (const call_error&) {
      // One has just ended.
    }
  }
}

void starver::run_short_of_threads() {
  in_.kills.begin(part::threads);
  shortage::of_threads(true);
  refuse_handler();
  const auto runner = in_.keeper.call_for(infinity, &keeper::runner_of_handler);
  const bool needs_another = pick(2) == 0;
  const auto killed = killer::kill(in_, {part::events});
  if (needs_another) testing::kill_and_await(in_.home, runner);
  for (auto left = 1 + pick(longest); left > 0 && in_.pace.await(1); --left) continue;
  shortage::of_threads(false);
  killer::await_return(in_, killed);
  check_hearing();
  in_.kills.end(part::threads);
}

/// Who wants to add a handler now is told so, and nothing else has happened.
void starver::refuse_handler() {
  const auto events = in_.keeper.call_for(infinity, &keeper::current).tree.events;
  const auto count = events.count();
  const auto manager = events.manager_pid();
  try {
    const auto added = events.add_handler([](const created&) {});
    events.remove(added);
    in_.found.wrong("a handler was added without a thread for it");
  } catch (const std::exception& e) {
    const std::string what = e.what();
    if (events.manager_pid() != manager)
      return in_.found.wrong("add_handler without a thread ended the manager: " + what);
    if (events.count() != count) in_.found.wrong("add_handler without a thread threw and left a handler: " + what);
  }
}

/// The handler hears what happens, or it was reported as removed: then it is added again.
void starver::check_hearing() {
  const auto before = in_.ears.events.load();
  const auto end = std::chrono::steady_clock::now() + testing::patience;
  while (std::chrono::steady_clock::now() < end) {
    if (in_.ears.is_removed) return in_.keeper.call_for(infinity, &keeper::renew_handler);
    if (in_.ears.events != before || !in_.pace.await(1)) return;
  }
  in_.found.lost("the handler hears nothing after a shortage of threads, and no report says that it was removed");
  in_.keeper.call_for(infinity, &keeper::renew_handler);
}

}  // namespace kv::soak
