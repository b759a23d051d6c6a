#include "soak/client.hpp"

#include <algorithm>

namespace kv::soak {

namespace {

constexpr unsigned own_names = 16;
constexpr unsigned shared_names = 8;
constexpr unsigned unit_of_work = 256;  // operations

/// What every value for that key of that bucket begins with.
std::string prefix_of(pid bucket, const std::string& name, const std::string& key) {
  return to_string(bucket) + ' ' + name + ' ' + key + ' ';
}

bool is_table_gone(const table_error& e) { return e.why() == table_error::code::no_table; }

}  // namespace

client::client(const surroundings& where, unsigned number, std::uint64_t seed, bool is_process)
    : in_(where), number_(number), is_process_(is_process), random_(seed + number) {
  for (unsigned i = 0; i < own_names; ++i) {
    records_.push_back({.name = "own-" + std::to_string(number) + '-' + std::to_string(i)});
  }
  for (unsigned i = 0; i < shared_names; ++i) {
    records_.push_back({.name = "shared-" + std::to_string(i), .is_shared = true});
  }
}

void client::run() {
  while (!in_.is_over) work();
}

void client::work() {
  refresh();
  for (unsigned i = 0; i < unit_of_work && world_ && !in_.is_over; ++i) {
    step();
    measured_.operations.store(++done_, std::memory_order_relaxed);
  }
  in_.pace.work_done();
}

void client::refresh() {
  const auto then = in_.kills.now();
  try {
    world_ = in_.keeper.call_for(infinity, &keeper::current);
    world_taken_ = then;
  } catch (const out_of_stacks& e) {
    if (!is_process_ || !in_.kills.any_since(then, part::stacks)) in_.found.wrong(std::string("refresh: ") + e.what());
  }
}

void client::step() {
  auto& r = records_[pick(own_names + shared_names)];
  try {
    operate(r);
  } catch (const table_error& e) {
    if (!is_table_gone(e) || !in_.kills.may_have_ended_since(world_taken_, part::tree))
      wrong(r, std::string("table: ") + e.what());
    refresh();
  } catch (const std::exception& e) {
    wrong(r, std::string("unexpected exception: ") + e.what());
  }
}

void client::operate(record& r) {
  const auto chance = pick(100);
  if (chance < 20) return static_cast<void>(look_up(r));
  if (chance < 55) return get(r);
  if (chance < 80) return put(r);
  if (chance < 86) return erase(r);
  if (chance < 89) return inspect(r);
  if (chance < 97) return create(r);
  return chance < 99 ? stop(r) : kill(r);
}

// Names ----------------------------------------------------------------------------------------------------------

std::optional<ref<bucket>> client::look_up(record& r) {
  const auto then = in_.kills.now();
  const auto start = std::chrono::steady_clock::now();
  const auto found = world_->tree.registry.lookup(r.name);
  measure(measured_.lookup, start, then);
  if (found && found->id() == r.dead) wrong(r, "lookup answers a bucket that was dead before");
  if (r.is_shared) {
    r.who = found.value_or(ref<bucket>());
  } else if (found && *found != r.who) {
    if (!r.unsettled) wrong(r, "lookup answers " + to_string(found->id()) + ", which nobody created");
    adopt(r, *found, r.unsettled.value_or(then));
  } else if (!found && r.who) {
    see_dead(r, "lookup finds nothing");
  }
  if (!r.is_open) r.unsettled.reset();
  return found;
}

void client::create(record& r) {
  const auto start = in_.kills.now();
  try {
    return try_to_create(r, start);
  } catch (const registry_error& e) {
    if (!in_.kills.may_have_ended_since(start, part::buckets)) {
      wrong(r, std::string("create: ") + e.what() + "; " + in_.kills.text(start));
    }
    r.is_open = false;
  } catch (const call_error& e) {
    const bool is_late = e.why() == call_error::code::timeout;
    if (!(is_late ? in_.kills.any_since(start, part::memory) : in_.kills.may_have_ended_since(start, part::registry))) {
      wrong(r, std::string("create: ") + e.what() + "; " + in_.kills.text(start));
    }
    r.is_open = is_late;
  } catch (const out_of_stacks&) {
    no_stack(r, "create", start);
    r.is_open = true;
  }
  // Whoever failed is dead, or has said that there is none: what the table says now is what it has come to.
  if (!r.unsettled) r.unsettled = start;
  look_up(r);
}

void client::try_to_create(record& r, const calamities::moment& start) {
  if (!r.is_open) return adopt(r, world_->tree.registry.create(r.name), start);
  // Not by way of the table: an answer of the registry's own says that it is through with what it was asked before.
  const auto server = in_.home.whereis<registry_server>("kv.registry");
  if (!server) throw call_error("kv.registry");
  const auto made = server->call(&registry_server::create, r.name);
  if (!made) throw registry_error("there is no bucket supervisor");
  adopt(r, *made, r.unsettled.value_or(start));
  r.is_open = false;
  r.unsettled.reset();
}

/// A request could not be waited for.
void client::no_stack(const record& r, const char* verb, const calamities::moment& then) {
  if (is_process_ && in_.kills.any_since(then, part::stacks)) return;
  wrong(r, std::string(verb) + ": out of stacks; " + in_.kills.text(then));
}

void client::adopt(record& r, ref<bucket> who, const calamities::moment& start) {
  if (who.id() == r.dead) wrong(r, "create answers a bucket that was dead before");
  if (r.who == who) return;
  if (r.who && !r.is_shared) see_dead(r, "its name stands for another");
  r.who = who;
  if (r.is_shared) return;
  r.born = start;
  world_->log.send(handed_out{r.name, who});
}

// Buckets --------------------------------------------------------------------------------------------------------

/// Talks to the bucket, if it is known, and finds out why it does not answer. False when it may answer later.
template <class F>
bool client::talk(record& r, const char* verb, F conversation) {
  if (!r.who) return true;
  const auto then = in_.kills.now();
  try {
    conversation();
  } catch (const call_error& e) {
    // Refused for want of memory: it lives, and nothing has changed.
    const bool is_refused = e.why() == call_error::code::exited && e.reason() == exit_reason::out_of_memory() &&
                            r.who.alive() && in_.kills.any_since(then, part::memory);
    if (is_refused) return true;
    const bool says_dead = e.why() == call_error::code::noproc || e.why() == call_error::code::exited;
    if (!says_dead) wrong(r, std::string(verb) + ": " + e.what());
    if (says_dead) see_dead(r, e.what());
  } catch (const out_of_stacks&) {
    no_stack(r, verb, then);
    return false;
  }
  return true;
}

void client::see_dead(record& r, const char* how) {
  // Where the whole tree was killed, the next one may be there before the last bucket of the old one has heard of it.
  const bool may_live = in_.kills.may_have_ended_since(r.born, part::tree);
  if (r.who.alive() && !may_live) wrong(r, std::string(how) + ", but the bucket lives");
  if (!r.is_shared && !r.is_doomed && !in_.kills.may_have_ended_since(r.born, part::buckets)) {
    in_.found.lost(std::string(how) + ", and nobody has killed the bucket; " + describe(r));
  }
  r.dead = r.who;
  r.who = {};
  r.content.clear();
  r.unsure.clear();
  r.is_doomed = false;
}

void client::get(record& r) {
  const auto found = pick(2) == 0 ? look_up(r) : std::optional(r.who);
  if (!found || !*found) return;
  const auto key = some_key();
  talk(r, "get", [&] {
    const auto then = in_.kills.now();
    const auto start = std::chrono::steady_clock::now();
    const auto said = r.who.call(&bucket::get, key);
    measure(measured_.get, start, then);
    judge(r, key, said);
    settle(r, key, said);
  });
}

void client::judge(const record& r, const std::string& key, const std::optional<std::string>& said) {
  if (r.is_shared) {
    if (said && !said->starts_with(prefix_of(r.who, r.name, key))) wrong(r, "get " + key + " answers " + *said);
    return;
  }
  const auto entry = r.content.find(key);
  const auto expected = entry == r.content.end() ? std::nullopt : std::optional(entry->second);
  const auto [first, last] = r.unsure.equal_range(key);
  if (said == expected || std::any_of(first, last, [&](const auto& other) { return other.second == said; })) return;
  const auto text =
      key + " answers '" + said.value_or("(nothing)") + "', expected '" + expected.value_or("(nothing)") + "'";
  if (expected && !said) return in_.found.lost(text + "; " + describe(r));
  wrong(r, text);
}

/// It is known what the key holds.
void client::settle(record& r, const std::string& key, const std::optional<std::string>& value) {
  if (r.is_shared) return;
  r.unsure.erase(key);
  if (value) {
    r.content[key] = *value;
  } else {
    r.content.erase(key);
  }
}

void client::put(record& r) {
  const auto key = some_key();
  const auto value = fresh_value(r, key);
  const bool is_sure = talk(r, "put", [&] {
    r.who.call(&bucket::put, key, value);
    settle(r, key, value);
  });
  if (!is_sure && !r.is_shared) r.unsure.emplace(key, value);
}

void client::erase(record& r) {
  const auto key = some_key();
  const bool is_sure = talk(r, "erase", [&] {
    judge(r, key, r.who.call(&bucket::erase, key));
    settle(r, key, std::nullopt);
  });
  if (!is_sure && !r.is_shared) r.unsure.emplace(key, std::nullopt);
}

void client::inspect(record& r) {
  talk(r, "keys", [&] {
    auto keys = r.who.call(&bucket::keys);
    if (r.is_shared) return;
    std::vector<std::string> expected;
    for (const auto& [key, value] : r.content) expected.push_back(key);
    for (auto* const each : {&keys, &expected}) {
      std::erase_if(*each, [&](const auto& key) { return r.unsure.contains(key); });
    }
    if (keys != expected) {
      wrong(r, "the keys of the bucket, which are " + std::to_string(keys.size()) + ", are others");
    }
  });
}

void client::stop(record& r) {
  talk(r, "stop", [&] {
    r.is_doomed = true;
    r.who.stop();
    see_dead(r, "stop returned");
  });
}

void client::kill(record& r) {
  if (!r.who) return;
  r.is_doomed = true;
  in_.home.exit(r.who, exit_reason::kill);
}

// Words and figures ----------------------------------------------------------------------------------------------

void client::measure(measurements::split& where, time_point start, const calamities::moment& then) {
  const auto time = std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
  auto& which = in_.kills.any_since(then) ? where.stormy : where.calm;
  which.record(static_cast<std::uint64_t>(time));
}

std::string client::fresh_value(const record& r, const std::string& key) {
  return prefix_of(r.who, r.name, key) + std::to_string(number_) + '.' + std::to_string(++values_);
}

std::string client::describe(const record& r) const {
  return "client " + std::to_string(number_) + ", bucket " + r.name + ' ' + to_string(r.who) + " with " +
         std::to_string(r.content.size()) + " entries" + (r.is_doomed ? ", killed by the client" : "") +
         ", seen dead " + to_string(r.dead) + ", life " + std::to_string(world_->life) + "; since its birth " +
         in_.kills.text(r.born);
}

}  // namespace kv::soak
