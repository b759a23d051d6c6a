#include "soak/resources.hpp"

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kv::soak {

namespace {

std::ifstream open(const char* path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(std::string("cannot read ") + path);
  return in;
}

struct mapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool is_guard = false;
};

constexpr std::string_view flags = "VmFlags:";  // the last line about a mapping

/// The first line is `begin-end rights …`, such as `7f0000000000-7f0000001000 ---p`.
mapping parse(const std::string& line) {
  mapping result;
  std::size_t length = 0;
  result.begin = std::stoull(line, &length, 16);
  const auto rest = line.substr(length + 1);
  result.end = std::stoull(rest, &length, 16);
  result.is_guard = result.end - result.begin == 4096 && rest.substr(length + 1).starts_with("---");
  return result;
}

}  // namespace

mappings count_mappings() {
  auto in = open("/proc/self/smaps");
  mappings result;
  mapping before;
  for (std::string line; std::getline(in, line);) {
    const auto current = parse(line);
    while (!line.starts_with(flags) && std::getline(in, line)) continue;
    if (line.find(" hg") == std::string::npos) ++result.all;
    const bool has_guard = before.is_guard && before.end == current.begin;
    if (has_guard && current.end - current.begin == stack_size) ++result.stacks;
    before = current;
  }
  return result;
}

std::size_t resident_memory() {
  auto in = open("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace kv::soak
