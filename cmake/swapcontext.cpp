// With ASan, swapcontext() warns on stderr that it may cause false alarms, and forgets which bytes of the other stack
// are out of bounds. Neither is wanted: Boost.Context tells ASan all about its stacks. So its calls come here instead,
// by the linker's --wrap, and go to the system's function.
#include <dlfcn.h>
#include <ucontext.h>

extern "C" int __wrap_swapcontext(ucontext_t* from, const ucontext_t* to) {
  static const auto of_the_system = reinterpret_cast<decltype(&swapcontext)>(dlsym(RTLD_NEXT, "swapcontext"));
  return of_the_system(from, to);
}
