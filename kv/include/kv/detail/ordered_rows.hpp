#pragma once
#include <kv/detail/locked_rows.hpp>
namespace kv::detail {
template <class Key, class Stored>
class ordered_rows : public locked_rows<Key, Stored, true> {
 public:
  using locked_rows<Key, Stored, true>::locked_rows;
};
}  // namespace kv::detail
