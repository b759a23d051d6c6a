#include <kv/detail/shortage.hpp>

#include <new>
#include <system_error>

#include <kv/errors.hpp>

namespace kv::detail {

bool is_shortage(const std::exception_ptr& failure) noexcept {
  if (!failure) return false;
  try {
    std::rethrow_exception(failure);
  } catch (const std::bad_array_new_length&) {
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const system_limit&) {
    return true;
  } catch (const std::system_error& e) {
    return e.code() == std::errc::resource_unavailable_try_again || e.code() == std::errc::not_enough_memory;
  } catch (const start_error& e) {
    return is_shortage(e.reason());
  } catch (const call_error& e) {
    return e.why() == call_error::code::exited && is_shortage(e.reason());
  } catch (...) {
    return false;
  }
}

bool is_shortage(const exit_reason& why) noexcept { return is_shortage(why.exception()); }

}  // namespace kv::detail
