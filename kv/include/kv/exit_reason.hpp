// Why a process ended.
#pragma once

#include <cstdint>
#include <exception>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

namespace kv {

/// Why a process ended, or is asked to end. A cheap value; equal when kind and text are equal.
/// Mirrors the exit reasons of Erlang (`normal`, `shutdown`, `{shutdown, Term}`, `killed`, `noproc`, any other term).
class exit_reason {
 public:
  enum class kind : std::uint8_t {
    normal,    ///< it had nothing left to do; links ignore it
    shutdown,  ///< it was asked to end in order
    kill,      ///< sent by `exit(pid, exit_reason::kill)`: cannot be trapped; the process ends as `killed`
    killed,    ///< it was killed
    noproc,    ///< there was no such process
    error,     ///< an exception left one of its callbacks
    custom     ///< the user's own
  };

  static const exit_reason normal;
  static const exit_reason shutdown;
  static const exit_reason kill;
  static const exit_reason killed;
  static const exit_reason noproc;

  /// Returns `shutdown` with a term that says more, as OTP's `{shutdown, Term}`.
  static exit_reason shutdown_because(std::string term);
  /// Returns the reason of a process that an exception ended. Its text is what the exception says of itself, or
  /// "unknown exception" when it is not a std::exception. Without memory for that text it is a std::bad_alloc.
  static exit_reason error(std::exception_ptr exception) noexcept;
  /// Returns `error` with a std::bad_alloc. Never throws: it was made in time.
  static exit_reason out_of_memory() noexcept;
  /// Returns a reason of the user's own.
  static exit_reason custom(std::string text);

  constexpr exit_reason() noexcept = default;
  constexpr explicit exit_reason(kind what) noexcept : kind_(what) {}

  kind what() const noexcept { return kind_; }
  /// Returns the term of a shutdown, the text of the exception or the user's own text; empty for the others.
  std::string_view text() const noexcept;
  /// Returns the exception of an `error`, to be rethrown; null for the others.
  std::exception_ptr exception() const noexcept;
  /// Tells whether the process ended as it was meant to: `normal` or any `shutdown`.
  bool is_orderly() const noexcept { return kind_ == kind::normal || kind_ == kind::shutdown; }

  friend bool operator==(const exit_reason& a, const exit_reason& b) noexcept {
    return a.kind_ == b.kind_ && a.text() == b.text();
  }

 private:
  struct detail;
  exit_reason(kind what, std::string text, std::exception_ptr exception);

  static const std::shared_ptr<const detail> bad_alloc_;

  kind kind_ = kind::normal;
  std::shared_ptr<const detail> detail_;
};

inline constinit const exit_reason exit_reason::normal{kind::normal};
inline constinit const exit_reason exit_reason::shutdown{kind::shutdown};
inline constinit const exit_reason exit_reason::kill{kind::kill};
inline constinit const exit_reason exit_reason::killed{kind::killed};
inline constinit const exit_reason exit_reason::noproc{kind::noproc};

/// Returns `normal`, `killed`, `error: text`, …
std::string to_string(const exit_reason& reason);
std::ostream& operator<<(std::ostream& out, const exit_reason& reason);

}  // namespace kv
