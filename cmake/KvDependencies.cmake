# What the libraries themselves need. The installed package looks for the same (see kvConfig.cmake).

find_package(Threads REQUIRED)
set(compiled_boost context)
if(KV_SANITIZE)
  set(compiled_boost)  # compiled below
endif()
find_package(Boost 1.81 CONFIG QUIET COMPONENTS headers ${compiled_boost})
if(NOT Boost_FOUND)
  if(Boost_CONSIDERED_VERSIONS)
    list(JOIN Boost_CONSIDERED_VERSIONS ", " found)
  else()
    set(found "none")
  endif()
  message(FATAL_ERROR "kv needs Boost 1.81 or newer with its context library; found: ${found}.\n"
    "On Debian: apt-get install libboost1.81-dev libboost-context1.81-dev")
endif()
find_path(KV_XXHASH_INCLUDE_DIR xxhash.h REQUIRED DOC "Where xxHash's header is; on Debian: libxxhash-dev")
if(KV_SANITIZE)
  include(KvSanitize)
endif()
