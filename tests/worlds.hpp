// Servers that stand in two runtimes.
#pragma once

#include <utility>
#include <vector>

#include <kv/testing.hpp>

#include "cues.hpp"

/// Owes answers, until it is told to give them.
class debtor {
 public:
  void owe(kv::from<int> caller) {
    owed_.push_back(std::move(caller));
    if (watcher_) kv::send(watcher_, finished{});
  }
  /// Who in this runtime is told of each debt.
  void tell(kv::pid watcher) { watcher_ = watcher; }
  std::vector<kv::from<int>> hand_over() { return std::move(owed_); }
  void pay() {
    for (auto& each : owed_) each.reply(7);
    owed_.clear();
  }

 private:
  kv::pid watcher_;
  std::vector<kv::from<int>> owed_;
};

/// Asks others, wherever they are.
struct asker {
  int add(int n) const { return n + 1; }
  int relay(kv::ref<asker> to, int n) const { return to.call(&asker::add, n) + 10; }
  int relay_twice(kv::ref<asker> first, kv::ref<asker> second, int n) const {
    return first.call(&asker::relay, second, n) + 100;
  }
};

/// Two runtimes with a thread each: whoever held up one of them would hold up all of it.
struct pair_of_worlds {
  kv::runtime x{{.threads = 1, .on_report = [](const kv::report&) {}}};
  kv::runtime y{{.threads = 1, .on_report = [](const kv::report&) {}}};
};
