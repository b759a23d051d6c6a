// What every subscriber of a video service uses, in a table. The process that owns it is asked for a subscriber who does
// not exist, and ends. With the table as it is, all subscribers are gone; with each of four techniques none is.
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <string>
#include <string_view>

#include <kv/testing.hpp>

#include "subscribers.hpp"

namespace {

/// A meter below a supervisor, and what becomes of its table.
template <class Meter>
class story {
 public:
  void tell(std::string_view technique) {
    for (int i = 0; i < 1000; ++i) current().call(&Meter::start_session, "subscriber " + std::to_string(i), 8);
    std::cout << std::left << std::setw(26) << technique << std::right << std::setw(6) << rows();
    try {
      current().call(&Meter::check, "nobody");
    } catch (const kv::call_error&) {
      std::cout << std::setw(14) << rows();
    }
    kv::testing::kill_and_await(runtime_, current());
    std::cout << std::setw(14) << rows();
    current().call(&Meter::start_session, "subscriber 7", 8);
    std::cout << std::setw(16) << current().call(&Meter::check, "subscriber 7").bandwidth << '\n';
  }

 private:
  kv::ref<Meter> current() {
    root_.call(&kv::supervisor::which_children);  // once this is answered, whoever has died is there again
    return runtime_.whereis<Meter>("meter").value();
  }
  std::size_t rows() { return current().call(&Meter::subscribers); }

  kv::runtime runtime_{{.on_report = [](const kv::report&) {}}};
  kv::ref<kv::supervisor> root_ = metering::start<Meter>(runtime_);
};

}  // namespace

int main() {
  std::cout << "technique                 before  after lookup    after kill    subscriber 7\n";
  story<metering::lone_meter>().tell("nothing");
  story<metering::meter_with_heir>().tell("heir");
  story<metering::giving_meter>().tell("give-away");
  story<metering::guest_meter>().tell("public table of a manager");
  story<metering::managed_meter>().tell("heir and give-away");
}
