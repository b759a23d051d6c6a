// The program kv_soak: clients that use a tree at random while parts of it are killed and what it needs runs short, and
// a model that every answer is compared with. Runs until its time is over or it is interrupted; the exit status tells
// whether all was well.
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <ctime>
#include <exception>
#include <initializer_list>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "soak/progress.hpp"
#include "soak/resources.hpp"
#include "soak/soak.hpp"

namespace kv::soak {
namespace {

constexpr double max_minutes = 1e6;  // two years

const std::map<std::string, part> shortage_names{
    {"stacks", part::stacks}, {"memory", part::memory}, {"threads", part::threads}};

// Returns what "stacks,memory" names; nothing for "none". Throws std::out_of_range.
std::vector<part> read_shortages(const std::string& text) {
  std::vector<part> result;
  if (text == "none") return result;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) result.push_back(shortage_names.at(word));
  return result;
}

// Returns what is wrong with it, as CLI::Validator wants it.
std::string is_a_list_of_shortages(const std::string& text) {
  try {
    read_shortages(text);
    return {};
  } catch (const std::out_of_range&) {
    return "'" + text + "' is neither none nor a list of stacks, memory, threads";
  }
}

// Throws CLI::Error, also for --help.
settings read_arguments(CLI::App& app, int argc, char** argv) {
  settings chosen;
  chosen.seed = std::random_device{}();
  app.add_option("--minutes", chosen.minutes, "How long, such as 0.5; 1 by default")->check(CLI::Number);
  app.add_option("--seed", chosen.seed, "What the clients and the killer draw from; a new one by default")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--clients", chosen.clients, "Clients, every other one a process; two for each core by default")
      ->check(CLI::Range(1U, 1024U));
  app.add_option("--threads", chosen.threads, "Threads of the runtime; one for each core by default")
      ->check(CLI::Range(1U, 1024U));
  std::string shortages = "stacks,memory,threads";
  app.add_option("--shortages", shortages, "What may run short: all of " + shortages + " by default, or none")
      ->check(CLI::Validator(is_a_list_of_shortages, ""));
  app.parse(argc, argv);
  chosen.shortages = read_shortages(shortages);
  // Not by CLI::Range, which lets "nan" through.
  if (chosen.minutes > 0 && chosen.minutes <= max_minutes) return chosen;
  throw CLI::ValidationError("--minutes", "Value not in range more than 0 to 1000000");
}

using clock = std::chrono::steady_clock;

/// SIGINT and SIGTERM end the soak in order: they are blocked in all threads, and waited for.
class interruption {
 public:
  interruption() {
    sigemptyset(&signals_);
    for (const int each : {SIGINT, SIGTERM}) sigaddset(&signals_, each);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  /// Waits until then; true when it was interrupted.
  bool came_before(clock::time_point time) {
    while (!has_come_ && clock::now() < time) {
      const auto left = std::chrono::nanoseconds(time - clock::now()).count();
      const timespec timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
      if (left > 0) has_come_ = sigtimedwait(&signals_, nullptr, &timeout) > 0;
    }
    return has_come_;
  }

 private:
  sigset_t signals_{};
  bool has_come_ = false;
};

struct result {
  leftovers left;
  mappings mapped;  // when the runtime was gone
};

/// Returns what is mapped after a soak too short to leak much. Not to be interrupted, so that there is something to
/// compare with.
mappings warm_up(const settings& chosen, findings& found) {
  {
    soak running(chosen, found);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    running.stop();
  }
  return count_mappings();
}

result run(const settings& chosen, findings& found, interruption& stop) {
  constexpr auto interval = std::chrono::seconds(5);
  progress out(std::cout);
  out.print_heading();
  result r;
  {
    const auto end = clock::now() + std::chrono::duration_cast<clock::duration>(
                                        std::chrono::duration<double, std::ratio<60>>(chosen.minutes));
    soak running(chosen, found);
    for (auto next = clock::now() + interval; next < end && !stop.came_before(next); next += interval) {
      out.print_line(running);
    }
    stop.came_before(end);
    out.print_line(running);
    r.left = running.stop();
    out.print_end(running);
  }
  r.mapped = count_mappings();
  return r;
}

bool soak_and_judge(const settings& chosen) {
  interruption stop;
  findings found([](const std::string& text) { std::cerr << text + '\n'; });
  std::cout << "seed " << chosen.seed << ", " << chosen.clients << " clients, " << chosen.threads << " threads"
            << std::endl;
  const auto before = warm_up(chosen, found);
  const auto after = run(chosen, found, stop);
  const auto leaked = [](std::size_t now, std::size_t then) { return now > then ? now - then : 0; };
  const auto mapped = leaked(after.mapped.all, before.all);
  std::cout << "wrong answers       " << found.wrong_count() << "\nlost                " << found.lost_count()
            << "\nleaked processes    " << after.left.processes << "\nleaked stacks       " << after.mapped.stacks
            << "\nleaked mappings     " << mapped << " (" << after.mapped.all << " now, " << before.all
            << " after the warm-up)\nleaked rows         " << after.left.rows << '\n';
  return found.wrong_count() + found.lost_count() + after.left.processes + after.mapped.stacks + mapped +
             after.left.rows ==
         0;
}

}  // namespace
}  // namespace kv::soak

int main(int argc, char** argv) {
  // Fewer than there are threads from the beginning: then one thread more maps no arena that would pass for a leak.
  mallopt(M_ARENA_MAX, 4);
  CLI::App app(
      "Uses a kv tree at random while parts of it are killed and stacks, memory and threads run short, and checks "
      "every "
      "answer.",
      "soak");
  try {
    return kv::soak::soak_and_judge(kv::soak::read_arguments(app, argc, argv)) ? 0 : 1;
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::Error& e) {
    std::cerr << "soak: " << e.what() << '\n';
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "soak: " << e.what() << '\n';
    return 1;
  }
}
