// The test program. Each test has a watchdog that names it when it hangs. With KV_SIMULATE=seed in the environment each
// kv::runtime that a test makes is a simulation of that seed.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>

#include <kv/simulation.hpp>
#include <kv/testing.hpp>

namespace {

class watched final : public doctest::IReporter {
 public:
  explicit watched(const doctest::ContextOptions&) {}

  void test_case_start(const doctest::TestCaseData& test) override {
    // Long enough for any test under a sanitizer on a slow machine: only one that hangs meets it.
    watchdog_.emplace(test.m_name, test.m_timeout > 0 ? seconds(test.m_timeout) : 8 * kv::testing::patience);
    if (const char* const seed = std::getenv("KV_SIMULATE")) simulated_.emplace(std::stoull(seed));
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    simulated_.reset();
    watchdog_.reset();
  }

  void test_case_reenter(const doctest::TestCaseData&) override {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  static std::chrono::nanoseconds seconds(double count) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(count));
  }

  std::optional<kv::testing::watchdog> watchdog_;
  std::optional<kv::testing::simulate_runtimes> simulated_;
};

REGISTER_LISTENER("watchdog", 1, watched);

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context;
#ifdef KV_EXCLUDED_SUITE
  context.addFilter("test-suite-exclude", KV_EXCLUDED_SUITE);
#endif
  context.applyCommandLine(argc, argv);
  return context.run();
}
