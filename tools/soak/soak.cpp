#include "soak/soak.hpp"

#include <functional>
#include <sstream>
#include <variant>

#include <kv/testing.hpp>

#include "soak/excuses.hpp"
#include "soak/resources.hpp"
#include "soak/shortage.hpp"

namespace kv::soak {

namespace {

/// A client as a process: a message for each unit of its work, so that others get their turn also while there is no
/// stack to wait on.
class worker_process {
 public:
  struct go_on {};
  using messages = message_types<go_on>;

  explicit worker_process(client& who) : client_(who) { send(self(), go_on{}); }

  void handle(const go_on& more) {
    client_.work();
    if (client_.is_over()) exit(exit_reason::normal);
    send(self(), more);
  }

 private:
  client& client_;
};

}  // namespace

soak::soak(const settings& chosen, findings& found)
    : found_(found),
      home_({.threads = chosen.threads,
             .stack_size = stack_size,
             .max_stacks = max_stacks,
             .on_report = [this](const report& r) { hear(r); }}),
      keeper_(home_.spawn<keeper>(keeper::surroundings{home_, found_, kills_, restarts_, ears_})) {
  const client::surroundings around{home_, keeper_, kills_, found_, pace_, is_over_};
  for (unsigned i = 0; i < chosen.clients; ++i) {
    const bool is_process = i % 2 == 1;
    clients_.push_back(std::make_unique<client>(around, i, chosen.seed, is_process));
    auto* const each = clients_.back().get();
    if (is_process) {
      processes_.push_back(home_.spawn<worker_process>(std::ref(*each)));
    } else {
      threads_.emplace_back([each] { each->run(); });
    }
  }
  const killer::surroundings world{home_, keeper_, kills_, restarts_, pace_, found_, ears_, chosen.shortages};
  threads_.emplace_back([world, seed = chosen.seed] { killer(world, seed).run(); });
}

soak::~soak() {
  is_over_ = true;
  pace_.close();
}

void soak::hear(const report& entry) {
  const shortage::exemption of_the_model;
  if (const auto* const restart = std::get_if<restart_report>(&entry)) return restarts_.note(*restart);
  if (std::holds_alternative<handler_report>(entry)) ears_.is_removed = true;
  if (std::holds_alternative<start_report>(entry) || may_be_reported(kills_, entry)) return;
  std::ostringstream text;  // nothing else should ever be reported
  text << entry;
  found_.wrong(text.str());
}

figures soak::so_far() const {
  figures result{
      .operations = 0, .kills = kills_.kills(), .shortages = kills_.shortages(), .restarts = restarts_.count()};
  for (const auto& c : clients_) result.operations += c->measured().operations.load(std::memory_order_relaxed);
  return result;
}

void soak::collect(histogram& sum, measurements::split measurements::* part,
                   histogram measurements::split::* weather) const {
  for (const auto& c : clients_) sum += c->measured().*part.*weather;
}

leftovers soak::stop() {
  end_clients();
  leftovers result;
  try {
    result.rows = end_buckets();
  } catch (const testing::expectation_failed& e) {
    found_.lost(e.what());
  }
  keeper_.call_for(infinity, &keeper::close);
  keeper_.stop();
  result.processes = count_leaked_processes();
  for (const auto& table : all_tables(home_)) result.rows += table.size;
  return result;
}

void soak::end_clients() {
  testing::probe watcher(home_);
  for (const auto each : processes_) watcher.monitor(each);
  is_over_ = true;
  pace_.close();
  threads_.clear();
  for (const auto each : processes_) watcher.expect_down(each);
}

/// Some may be on their way out, as what ends with a tree and is not awaited.
std::size_t soak::count_leaked_processes() {
  std::size_t result = 0;
  const auto left = home_.processes();
  testing::probe watcher(home_);
  for (const auto each : left) watcher.monitor(each);
  for (const auto each : left) {
    try {
      watcher.expect_down(each);
    } catch (const testing::expectation_failed&) {
      ++result;
    }
  }
  return result;
}

/// Kills every bucket and waits for its `exited`; returns how many rows there are then.
std::size_t soak::end_buckets() {
  const auto now = keeper_.call_for(infinity, &keeper::current);
  const auto names = names_table::find(home_, "kv.names").value();
  const auto outbox = outbox_table::find(home_, "kv.outbox").value();
  testing::probe ears(home_);
  now.tree.events.forward_to(ears);
  for (const auto& [name, who] : names.to_vector()) {
    home_.exit(who, exit_reason::kill);
    ears.expect_if<exited>([bucket = who](const exited& e) { return e.bucket == bucket; });
  }
  // Answered when nothing is left to be announced.
  home_.whereis<registry_server>("kv.registry").value().call_for(infinity, &registry_server::settle);
  now.log.call(&event_log::finish);
  const auto strays =
      home_.whereis<bucket_supervisor>("kv.buckets").value().call(&bucket_supervisor::count_children).active;
  if (strays != 0) found_.lost(std::to_string(strays) + " buckets live that have no name");
  return names.size() + outbox.size();
}

}  // namespace kv::soak
