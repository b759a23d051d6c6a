#pragma once
#include <kv/detail/locked_rows.hpp>
namespace kv::detail {
template <class Key, class Stored>
class hash_rows : public locked_rows<Key, Stored, false> {
 public:
  using locked_rows<Key, Stored, false>::locked_rows;
};
}  // namespace kv::detail
