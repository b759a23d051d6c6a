// Everything.
#pragma once

#include <kv/agent.hpp>
#include <kv/bag.hpp>
#include <kv/bucket.hpp>
#include <kv/bucket_supervisor.hpp>
#include <kv/events.hpp>
#include <kv/ghost.hpp>
#include <kv/process.hpp>
#include <kv/registry.hpp>
#include <kv/report.hpp>
#include <kv/runtime.hpp>
#include <kv/supervision.hpp>
#include <kv/supervisor.hpp>
#include <kv/table.hpp>
#include <kv/table_manager.hpp>
#include <kv/task.hpp>
