#include "name_watch.hpp"

#include <algorithm>
#include <new>

namespace kv::detail {

name_watch::name_watch(const names_table& names, waiting_table waiting, std::string name)
    : waiting_(std::move(waiting)), name_(std::move(name)) {
  monitor(names.owner());
  const auto me = self();
  const auto join = [me](const std::vector<pid>& others) {
    auto all = others;
    std::erase_if(all, [](pid each) { return this_process().home->find(each) == nullptr; });  // it could not leave
    all.push_back(me);
    return all;
  };
  try {
    // The last of those who were there may leave between the two.
    while (waiting_.insert_new(name_, {me}) && !waiting_.update(name_, join)) {
    }
  } catch (const table_error&) {
    // The tables are gone, as who waits finds when he looks for the name now.
  }
}

name_watch::~name_watch() {
  const auto leave = [me = self()](const std::vector<pid>& all) {
    auto others = all;
    std::erase(others, me);
    return others;
  };
  try {
    waiting_.update(name_, leave);
    waiting_.erase_if_equal(name_, {});
  } catch (const table_error&) {
    // The row is gone with the table.
  } catch (const std::bad_alloc&) {
    // It stays in the row until the next one joins it there.
  }
}

watching_name::watching_name(runtime& home, const names_table& names, const waiting_table& waiting,
                             std::string_view name)
    : watching_name(home.core(), home.spawn<name_watch>(names, waiting, std::string(name))) {
  monitor_ = monitor(watch_);  // here, so that the destructor runs when there is no memory for it
}

watching_name::~watching_name() {
  if (has_ended_) return;
  home_.send_signal(watch_, std::move(kill_));
  home_.demonitor(this_process(), monitor_, true);
}

bool watching_name::wait_until(time_point deadline) {
  const bool in_time = kv::await(monitor_, deadline - now()).has_value();
  if (!in_time) {
    home_.send_signal(watch_, std::move(kill_));
    static_cast<void>(kv::await(monitor_));
  }
  has_ended_ = true;
  return in_time;
}

}  // namespace kv::detail
