// A server that takes long to start, because it has to fetch its data. Dead, it leaves them to a backup with its last
// words, or to an heir. One of the two loses them when it is killed, and pays for them twice when it is not.
#include <chrono>
#include <iomanip>
#include <iostream>
#include <string_view>

#include <kv/testing.hpp>

#include "data_backup.hpp"

namespace {

/// Starts a server below a supervisor, lets it end twice, and tells what that has cost.
template <class Server>
class story {
 public:
  void tell(std::string_view technique) {
    std::cout << technique << '\n';
    std::cerr << technique << '\n';
    warm::warm_ups = 0;
    after("start", [this] { root_ = warm::start<Server>(runtime_); });
    after("kill", [this] { kv::testing::kill_and_await(runtime_, current()); });
    after("exception", [this] {
      try {
        current().call(&Server::fail);
      } catch (const kv::call_error&) {
        // it has ended
      }
    });
  }

 private:
  template <class F>
  void after(std::string_view what, F happens) {
    warm::record::bytes_copied = 0;
    const auto begin = std::chrono::steady_clock::now();
    happens();
    const auto rows = current().call(&Server::rows);
    const auto time = std::chrono::steady_clock::now() - begin;
    const auto found = current().call(&Server::found);
    std::cout << "  " << std::left << std::setw(10) << what << std::right << std::setw(8) << found << std::setw(8)
              << rows << std::setw(10) << warm::warm_ups << std::setw(14) << warm::record::bytes_copied << '\n';
    std::cerr << what << ": there again after " << time / std::chrono::microseconds(1) << " us\n";
  }
  kv::ref<Server> current() {
    root_.call(&kv::supervisor::which_children);  // once this is answered, whoever has died is there again
    return runtime_.whereis<Server>("server").value();
  }

  kv::runtime runtime_{{.on_report = [](const kv::report&) {}}};
  kv::ref<kv::supervisor> root_;
};

}  // namespace

int main() {
  std::cout << "               found    rows  warm-ups  bytes copied\n";
  story<warm::server_with_backup>().tell("last words to a backup");
  story<warm::server_with_table>().tell("a table with an heir");
}
