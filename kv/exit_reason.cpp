#include <kv/exit_reason.hpp>

#include <new>
#include <ostream>
#include <utility>

namespace kv {

struct exit_reason::detail {
  std::string text;
  std::exception_ptr exception;
};

namespace {

std::string text_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown exception";
  }
}

}  // namespace

exit_reason::exit_reason(kind what, std::string text, std::exception_ptr exception)
    : kind_(what), detail_(std::make_shared<const detail>(detail{std::move(text), std::move(exception)})) {}

exit_reason exit_reason::shutdown_because(std::string term) { return {kind::shutdown, std::move(term), nullptr}; }

// Made in time: where memory has run out, there is none to say so with.
const std::shared_ptr<const exit_reason::detail> exit_reason::bad_alloc_ =
    std::make_shared<const detail>(detail{"std::bad_alloc", std::make_exception_ptr(std::bad_alloc())});

exit_reason exit_reason::error(std::exception_ptr exception) noexcept {
  try {
    auto text = text_of(exception);
    return {kind::error, std::move(text), std::move(exception)};
  } catch (...) {
    return out_of_memory();
  }
}

exit_reason exit_reason::out_of_memory() noexcept {
  exit_reason result(kind::error);
  result.detail_ = bad_alloc_;
  return result;
}

exit_reason exit_reason::custom(std::string text) { return {kind::custom, std::move(text), nullptr}; }

std::string_view exit_reason::text() const noexcept { return detail_ ? std::string_view(detail_->text) : ""; }

std::exception_ptr exit_reason::exception() const noexcept { return detail_ ? detail_->exception : nullptr; }

std::string to_string(const exit_reason& reason) {
  const std::string text(reason.text());
  switch (reason.what()) {
    case exit_reason::kind::normal: return "normal";
    case exit_reason::kind::shutdown: return text.empty() ? "shutdown" : "shutdown: " + text;
    case exit_reason::kind::kill: return "kill";
    case exit_reason::kind::killed: return "killed";
    case exit_reason::kind::noproc: return "noproc";
    case exit_reason::kind::error: return "error: " + text;
    case exit_reason::kind::custom: break;
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const exit_reason& reason) { return out << to_string(reason); }

}  // namespace kv
