#include <kv/supervisor.hpp>

#include <vector>

namespace kv {

namespace {

/// What the names in a tree are.
struct tree_names {
  explicit tree_names(const std::string& tree)
      : events(tree + ".events"),
        buckets(tree + ".buckets"),
        registry(tree + ".registry"),
        names(tree + ".names"),
        outbox(tree + ".outbox"),
        waiting(tree + ".waiting"),
        quarantine(tree + ".quarantine"),
        subscriptions(tree + ".subscriptions") {}

  std::string events, buckets, registry;                          // processes
  std::string names, outbox, waiting, quarantine, subscriptions;  // tables
};

/// Runs in the root supervisor, which therefore owns the tables: they outlive each of its children.
std::vector<child_spec> init(runtime& home, const tree_options& options) {
  const tree_names n(options.name);
  const auto subscriptions =
      subscription_table::create(home, {.name = n.subscriptions, .access = table_access::public_});
  const registry_options parts{
      .names = names_table::create(home, {.name = n.names, .access = table_access::public_}),
      .outbox = outbox_table::create(home, {.name = n.outbox, .access = table_access::public_}),
      .waiting = waiting_table::create(home, {.name = n.waiting, .access = table_access::public_}),
      .events = registry_events(home, n.events),
      .buckets = n.buckets,
      .quarantine = names_quarantine::create(home, {.name = n.quarantine, .access = table_access::public_}),
      .validate = options.validate};
  const event_manager_options events{.handler_deadline = options.handler_deadline, .greet = n.registry};
  return {worker("events", [=] { return start_event_manager(n.events, subscriptions, events); }),
          supervisor_child("buckets", [=] { return spawn_link_named<bucket_supervisor>(n.buckets).id(); }),
          worker("registry", [=] { return spawn_link_named<registry_server>(n.registry, parts).id(); })};
}

}  // namespace

tree start_tree(runtime& home, const tree_options& options) {
  const tree_names n(options.name);
  const supervisor_options intensity{.max_restarts = options.max_restarts, .period = options.period};
  const auto start_children = [&home, options] { return init(home, options); };
  const auto root = self_if_any() ? spawn_link_named<supervisor>(options.name, intensity, start_children)
                                  : home.spawn_named<supervisor>(options.name, intensity, start_children);
  const auto names = names_table::find(home, n.names);
  const auto waiting = waiting_table::find(home, n.waiting);
  if (!names || !waiting)
    throw start_error("tree " + options.name + " ended as soon as it was there", exit_reason::noproc);
  const registry_events events(home, n.events);
  return {root, registry(home, n.registry, *names, *waiting, events), events};
}

}  // namespace kv
