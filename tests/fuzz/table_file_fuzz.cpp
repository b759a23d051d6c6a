// Promises under test: whatever bytes a file has, or the rows of a file that is whole otherwise, a load is refused as of a
// bad file or gives a table of as many rows as the file tells, which comes back when it is saved and loaded again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kv/simulation.hpp>
#include <kv/table_file.hpp>
#include <kv/testing.hpp>

#include "fuzz/promise.hpp"
#include "temporary_directory.hpp"

namespace {

using value = std::vector<std::pair<std::optional<std::string>, bool>>;
using rows = kv::table<std::string, value, kv::ordered_set>;

/// What all inputs have in common.
struct surroundings {
  kv::simulation home;
  kv::testing::probe owner{home};
  temporary_directory directory{std::filesystem::exists("/dev/shm") ? "/dev/shm"  // where a sync costs nothing
                                                                    : std::filesystem::temp_directory_path()};
  std::filesystem::path file = directory / "file";
  std::filesystem::path copy = directory / "copy";

  rows load(const std::filesystem::path& from) {
    return kv::load_table<rows>(home, from, {.name = {}, .owner = owner});
  }
  void drop(rows table) {
    owner.run([&] { table.drop(); });
  }
};

/// Returns what a function returns, nothing when it refuses the file.
template <class F>
auto unless_refused(F function) -> std::optional<decltype(function())> {
  try {
    return function();
  } catch (const kv::table_error& e) {
    promise(e.why() == kv::table_error::code::bad_file, "a file is refused because it is bad");
    return std::nullopt;
  }
}

void check_file(surroundings& here) {
  const auto told = unless_refused([&] { return kv::inspect_table_file(here.file); });
  const auto verified = unless_refused([&] { return kv::verify_table_file(here.file); });
  promise(!verified || (told && told->rows == verified->rows), "what is right as a whole is right at its ends");
  const auto loaded = unless_refused([&] { return here.load(here.file); });
  if (loaded) {
    promise(verified && loaded->size() == verified->rows, "a table has as many rows as its file tells");
    promise(kv::save_table(*loaded, here.copy) == loaded->size(), "it can be saved again");
    const auto again = here.load(here.copy);
    promise(again.to_vector() == loaded->to_vector(), "what is saved comes back");
    here.drop(again);
    here.drop(*loaded);
  }
  promise(kv::all_tables(here.home).empty(), "no table is left behind");
}

/// Writes a file in which nothing is wrong but, perhaps, its rows.
void write_rows(const std::filesystem::path& file, std::string_view bytes, unsigned count) {
  const kv::detail::table_description what{
      .type = "ordered_set", .key = kv::codec_name<std::string>(), .value = kv::codec_name<value>(), .name = {}};
  kv::detail::table_file_writer out(file, what);
  out.add_bytes(bytes);
  for (; count > 1; --count) out.add_bytes({});
  out.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static surroundings here;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  write_file(here.file, bytes);
  check_file(here);
  if (bytes.empty()) return 0;
  write_rows(here.file, bytes.substr(1), 1U + static_cast<unsigned char>(bytes[0]) % 8U);
  check_file(here);
  return 0;
}
