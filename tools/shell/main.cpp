// The program `kv`: a shell on a tree of its own.
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <exception>
#include <initializer_list>
#include <iostream>
#include <istream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "shell/input_buffer.hpp"
#include "shell/session.hpp"
#include "shell/terminal_source.hpp"
#include "shell/vocabulary.hpp"

namespace kv::shell {
namespace {

constexpr unsigned max_threads = 1024;
constexpr double max_await_seconds = 1e9;  // what fits into nanoseconds, and then some years

struct settings {
  unsigned threads = runtime_options{}.threads;
  double await_seconds = 5;
  std::string script;
};

// Throws CLI::Error, also for --help and --version.
settings read_arguments(CLI::App& app, int argc, char** argv) {
  settings chosen;
  app.add_option("--threads", chosen.threads, "Threads of the runtime; one for each core by default")
      ->check(CLI::Range(1U, max_threads));
  app.add_option("--await-timeout", chosen.await_seconds, "How many seconds AWAIT waits, such as 0.5; 5 by default")
      ->check(CLI::Number);
  app.add_option("script", chosen.script, "File of commands; standard input by default");
  app.set_version_flag("--version", "kv " KV_VERSION);
  app.parse(argc, argv);
  // Not by CLI::Range, which lets "nan" through.
  if (chosen.await_seconds >= 0 && chosen.await_seconds <= max_await_seconds) return chosen;
  throw CLI::ValidationError("--await-timeout", "Value not in range 0 to 1000000000");
}

/// What the terminal sends is for the main thread, where the line editor waits: no other thread may get it.
class signals_blocked {
 public:
  signals_blocked() {
    sigset_t terminal;
    sigemptyset(&terminal);
    for (const int each : {SIGWINCH, SIGTSTP, SIGCONT, SIGINT}) sigaddset(&terminal, each);
    pthread_sigmask(SIG_BLOCK, &terminal, &before_);
  }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;
  ~signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

runtime start_runtime(unsigned threads) {
  const signals_blocked while_threads_start;  // they inherit it
  // Its destructor ends the session and then the tree in order, and a million buckets have the time they need.
  return runtime({.threads = threads, .shutdown_timeout = infinity});
}

bool execute(const ref<session>& shell, std::vector<line> lines) {
  return shell.call_for(infinity, &session::execute, std::move(lines));
}

// Always true: a typing error in a conversation is no failure of the program.
bool converse(const ref<session>& shell, const registry& names) {
  terminal_source terminal(words_of(names));
  while (auto typed = terminal.next()) execute(shell, {*std::move(typed)});
  return true;
}

// Executes all lines that have come at once, and has their answers out before it waits for more.
bool run_script(const ref<session>& shell, const std::string& path) {
  auto bytes = path.empty() ? std::make_unique<input_buffer>() : std::make_unique<input_buffer>(path);
  std::istream in(bytes.get());
  in.exceptions(std::ios::badbit);
  stream_source source(in);
  bool all_ok = true;
  while (auto first = source.next()) {
    std::vector<line> lines{*std::move(first)};
    while (bytes->has_line()) lines.push_back(*source.next());
    all_ok = execute(shell, std::move(lines)) && all_ok;
    std::cout.flush();
  }
  return all_ok;
}

bool run(const settings& chosen) {
  auto home = start_runtime(chosen.threads);
  const auto kv = start_tree(home);
  const std::chrono::duration<double> patience(chosen.await_seconds);
  const auto shell = start_session(home, kv, std::cout,
                                   {.await_timeout = std::chrono::duration_cast<std::chrono::nanoseconds>(patience)});
  const bool is_conversation = chosen.script.empty() && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  return is_conversation ? converse(shell, kv.registry) : run_script(shell, chosen.script);
}

// Also what is written last of all must arrive.
bool run_and_flush(const settings& chosen) {
  const bool all_ok = run(chosen);
  if (!std::cout.flush()) throw std::runtime_error("cannot write to standard output");
  return all_ok;
}

}  // namespace
}  // namespace kv::shell

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  CLI::App app("Named buckets of values in memory, each of them a supervised process. HELP lists the commands.", "kv");
  try {
    return kv::shell::run_and_flush(kv::shell::read_arguments(app, argc, argv)) ? 0 : 1;
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::Error& e) {
    std::cerr << "kv: " << e.what() << '\n';
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "kv: " << e.what() << '\n';
    return 1;
  }
}
