// What a runtime reports goes into the log of your program.
#include <iostream>
#include <stdexcept>

#include <kv/kv.hpp>

struct fridge {
  void open() { throw std::runtime_error("the milk is sour"); }
};

/// Stands for the logger that your program has already.
template <class Text>
void log_warning(const Text& text) {
  std::cout << "warning: " << text << '\n';
}

int main() {
  // [sink]
  const auto into_our_log = [](const kv::report& entry) { log_warning(entry); };
  kv::runtime runtime({.on_report = into_our_log});
  // [/sink]
  try {
    runtime.spawn<fridge>().call(&fridge::open);
  } catch (const kv::call_error& e) {
    std::cout << "the caller: " << e.what() << '\n';
  }
}
