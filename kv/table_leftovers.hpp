// What a step of the table directory leaves behind.
#pragma once

#include <kv/detail/inbox.hpp>
#include <kv/detail/table_directory.hpp>

#include "table_label.hpp"

namespace kv::detail {

/// Gone when the lock is free again, because it is the user's: stands before the lock. Rows are destroyed by the owner
/// of their table, which drops it or dies; messages that nobody gets are discarded.
struct table_directory::leftovers {
  explicit leftovers(core& of) noexcept : home(of) {}
  leftovers(const leftovers&) = delete;
  leftovers& operator=(const leftovers&) = delete;
  ~leftovers() {
    while (auto what = messages.pop()) home.discard(std::move(what));
    if (untold) report_untold();
    for (const auto& [owner, table] : tables) {
      table->next_ = {};  // nobody else looks at that of a table that was dropped
      table->discard_rows();
    }
  }

  void report_untold() const noexcept {
    home.report_if_possible([this] {
      return oddity_report{untold->owner(),
                           "inherits " + label(home.tables().name_of(*untold)) + " untold, for want of memory"};
    });
  }

  core& home;
  std::shared_ptr<table_base> untold;  // one of those that somebody has inherited without a message
  message_queue messages;
  tables_by_owner tables;
};

}  // namespace kv::detail
