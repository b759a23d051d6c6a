// A worker counts in a table, and dies in every way there is. The count goes on.
#include <iostream>
#include <stdexcept>
#include <string_view>

#include <kv/testing.hpp>

#include "counter.hpp"

namespace {

using counting::counts;
using counting::worker;
using kv::testing::kill_and_await;

// [session]
/// Somebody at a console, with the tree before him.
struct session {
  kv::ref<worker> current_worker() {
    root.call(&kv::supervisor::which_children);  // once this is answered, whoever has died is there again
    return runtime.whereis<worker>("worker").value();
  }
  void count() { std::cout << "count: " << current_worker().call(&worker::count) << '\n'; }

  kv::runtime runtime{{.on_report = [](const kv::report&) {}}};  // all these deaths are no surprise here
  kv::ref<kv::supervisor> root = counting::start(runtime);
};
// [/session]

void show_owner(const session& at) {
  const auto table = counts::find(at.runtime, "counts").value();
  const auto is = [owner = table.owner(), &at](std::string_view name) { return owner == at.runtime.whereis(name); };
  std::cout << "  the table is "
            << (!table.owner()  ? "nobody's"
                : is("manager") ? "the manager's"
                : is("worker")  ? "the worker's"
                                : "a stranger's")
            << " and says " << table.lookup("count").value() << '\n';
}

void die(session& at, const kv::exit_reason& reason) {
  const auto dying = at.current_worker();
  try {
    dying.call(&worker::die, reason);
  } catch (const kv::call_error& e) {
    std::cout << "the worker ends: " << e.reason() << '\n';
  }
}

void as_in_its_readme(session& at) {
  // [readme]
  for (int i = 0; i < 5; ++i) at.count();
  std::cout << "check: " << at.current_worker().call(&worker::check) << '\n';
  {
    const auto first = at.current_worker();
    const kv::testing::suspended late(at.runtime, at.root);  // it restarts nobody now
    kill_and_await(at.runtime, first);
    std::cout << "the worker is killed\n";
    show_owner(at);
  }
  at.count();
  at.count();
  die(at, kv::exit_reason::killed);
  at.count();
  for (int i = 0; i < 20; ++i) kill_and_await(at.runtime, at.current_worker());
  std::cout << "twenty workers are killed in a row\n";
  at.count();
  // [/readme]
}

void of_other_reasons(session& at) {
  // [reasons]
  die(at, kv::exit_reason::normal);
  die(at, kv::exit_reason::shutdown);
  die(at, kv::exit_reason::custom("tired"));
  try {
    at.current_worker().call([](worker&) { throw std::runtime_error("no flour"); });
  } catch (const kv::call_error& e) {
    std::cout << "the worker ends: " << e.reason() << '\n';
  }
  at.count();
  // [/reasons]
}

void with_the_manager(session& at) {
  // [manager]
  {
    const auto last = at.current_worker();
    const kv::testing::suspended late(at.runtime, at.root);
    kill_and_await(at.runtime, at.runtime.whereis("manager").value());
    std::cout << "the manager is killed\n";
    show_owner(at);
    last.call(&worker::count);
    show_owner(at);
    kill_and_await(at.runtime, last);
    std::cout << "and then the worker\n";
    show_owner(at);
  }
  at.count();
  // [/manager]

  // [reverse]
  {
    const auto last = at.current_worker();
    const kv::testing::suspended late(at.runtime, at.root);
    kill_and_await(at.runtime, last);
    kill_and_await(at.runtime, at.runtime.whereis("manager").value());
    std::cout << "the worker is killed and then the manager\n";
    show_owner(at);
  }
  at.count();
  // [/reverse]
}

}  // namespace

int main() {
  session at;
  as_in_its_readme(at);
  of_other_reasons(at);
  with_the_manager(at);
}
