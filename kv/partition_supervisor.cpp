#include <kv/partition_supervisor.hpp>

#include <stdexcept>

#include <kv/supervision.hpp>

namespace kv::detail {

void check_partitions(const partition_options& options) {
  if (options.name.empty()) throw std::invalid_argument("partition_options::name must not be empty");
  if (options.partitions == 0) throw std::invalid_argument("partition_options::partitions must be more than 0");
}

std::string partition_name(const partition_options& options, std::size_t index) {
  return options.name + '.' + std::to_string(index);
}

ref<supervisor> start_partitions(runtime& home, const partition_options& options, bool supervise,
                                 const std::function<pid(const std::string& name)>& start_one) {
  const supervisor_options intensity{.max_restarts = options.max_restarts, .period = options.period};
  const auto init = [=] {
    std::vector<child_spec> partitions;
    for (std::size_t i = 0; i < options.partitions; ++i) {
      const auto start = [start_one, name = partition_name(options, i)] { return start_one(name); };
      partitions.push_back((supervise ? supervisor_child : worker)(std::to_string(i), start));
    }
    return partitions;
  };
  return self_if_any() ? spawn_link_named<supervisor>(options.name, intensity, init)
                       : home.spawn_named<supervisor>(options.name, intensity, init);
}

}  // namespace kv::detail
