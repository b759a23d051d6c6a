// What stands in a cell.
#pragma once

#include <cstddef>
#include <new>

#include <kv/detail/allocation.hpp>
#include <kv/detail/cells.hpp>
#include <kv/detail/epoch.hpp>

namespace kv::detail {

/// What derives from this and is made by `new` stands in a cell, unless it is larger than any, or asks for an alignment
/// of its own. Any thread may make and destroy it.
struct in_cells {
  static void* operator new(std::size_t size) {
    if (!has_cell(size)) return ::operator new(size);
    fail_on_purpose();
    return readers::mine().memory.take(size);
  }
  static void* operator new(std::size_t size, std::align_val_t alignment) { return ::operator new(size, alignment); }
  static void operator delete(void* what, std::size_t size) noexcept {
    if (!has_cell(size)) return ::operator delete(what, size);
    auto* const mine = readers::mine_or_null();
    return mine != nullptr ? mine->memory.put(what, size) : cell_cache::give(what, size);
  }
  static void operator delete(void* what, std::size_t size, std::align_val_t alignment) noexcept {
    ::operator delete(what, size, alignment);
  }

 private:
  static constexpr bool has_cell(std::size_t size) noexcept { return size <= cell_cache::largest; }
};

}  // namespace kv::detail
