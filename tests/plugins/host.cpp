// A program that loads two plugins, which hide their symbols from each other and use its copy of the library.
#include <cstdlib>
#include <iostream>
#include <string>

#include <kv/runtime.hpp>
#include <kv/table.hpp>

#include <dlfcn.h>

#include "plugin.hpp"

namespace {

const plugins::plugin* load(const char* file) {
  auto* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::cerr << ::dlerror() << '\n', nullptr;
  return reinterpret_cast<plugins::get_plugin*>(::dlsym(library, "kv_test_plugin"))();
}

}  // namespace

int main(int count, char** names) {
  if (count != 3) return EXIT_FAILURE;
  const auto* const first = load(names[1]);
  const auto* const second = load(names[2]);
  if (first == nullptr || second == nullptr) return EXIT_FAILURE;
  if (first->type == second->type) std::cerr << "the plugins share their types: this tests nothing\n";
  for (const auto* const each : {first, second}) {
    if (each->current() != &kv::detail::current_process || each->reader() != &kv::detail::readers::mine()) {
      return std::cerr << "a plugin has a current process or a reader of its own\n", EXIT_FAILURE;
    }
  }
  kv::runtime home({.threads = 2, .on_report = [](const kv::report&) {}});
  first->start(home);
  const auto wrong = second->use(home);
  if (!wrong.empty()) std::cerr << wrong << '\n';
  return wrong.empty() && first->type != second->type ? EXIT_SUCCESS : EXIT_FAILURE;
}
