#include <kv/process.hpp>

#include <stdexcept>

namespace kv {

using detail::this_process;

detail::process& detail::this_process() {
  if (current_process == nullptr) throw std::logic_error("this works only inside a process");
  return *current_process;
}

pid self() { return this_process().id(); }

std::optional<pid> self_if_any() noexcept {
  return detail::current_process == nullptr ? std::nullopt : std::optional(detail::current_process->id());
}

monitor_ref monitor(pid target, std::string tag) {
  auto& p = this_process();
  p.home->interleave();
  return p.home->monitor(p, target, std::move(tag));
}

void demonitor(monitor_ref ref, bool flush) {
  auto& p = this_process();
  p.home->interleave();
  p.home->demonitor(p, ref, flush);
}

std::optional<down> await(monitor_ref ref, std::chrono::nanoseconds timeout) {
  return receive_if<down>([ref](const down& d) { return d.ref == ref; }, timeout);
}

void link(pid peer) {
  auto& p = this_process();
  p.home->interleave();
  p.home->link(p, peer);
}

void unlink(pid peer) {
  auto& p = this_process();
  p.home->interleave();
  p.home->unlink(p, peer);
}

void exit(const exit_reason& reason) {
  this_process().end_with(reason);
  throw detail::unwind{};
}

void exit(pid whom, const exit_reason& reason) {
  auto& p = this_process();
  p.home->interleave();
  p.home->send_exit(whom, p.id(), reason);
}

bool trap_exit(bool on) { return std::exchange(this_process().traps_exits, on); }

std::chrono::steady_clock::time_point now() { return this_process().home->exec().now(); }

std::uint64_t random() { return this_process().home->exec().random(); }

std::optional<pid> whereis(std::string_view name) { return this_process().home->whereis(name); }

namespace {

/// Ends the process where it stands in the queue. finish() answers it, once the process counts as dead.
class stop_request final : public detail::request {
 public:
  explicit stop_request(const exit_reason& reason) : reason_(reason) {}
  const std::type_info& type() const noexcept override { return typeid(stop_request); }
  void run(void*) override {
    auto& self = *detail::current_process;
    self.body->on_exit(reason_);
    self.end_with(reason_);
  }

 private:
  exit_reason reason_;
};

}  // namespace

void detail::stop(core* home, pid id, const exit_reason& reason, duration timeout) {
  if (home == nullptr) throw call_error(call_error::code::noproc, id);
  const auto reply = home->transact(id, std::make_unique<stop_request>(reason), timeout);
  if (reply->failure != reason) throw call_error(call_error::code::exited, id, reply->failure);
}

}  // namespace kv
