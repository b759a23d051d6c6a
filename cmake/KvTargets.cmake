# Functions for kv's own targets.

# Gives a target the warnings that all our code is written against.
function(kv_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)  # it takes the files of a group for headers
  endif()
  set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR "${KV_WARNINGS_AS_ERRORS}")
endfunction()

# kv_add_layer(<target> EXPORT_NAME <name> LINK <libraries>...)
#
# The library of the current folder, also known as kv::<name>: public headers in include/, the inside beside them.
# A layer without sources is an interface library.
function(kv_add_layer target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" EXPORT_NAME LINK)
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS include/*.hpp)

  if(sources)
    set(scope PUBLIC)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    kv_warnings(${target})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  add_library(kv::${arg_EXPORT_NAME} ALIAS ${target})

  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${arg_EXPORT_NAME}
    VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL})
  target_compile_features(${target} ${scope} cxx_std_20)
  target_link_libraries(${target} ${scope} ${arg_LINK})
  if(headers)
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  endif()
  install(TARGETS ${target} EXPORT kvTargets FILE_SET HEADERS)
endfunction()
