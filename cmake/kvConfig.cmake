include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Boost 1.81 CONFIG COMPONENTS context)
include(${CMAKE_CURRENT_LIST_DIR}/kvTargets.cmake)
