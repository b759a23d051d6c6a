// A set that is small as long as it has few elements.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

namespace kv::detail {

/// Most processes have one link and one watcher, a few have a million: so a vector up to `few` elements, and a hash set
/// beyond. Not ordered.
template <class T, class Hash>
class small_set {
 public:
  static constexpr std::size_t few = 16;

  bool insert(const T& value) {
    if (many_) return many_->insert(value).second;
    if (std::ranges::find(few_, value) != few_.end()) return false;
    if (few_.size() < few) {
      few_.push_back(value);
      return true;
    }
    spill();
    return many_->insert(value).second;
  }

  /// After this, one more insert() does not fail.
  void reserve_one() {
    if (many_) {
      if (many_->size() >= many_->max_load()) many_->reserve(2 * many_->size());
    } else if (few_.size() < few) {
      few_.reserve(few_.size() + 1);
    } else {
      spill();
    }
  }

  bool erase(const T& value) {
    if (many_) return many_->erase(value) > 0;
    const auto found = std::ranges::find(few_, value);
    if (found == few_.end()) return false;
    *found = few_.back();
    few_.pop_back();
    return true;
  }

  template <class Predicate>
  void erase_if(Predicate unwanted) {
    std::erase_if(few_, unwanted);
    if (many_) boost::unordered::erase_if(*many_, unwanted);
  }

  template <class Visitor>
  void for_each(Visitor visit) const {
    for (const auto& value : few_) visit(value);
    if (!many_) return;
    for (const auto& value : *many_) visit(value);
  }

 private:
  using hash_set = boost::unordered_flat_set<T, Hash>;

  void spill() {
    auto all = std::make_unique<hash_set>(2 * few);
    all->insert(few_.begin(), few_.end());
    many_ = std::move(all);
    few_ = {};
  }

  std::vector<T> few_;  // empty once there are many
  std::unique_ptr<hash_set> many_;
};

}  // namespace kv::detail
