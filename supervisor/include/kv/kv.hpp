// Everything.
#pragma once

#include <kv/agent.hpp>
#include <kv/bucket.hpp>
#include <kv/bucket_supervisor.hpp>
#include <kv/codec.hpp>
#include <kv/events.hpp>
#include <kv/process.hpp>
#include <kv/quarantine.hpp>
#include <kv/registry.hpp>
#include <kv/report.hpp>
#include <kv/runtime.hpp>
#include <kv/supervision.hpp>
#include <kv/supervisor.hpp>
#include <kv/table.hpp>
#include <kv/table_file.hpp>
#include <kv/task.hpp>
