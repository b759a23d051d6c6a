# Builds everything with a sanitizer.
#
# A sanitizer must be told of each switch to another stack. Boost tells it when it is compiled for that, which Debian's
# binaries are not: so the sources of Context are compiled here, and stand in for Boost::context. The macros change its
# headers, too, so everything is compiled with them.

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
  ${boost_sources}/libs/context/src/posix/stack_traits.cpp)
add_library(kv_boost STATIC ${sources})
set_target_properties(kv_boost PROPERTIES UNITY_BUILD OFF)  # its sources define the same names
target_compile_definitions(kv_boost PRIVATE BOOST_CONTEXT_SOURCE)
target_link_libraries(kv_boost PUBLIC Boost::headers Threads::Threads)
if(KV_SANITIZE STREQUAL "address")
  target_sources(kv_boost PRIVATE ${CMAKE_CURRENT_LIST_DIR}/swapcontext.cpp)
  target_link_options(kv_boost PUBLIC -Wl,--wrap=swapcontext)
endif()

add_library(Boost::context INTERFACE IMPORTED)
target_link_libraries(Boost::context INTERFACE kv_boost)
