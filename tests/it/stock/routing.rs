//! `11.routing`: routes that come and go with the addresses of an interface. The same story for CTDB's script and for ours.

use super::{bare, prepare, start, wait_on, wait_script, write};
use tests::cluster::{Cluster, ClusterConfig};

/// One address, so that a node that does not have it has nothing of its network but its own.
fn config() -> ClusterConfig {
    ClusterConfig { nodes: 2, ..ClusterConfig::default() }
}

fn story(c: &mut Cluster) {
    for node in 0..2 {
        write(c, node, "static-routes", "bond0 10.3.3.0/24 10.0.0.1\nnone0 10.4.4.0/24 10.0.0.1\n");
    }
    start(c);
    for node in 0..2 {
        wait_on(c, node, &["ip", "route", "show", "10.3.3.0/24"], |o| {
            o.trim() == "10.3.3.0/24 via 10.0.0.1 dev bond0"
        });
        wait_script(c, node, "ipreallocated", "11.routing", "OK");
    }
    // A route that went is there again after the next run.
    let _ = super::on(c, 0, "ip", &["route", "del", "10.3.3.0/24"]);
    let _ = c.ctdb(0, &["ipreallocate"]);
    wait_on(c, 0, &["ip", "route", "show", "10.3.3.0/24"], |o| o.contains("via 10.0.0.1 dev bond0"));
}

#[test]
fn stock_11_routing_sets_static_routes() {
    if let Some(mut c) = prepare("stock_11_routing_sets_static_routes", &["11.routing"], &config()) {
        story(&mut c);
    }
}

#[test]
fn own_11_routing_sets_static_routes() {
    if let Some(mut c) = bare("own_11_routing_sets_static_routes", &config()) {
        story(&mut c);
    }
}
