// What a step of the table directory leaves behind.
#pragma once

#include <kv/detail/inbox.hpp>
#include <kv/detail/table_directory.hpp>

namespace kv::detail {

/// Destroyed when the lock is free again, because it is the user's: stands before the lock.
struct table_directory::leftovers {
  leftovers() = default;
  leftovers(const leftovers&) = delete;
  leftovers& operator=(const leftovers&) = delete;
  ~leftovers() {
    for (const auto& [owner, table] : tables) {
      table->next_ = {};  // nobody else looks at that of a table that was dropped
      table->discard_rows();
    }
  }

  message_queue messages;
  tables_by_owner tables;
};

}  // namespace kv::detail
