#include <kv/runtime.hpp>

#include <iostream>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kv/process.hpp>

#include "report_printer.hpp"
#include "substitute.hpp"
#include "thread_executor.hpp"
#include "worlds.hpp"

namespace kv {

/// Where reports go by default. The clock is the core's, which is there by the time that anybody reports.
struct detail::default_sink {
  report_printer printer{std::cerr};
  core* home = nullptr;
};

namespace {

const runtime_options& checked(const runtime_options& options) {
  if (options.threads == 0) throw std::invalid_argument("runtime_options::threads is 0; at least 1 is needed");
  if (options.stack_size < runtime_options::min_stack_size) {
    throw std::invalid_argument("runtime_options::stack_size is " + std::to_string(options.stack_size) + "; at least " +
                                std::to_string(runtime_options::min_stack_size) + " is needed");
  }
  if (options.max_stacks < options.threads) {
    throw std::invalid_argument("runtime_options::max_stacks is " + std::to_string(options.max_stacks) +
                                "; at least one for each thread is needed: " + std::to_string(options.threads));
  }
  if (options.max_processes == 0 || options.max_processes > runtime_options::max_processes_limit) {
    throw std::invalid_argument("runtime_options::max_processes is " + std::to_string(options.max_processes) +
                                "; it must be from 1 to " + std::to_string(runtime_options::max_processes_limit));
  }
  if (options.kill_timeout.count() <= 0) {
    throw std::invalid_argument("runtime_options::kill_timeout is " + std::to_string(options.kill_timeout.count()) +
                                " ns; it must be more than 0");
  }
  return options;
}

std::unique_ptr<detail::executor> on_threads(detail::core& c, const runtime_options& options) {
  return std::make_unique<detail::thread_executor>(c, options);
}

}  // namespace

runtime::runtime(const runtime_options& options)
    : runtime(options, detail::substitute != nullptr ? *detail::substitute : detail::executor_factory(on_threads)) {}

runtime::runtime(const runtime_options& options, const detail::executor_factory& make)
    : default_sink_(options.on_report ? nullptr : std::make_unique<detail::default_sink>()),
      core_(detail::worlds::open(with_sink(checked(options)))),
      born_in_(::getpid()) {
  if (default_sink_) default_sink_->home = core_.get();
  core_->start(make(*core_, options));
}

runtime::~runtime() {
  // In a child of fork() the threads that would have to end are not there, and may have held any lock.
  const bool is_forked = born_in_ != ::getpid() && !core_->exec().is_simulation();
  const bool is_inside = detail::current_process != nullptr && detail::current_process->home == core_.get();
  if (!is_forked && !is_inside && !core_->exec().is_own_thread()) {
    core_->shut_down();
    return;
  }
  // What others may go on using stays until the program ends, where tools that look for leaks see it.
  static auto* const left_behind = new std::vector<std::pair<detail::default_sink*, detail::core*>>;
  left_behind->emplace_back(default_sink_.release(), core_.release());
}

runtime_options runtime::with_sink(runtime_options options) {
  if (default_sink_) {
    options.on_report = [sink = default_sink_.get()](const report& entry) {
      sink->printer.print(entry, sink->home->exec().now());
    };
  }
  return options;
}

void runtime::exit(pid whom, const exit_reason& reason) {
  core_->interleave();
  core_->send_exit(whom, self_if_any().value_or(pid{}), reason);
}

bool runtime::alive(pid id) const noexcept { return core_->alive(id); }

void runtime::register_name(std::string name, pid process) { core_->register_name(std::move(name), process); }

bool runtime::unregister_name(std::string_view name) { return core_->unregister_name(name); }

std::optional<pid> runtime::whereis(std::string_view name) const { return core_->whereis(name); }

std::optional<pid> runtime::await_name(std::string_view name, std::chrono::nanoseconds timeout) const {
  return core_->await_name(name, timeout);
}

std::optional<pid> runtime::whereis(std::string_view name, std::type_index type) const {
  return core_->whereis(name, type);
}

std::vector<std::pair<std::string, pid>> runtime::registered() const { return core_->registered(); }

std::chrono::steady_clock::time_point runtime::now() const noexcept { return core_->exec().now(); }

std::vector<pid> runtime::processes() const { return core_->processes(); }

std::size_t runtime::process_count() const noexcept { return core_->live_count(); }

std::optional<process_info> runtime::info(pid id) const { return core_->info(id); }

std::string runtime::dump() const { return core_->dump(std::numeric_limits<std::size_t>::max()); }

}  // namespace kv
