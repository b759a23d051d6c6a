# Builds everything with a sanitizer.
#
# A sanitizer must be told of each switch to another stack. Boost tells it when it is compiled for that, which Debian's
# binaries are not: so the sources of Context and Fiber are compiled here, and stand in for Boost::context and
# Boost::fiber. The macros change their headers, too, so everything is compiled with them.

if(KV_SANITIZE STREQUAL "thread")
  add_compile_definitions(BOOST_USE_UCONTEXT BOOST_USE_TSAN)
  set(flags -fsanitize=thread)
elseif(KV_SANITIZE STREQUAL "address")
  add_compile_definitions(BOOST_USE_UCONTEXT BOOST_USE_ASAN)
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all)
else()
  message(FATAL_ERROR "KV_SANITIZE is '${KV_SANITIZE}'; expected thread, address or nothing")
endif()
add_compile_options(${flags} -fno-omit-frame-pointer)
add_link_options(${flags})

execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/boost-sources ${Boost_VERSION_STRING}
  OUTPUT_VARIABLE boost_sources OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(GLOB sources
  ${boost_sources}/libs/context/src/fiber.cpp
  ${boost_sources}/libs/context/src/continuation.cpp
  ${boost_sources}/libs/context/src/posix/stack_traits.cpp
  ${boost_sources}/libs/fiber/src/*.cpp
  ${boost_sources}/libs/fiber/src/algo/*.cpp)
add_library(kv_boost STATIC ${sources})
set_target_properties(kv_boost PROPERTIES UNITY_BUILD OFF)  # its sources define the same names
target_compile_definitions(kv_boost PRIVATE BOOST_CONTEXT_SOURCE BOOST_FIBERS_SOURCE)
target_link_libraries(kv_boost PUBLIC Boost::headers Threads::Threads)
if(KV_SANITIZE STREQUAL "address")
  target_sources(kv_boost PRIVATE ${CMAKE_CURRENT_LIST_DIR}/swapcontext.cpp)
  target_link_options(kv_boost PUBLIC -Wl,--wrap=swapcontext)
endif()

foreach(library IN ITEMS context fiber)
  add_library(Boost::${library} INTERFACE IMPORTED)
  target_link_libraries(Boost::${library} INTERFACE kv_boost)
endforeach()
