#include <kv/ghost.hpp>

#include <stdexcept>
#include <string>

namespace kv::detail {

afterlife::afterlife(pid target, std::chrono::nanoseconds grace) : grace_(grace) {
  if (grace.count() < 0) {
    throw std::invalid_argument("ghost: the grace period is " + std::to_string(grace.count()) +
                                " ns; it must be 0 or more");
  }
  follow(target);
}

void afterlife::follow(pid target) {
  demonitor(watch_, true);
  end_.reset();
  ++number_;  // a timer of an earlier period may be under way
  target_ = target;
  watch_ = watch(target);
}

void afterlife::notice(const down& news) {
  if (news.ref != watch_) return;
  end_ = news.reason;
  if (grace_ < infinity) send_after(grace_, self(), over{number_});
}

}  // namespace kv::detail
