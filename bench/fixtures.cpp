#include "fixtures.hpp"

#include <limits>
#include <random>
#include <variant>

namespace kv::bench {

draws::draws() {
  std::mt19937_64 engine(1);
  std::uniform_int_distribution<std::size_t> pick(0, population_size - 1);
  names_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) names_.push_back(name_of(pick(engine)));
}

namespace {

/// The restarts are what is measured.
void report_all_but_restarts(const report& entry) {
  if (!std::holds_alternative<restart_report>(entry)) print_report(entry);
}

}  // namespace

stage::stage(unsigned threads)
    : home({.threads = threads, .on_report = report_all_but_restarts}),
      tree(start_tree(home, {.max_restarts = std::numeric_limits<unsigned>::max()})) {}

ref<bucket> stage::create(const std::string& name) const {
  const auto made = tree.registry.create(name);
  made.call(&bucket::put, entry_key, entry_value);
  return made;
}

std::optional<std::string> stage::get(const std::string& name) const {
  const auto found = find(name);
  return found ? found->call(&bucket::get, entry_key) : std::nullopt;
}

mutex_maps::bucket_ptr mutex_maps::start(const std::string& name) {
  auto made = std::make_shared<mutex_bucket>();
  const std::lock_guard lock(mutex_);
  return rows_.emplace(name, std::move(made)).first->second;
}

mutex_maps::bucket_ptr mutex_maps::create(const std::string& name) {
  auto made = start(name);
  made->put(entry_key, entry_value);
  return made;
}

bool mutex_maps::erase(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return rows_.erase(name) > 0;
}

std::optional<std::string> mutex_maps::get(const std::string& name) const {
  const auto found = find(name);
  return found ? found->get(entry_key) : std::nullopt;
}

}  // namespace kv::bench
