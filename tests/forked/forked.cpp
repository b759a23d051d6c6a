// Forks where there is a runtime: the child leaves, in each way that is promised, and the parent goes on.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <string_view>

#include <kv/process.hpp>
#include <kv/runtime.hpp>

#include <sys/wait.h>
#include <unistd.h>

namespace {

struct counter {
  int next() { return ++value; }
  int value = 0;
};

/// Ends the program when nothing has come of it in time: a child that hangs is a failure, and no reason to wait.
constexpr unsigned patience_s = 60;

bool all_well = true;

void check(bool holds, std::string_view what) {
  if (holds) return;
  all_well = false;
  std::cerr << "failed: " << what << '\n';
}

/// Forks, and tells how the child has ended. In the child, `leave()` is called, which does or does not return.
std::optional<int> status_of_child(const std::function<void()>& leave) {
  const auto child = ::fork();
  if (child == 0) {
    ::alarm(patience_s);
    leave();
    return std::nullopt;
  }
  int status = 0;
  check(child > 0 && ::waitpid(child, &status, 0) == child, "a child is made and ends");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A runtime that lives until the statics are destroyed, in the parent and in each child.
kv::runtime& lasting() {
  static kv::runtime it({.threads = 2});
  return it;
}

constexpr int left_by_return = 5;

/// The child leaves the scope in which the runtime was made, and main() with it. Tells whether this is the child.
bool returns_in_child() {
  kv::runtime home({.threads = 2});
  const auto count = home.spawn<counter>();
  count.call(&counter::next);
  const auto status = status_of_child([] {});
  if (!status) return true;
  check(*status == left_by_return, "a child that returns ends as it says");
  check(count.call(&counter::next) == 2, "the parent of a child that returned goes on");
  return false;
}

void exits_in_child() {
  const auto count = lasting().spawn<counter>();
  check(status_of_child([] { std::exit(3); }) == 3, "a child that exits ends as it says");
  check(count.call(&counter::next) == 1, "the parent of a child that exited goes on");
}

void makes_a_runtime_in_child() {
  const auto status = status_of_child([] {
    kv::runtime own({.threads = 1});
    const auto count = own.spawn<counter>();
    std::_Exit(count.call(&counter::next) == 1 ? 4 : 1);
  });
  check(status == 4, "a child can have a runtime of its own");
}

/// What the child's copy of the process does, and what becomes of the child.
void forks_in_process(const std::function<void()>& leave, int expected, std::string_view what) {
  struct forker {
    std::optional<int> fork(const std::function<void()>& how) const { return status_of_child(how); }
  };
  const auto forks = lasting().spawn<forker>();
  const auto status = forks.call_for(kv::infinity, [leave](const forker& f) { return f.fork(leave); });
  check(status == expected, what);
  check(lasting().spawn<counter>().call(&counter::next) == 1, "the parent of a process that forked goes on");
}

}  // namespace

int main() {
  ::alarm(2 * patience_s);
  if (returns_in_child()) return left_by_return;
  exits_in_child();
  makes_a_runtime_in_child();
  forks_in_process([] { ::_exit(6); }, 6, "a child of a process that leaves by _exit() ends as it says");
  forks_in_process([] { ::execl("/bin/sh", "sh", "-c", "exit 7", nullptr); }, 7, "a child of a process can exec()");
  forks_in_process([] {}, EXIT_FAILURE, "a child that comes back to the scheduler is ended");
  forks_in_process([] { kv::receive<int>(); }, EXIT_FAILURE, "a child that waits is ended");
  return all_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
