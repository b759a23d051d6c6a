// Ways for a program to end, or to begin, that a test cannot try in its own. One for each argument; tests/ends_program_test
// knows what must come of it.
#include <dlfcn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <kv/process.hpp>
#include <kv/table.hpp>
#include <kv/testing.hpp>
#include <kv/timer.hpp>

namespace {

std::atomic<int> registered = 0;

}  // namespace

/// The compiler calls this for each thread_local object that has a destructor, in place of the standard library's. Where
/// that has no memory it ends the program.
extern "C" int __cxa_thread_atexit(void (*destroy)(void*), void* object, void* home) {
  ++registered;
  static const auto next = reinterpret_cast<decltype(&__cxa_thread_atexit)>(::dlsym(RTLD_NEXT, "__cxa_thread_atexit"));
  return next(destroy, object, home);
}

namespace {

struct go_on {};
struct hello {};

const kv::runtime_options two_threads{.threads = 2, .on_report = [](const kv::report&) {}};

/// Never comes back: the process has to end the program.
[[noreturn]] void await_the_end() {
  for (;;) ::pause();
}

// Ends -----------------------------------------------------------------------------------------------------------------

/// Says so when it is destroyed with the other static objects, which is after the runtime: it was there before.
struct last_words {
  ~last_words() { std::puts("static objects are destroyed"); }
} const last;

std::optional<kv::runtime> immortal;  // a static object that holds a runtime

/// Beside the process that ends the program, on the same thread, another waits.
void run_beside_one_that_waits(kv::runtime& home, std::function<void()> end) {
  home.spawn([&home, end = std::move(end)] {
    home.spawn([me = kv::self()] {
      kv::send(me, go_on{});
      kv::receive<hello>();
    });
    kv::receive<go_on>();  // so it has waited, too
    end();
  });
}

void in_a_process(std::function<void()> end) {
  kv::runtime home({.threads = 1});
  run_beside_one_that_waits(home, std::move(end));
  await_the_end();
}

void exits_in_a_process_of_a_static_runtime() {
  immortal.emplace(two_threads);
  run_beside_one_that_waits(*immortal, [] { std::exit(3); });
  await_the_end();
}

void exits_in_a_thread_of_a_static_runtime() {
  immortal.emplace(two_threads);
  immortal->spawn_thread([] { std::exit(3); });
  await_the_end();
}

struct exits_at_end {
  bool is_armed = false;
  ~exits_at_end() {
    if (is_armed) std::exit(3);
  }
};
thread_local exits_at_end exit_of_thread;

void exits_when_a_thread_of_a_static_runtime_ends() {
  immortal.emplace(two_threads);
  immortal->spawn_thread([] { exit_of_thread.is_armed = true; });
  await_the_end();
}

struct ending_leaf {
  static constexpr bool leaf = true;
  void end() { std::exit(3); }
};

void exits_in_a_leaf_of_a_static_runtime() {
  immortal.emplace(two_threads);
  immortal->spawn<ending_leaf>().call(&ending_leaf::end);
}

void returns_while_a_static_runtime_has_processes() {
  immortal.emplace(two_threads);
  for (int i = 0; i < 10; ++i) immortal->spawn([] { kv::receive<hello>(); });
  immortal->spawn_thread([] { kv::receive<hello>(); });
}

void exits_when_a_timer_is_late() {
  const auto exit = [](const kv::report&) { std::exit(3); };  // on the thread of the timers
  immortal.emplace(kv::runtime_options{.threads = 1, .kill_timeout = std::chrono::milliseconds(1), .on_report = exit});
  std::promise<void> runs;
  const auto stubborn = immortal->spawn([&runs] {
    runs.set_value();
    await_the_end();
  });
  runs.get_future().wait();
  immortal->exit(stubborn, kv::exit_reason::kill);
  await_the_end();
}

// Overflows --------------------------------------------------------------------------------------------------------------

/// Recurses, and cannot be made a loop of.
[[gnu::noinline]] int recurse(int depth) {  // NOLINT(misc-no-recursion)
  volatile char some[1000];
  std::memset(const_cast<char*>(some), depth & 1, sizeof some);
  return depth == 0 ? some[0] : recurse(depth - 1) + some[depth % 1000];
}

constexpr int for_ever = 1'000'000'000;

struct deep {
  int dive(int depth) { return recurse(depth); }
};

struct deep_leaf {
  static constexpr bool leaf = true;
  int dive(int depth) { return recurse(depth); }
};

struct diver {
  kv::ref<deep_leaf> other;
  int dive() { return other.call(&deep_leaf::dive, for_ever); }
};

struct wide {
  int spread() {
    volatile char all[900 * 1024];  // beyond a stack of 64 KiB
    std::memset(const_cast<char*>(all), 1, sizeof all);
    return all[5];
  }
};

void call_and_say(kv::runtime& home, const std::string& name) {
  const auto d = home.spawn_named<deep>(name);
  std::printf("%d\n", d.call(&deep::dive, for_ever));
}

void overflows() {
  kv::runtime home({.threads = 1});
  call_and_say(home, "sounding line");
}

void overflows_when_another_waits() {
  kv::runtime home({.threads = 1});
  run_beside_one_that_waits(home, [&home] { home.spawn<deep>().call(&deep::dive, for_ever); });
  await_the_end();
}

void overflows_quietly() {
  kv::runtime home({.threads = 1, .explain_stack_overflow = false});
  call_and_say(home, "sounding line");
}

void overflows_in_a_leaf() {
  kv::runtime home({.threads = 1});
  const auto other = home.spawn<deep_leaf>();
  home.spawn<diver>(other).call(&diver::dive);
}

void overflows_in_one_step() {
  kv::runtime home({.threads = 1, .stack_size = 64 * 1024});
  home.spawn<wide>().call(&wide::spread);
}

void overflows_on_a_thread() {
  kv::runtime home({.threads = 1});
  home.spawn_thread([] { recurse(for_ever); });
  await_the_end();
}

void overflows_where_the_host_handles_it() {
  std::signal(SIGSEGV, [](int) { ::_exit(4); });
  kv::runtime home({.threads = 1});
  call_and_say(home, "sounding line");
}

void faults_otherwise() {
  kv::runtime home({.threads = 1});
  home.spawn([] {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
  });
  await_the_end();
}

void leaves_the_handler_as_it_was() {
  {
    const kv::runtime one({.threads = 1});
    const kv::runtime another({.threads = 1});
  }
  struct sigaction there = {};
  ::sigaction(SIGSEGV, nullptr, &there);
  std::puts(there.sa_handler == SIG_DFL ? "default" : "another");
}

// Beginnings -------------------------------------------------------------------------------------------------------------

void limit_address_space(rlim_t bytes) {
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_AS, &limit);
}

void try_to_start(const kv::runtime_options& options) {
  try {
    const kv::runtime home(options);
    std::puts("started");
  } catch (const std::exception& refusal) {
    std::puts(refusal.what());
  }
}

void has_no_threads() {
  limit_address_space(400UL << 20U);
  try_to_start({.threads = 200});
  try_to_start({.threads = 2});  // nothing is left of the first one
}

void has_no_thread_for_a_process() {
  kv::runtime home(two_threads);
  limit_address_space(800UL << 20U);
  const auto wait = [] { kv::receive<int>(); };
  try {
    for (;;) home.spawn_thread(wait);
  } catch (const std::system_error& refusal) {
    std::puts(refusal.what());
  }
  home.spawn(wait);
  std::puts("the others go on");
}

/// On a thread of each kind: the scheduler's, that of the timers, that of a process, and one that is not the library's.
void registers_no_thread_local_objects() {
  {
    kv::runtime home(two_threads);
    kv::testing::probe p(home);
    auto rows = kv::table<int, int>::create(home, {.name = {}, .access = kv::table_access::public_, .owner = p});
    const auto work = [&rows] {
      rows.insert(1, static_cast<int>(kv::random() % 2));
      rows.lookup(1);
      kv::send_after(std::chrono::nanoseconds(1), kv::self(), go_on{});
      kv::receive<go_on>();
    };
    for (const auto& [who, name] : {std::pair(home.spawn(work), "a fiber"), {home.spawn_thread(work), "a thread"}}) {
      p.monitor(who, name);
      p.expect_down(who);
    }
    p.run(work);
  }
  std::printf("%d thread_local objects to destroy\n", registered.load());
}

void has_no_stacks() {
  limit_address_space(100UL << 20U);
  try_to_start({.threads = 1, .reserved_stacks = 1000});
}

void has_the_operators_of_the_library() {
  Dl_info where = {};
  ::dladdr(::dlsym(RTLD_DEFAULT, "_Znwm"), &where);
  std::puts(std::strstr(where.dli_fname, "libstdc++") != nullptr ? "operator new of the standard library"
                                                                 : where.dli_fname);
}

using way = void (*)();
const std::map<std::string, way> ways{
    {"exit", [] { in_a_process([] { std::exit(3); }); }},
    {"quick_exit", [] { in_a_process([] { std::quick_exit(3); }); }},
    {"_Exit", [] { in_a_process([] { std::_Exit(3); }); }},
    {"abort", [] { in_a_process([] { std::abort(); }); }},
    {"exit_static", exits_in_a_process_of_a_static_runtime},
    {"exit_thread", exits_in_a_thread_of_a_static_runtime},
    {"exit_thread_local", exits_when_a_thread_of_a_static_runtime_ends},
    {"exit_leaf", exits_in_a_leaf_of_a_static_runtime},
    {"exit_report", exits_when_a_timer_is_late},
    {"return", returns_while_a_static_runtime_has_processes},
    {"overflow", overflows},
    {"overflow_beside", overflows_when_another_waits},
    {"overflow_quietly", overflows_quietly},
    {"overflow_leaf", overflows_in_a_leaf},
    {"overflow_wide", overflows_in_one_step},
    {"overflow_thread", overflows_on_a_thread},
    {"overflow_handled", overflows_where_the_host_handles_it},
    {"fault", faults_otherwise},
    {"handler", leaves_the_handler_as_it_was},
    {"no_threads", has_no_threads},
    {"no_thread_for_a_process", has_no_thread_for_a_process},
    {"thread_local_objects", registers_no_thread_local_objects},
    {"no_stacks", has_no_stacks},
    {"operators", has_the_operators_of_the_library},
};

}  // namespace

int main(int argc, char** argv) {
  const auto found = ways.find(argc == 2 ? argv[1] : "");
  if (found == ways.end()) return 2;
  found->second();
}
