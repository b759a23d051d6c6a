// What every subscriber of a video service uses, in a table. The process that owns it is asked for a subscriber who does
// not exist, and ends. With the table as it is, all subscribers are gone; with each of four techniques none is.
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kv/process.hpp>
#include <kv/supervision.hpp>
#include <kv/table_manager.hpp>
#include <kv/testing.hpp>

namespace {

// [meter]
struct usage {
  int sessions = 0;
  int bandwidth = 0;  // Mbit/s
};
using usage_table = kv::table<std::string, usage>;

class meter {
 public:
  void start_session(const std::string& subscriber, int bandwidth) {
    const auto both = std::vector{kv::add(1).to(&usage::sessions), kv::add(bandwidth).to(&usage::bandwidth)};
    table_->update_counter(subscriber, both, usage{});
  }
  usage check(const std::string& subscriber) const { return table_->lookup(subscriber).value(); }  // or so they thought
  std::size_t subscribers() const { return table_->size(); }

 protected:
  std::optional<usage_table> table_;
};
// [/meter]

// [alone]
class lone_meter : public meter {
 public:
  lone_meter() { table_ = usage_table::create({.name = "usage"}); }
};
// [/alone]

// [heir]
class meter_with_heir : public meter {
 public:
  meter_with_heir() {
    table_ = usage_table::find("usage");
    if (!table_) table_ = usage_table::create({.name = "usage", .heirs = {"meter"}});
  }
};
// [/heir]

// [keeper]
/// Keeps what it is given, and does nothing that could go wrong.
class keeper {
 public:
  using messages = kv::message_types<kv::table_transfer<usage_table>>;
  void handle(const kv::table_transfer<usage_table>&) {}

  bool give_back(kv::pid to) {
    auto kept = usage_table::find("usage");
    if (kept) kept->give_away(to);
    return kept.has_value();
  }
};
// [/keeper]

// [gift]
class giving_meter : public meter {
 public:
  explicit giving_meter(kv::ref<keeper> friend_in_need) : keeper_(friend_in_need) {
    const bool is_there = keeper_.call(&keeper::give_back, kv::self());
    table_ = is_there ? kv::receive<kv::table_transfer<usage_table>>().table : usage_table::create({.name = "usage"});
  }
  void on_exit(const kv::exit_reason&) { table_->give_away(keeper_); }

 private:
  kv::ref<keeper> keeper_;
};
// [/gift]

// [public]
/// Owns the table that others work with.
class owner {
 public:
  owner() { usage_table::create({.name = "usage", .access = kv::table_access::public_}); }
};

class guest_meter : public meter {
 public:
  guest_meter() { table_ = usage_table::find("usage"); }
};
// [/public]

// [managed]
class managed_meter : public meter {
 public:
  managed_meter() {
    kv::continue_with([this] { table_ = kv::claim_table<usage_table>("manager", "usage"); });
  }
};
// [/managed]

// [story]
/// A meter below a supervisor, and what becomes of its table.
template <class Meter>
class story {
 public:
  template <class... Args>
  explicit story(kv::runtime& home, Args... args) : home_(home) {
    const auto start = [args...] { return kv::spawn_link_named<Meter>("meter", args...).id(); };
    root_ = home.spawn<kv::supervisor>(kv::supervisor_options{},
                                       [start] { return std::vector{kv::worker("meter", start)}; });
  }

  void tell(std::string_view technique) {
    for (int i = 0; i < 1000; ++i) current().call(&Meter::start_session, "subscriber " + std::to_string(i), 8);
    std::cout << std::left << std::setw(26) << technique << std::right << std::setw(6) << rows();
    try {
      current().call(&Meter::check, "nobody");
    } catch (const kv::call_error&) {
      std::cout << std::setw(14) << rows();
    }
    kv::testing::kill_and_await(home_, current());
    std::cout << std::setw(14) << rows();
    current().call(&Meter::start_session, "subscriber 7", 8);
    std::cout << std::setw(16) << current().call(&Meter::check, "subscriber 7").bandwidth << '\n';
  }

 private:
  kv::ref<Meter> current() {
    root_.call(&kv::supervisor::which_children);  // once this is answered, whoever has died is there again
    return home_.whereis<Meter>("meter").value();
  }
  std::size_t rows() { return current().call(&Meter::subscribers); }

  kv::runtime& home_;
  kv::ref<kv::supervisor> root_;
};
// [/story]

kv::runtime_options quiet() {
  return {.on_report = [](const kv::report&) {}};
}

void without_anything() {
  kv::runtime runtime(quiet());
  story<lone_meter>(runtime).tell("nothing");
}

void with_an_heir() {
  kv::runtime runtime(quiet());
  story<meter_with_heir>(runtime).tell("heir");
}

void with_last_words() {
  kv::runtime runtime(quiet());
  const auto kept_by = runtime.spawn<keeper>();
  story<giving_meter>(runtime, kept_by).tell("give-away");
}

void with_an_owner_who_does_nothing() {
  kv::runtime runtime(quiet());
  runtime.spawn<owner>();
  story<guest_meter>(runtime).tell("public table of a manager");
}

void with_all_of_it() {
  kv::runtime runtime(quiet());
  // [manager]
  runtime.spawn_named<kv::table_manager>(
      "manager", std::vector{kv::manage<usage_table>({.name = "usage"}, "meter", kv::handover::pull)});
  // [/manager]
  story<managed_meter>(runtime).tell("heir and give-away");
}

}  // namespace

int main() {
  std::cout << "technique                 before  after lookup    after kill    subscriber 7\n";
  without_anything();
  with_an_heir();
  with_last_words();
  with_an_owner_who_does_nothing();
  with_all_of_it();
}
