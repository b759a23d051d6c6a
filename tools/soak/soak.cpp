#include "soak/soak.hpp"

#include <functional>
#include <sstream>
#include <variant>

#include <kv/testing.hpp>

#include "soak/resources.hpp"

namespace kv::soak {

soak::soak(const settings& chosen, findings& found)
    : found_(found),
      home_({.threads = chosen.threads, .stack_size = stack_size, .on_report = [this](const report& r) { hear(r); }}),
      keeper_(home_.spawn<keeper>(std::ref(home_), std::ref(found_))) {
  const client::surroundings around{home_, keeper_, kills_, found_, pace_, is_over_};
  for (unsigned i = 0; i < chosen.clients; ++i) {
    clients_.push_back(std::make_unique<client>(around, i, chosen.seed));
    auto* const each = clients_.back().get();
    if (i % 2 == 0) {
      threads_.emplace_back([each] { each->run(); });
    } else {
      processes_.push_back(home_.spawn([each] { each->run(); }));
    }
  }
  const killer::surroundings world{home_, keeper_, kills_, restarts_, pace_};
  threads_.emplace_back([world, seed = chosen.seed] { killer(world, seed).run(); });
}

soak::~soak() {
  is_over_ = true;
  pace_.close();
}

void soak::hear(const report& entry) {
  if (const auto* const restart = std::get_if<restart_report>(&entry)) return restarts_.note(*restart);
  if (std::holds_alternative<start_report>(entry)) return;
  // The tables of a tree that is being killed go before its processes are told, so one may trip over that; and when it is
  // stopped in order, a client may kill a bucket that is just being stopped.
  const bool tree_dies = kills_.any_since(kills_.now(), part::tree);
  if (tree_dies && (std::holds_alternative<crash_report>(entry) || std::holds_alternative<oddity_report>(entry)))
    return;
  std::ostringstream text;  // nothing else should ever be reported
  text << entry;
  found_.wrong(text.str());
}

figures soak::so_far() const {
  figures result{.operations = 0, .kills = kills_.count(), .restarts = restarts_.count()};
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
  result.processes = home_.processes().size();
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
  // Answered after what it was about to do when the last handler was through.
  home_.whereis<registry_server>("kv.registry").value().call([](registry_server&) {});
  now.log.call(&event_log::finish);
  const auto strays =
      home_.whereis<bucket_supervisor>("kv.buckets").value().call(&bucket_supervisor::count_children).active;
  if (strays != 0) found_.lost(std::to_string(strays) + " buckets live that have no name");
  return names.size() + outbox.size();
}

}  // namespace kv::soak
