# `cmake --install` and the package that find_package(kv) finds.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kv)
write_basic_package_version_file(kvConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/kvConfig.cmake ${PROJECT_BINARY_DIR}/kvConfigVersion.cmake DESTINATION ${package_dir})
install(EXPORT kvTargets NAMESPACE kv:: DESTINATION ${package_dir})
