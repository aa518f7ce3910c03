//! `13.per_ip_routing`: a rule and a table for each address that is here. The same story for CTDB's script and for ours.

use super::{bare, cover, on, prepare, start, wait_on, wait_script, write};
use std::fs;
use std::net::IpAddr;
use tests::cluster::{Cluster, ClusterConfig, SOON};

const OPTIONS: &str = "CTDB_PER_IP_ROUTING_CONF=BASE/policy_routing
CTDB_PER_IP_ROUTING_RULE_PREF=100
CTDB_PER_IP_ROUTING_TABLE_ID_LOW=1000
CTDB_PER_IP_ROUTING_TABLE_ID_HIGH=9000
";

/// Names of routing tables are written to a file that all machines of the lab share: each gets its own.
fn own_tables(c: &Cluster) {
    for node in 0..2 {
        let dir = c.lab.dir().join(format!("n{node}/iproute2"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("rt_tables"), "255\tlocal\n254\tmain\n253\tdefault\n").unwrap();
        cover(c, node, "/etc/iproute2", &dir);
    }
}

fn story(c: &mut Cluster) {
    start(c);
    let of = table;
    let address = c.of(0)[0];
    let shown = address.to_string();
    for node in 0..2 {
        for here in c.of(node) {
            let table = of(c, node, here).unwrap_or_else(|| panic!("no rule from {here} on node {node}"));
            let routes =
                wait_on(c, node, &["ip", "route", "show", "table", &table], |o| o.lines().count() == 2);
            assert!(routes.contains("default via 10.0.0.1 dev bond0"), "{routes}");
            assert!(routes.contains("10.0.0.0/24 dev bond0"), "{routes}");
        }
    }
    assert_eq!(of(c, 1, address), None);
    let old = of(c, 0, address).unwrap();
    let _ = c.ctdb(0, &["moveip", &shown, "1"]);
    wait_on(c, 0, &["ip", "rule"], |o| !o.contains(&shown));
    assert_eq!(on(c, 0, "ip", &["route", "show", "table", &old]), "");
    wait_script(c, 0, "releaseip", "13.per_ip_routing", "OK");
    wait_on(c, 1, &["ip", "rule"], |o| o.contains(&format!("100:\tfrom {shown} lookup")));
    // What was deleted behind the daemon's back is there again after the next run.
    let new = of(c, 1, address).unwrap();
    let _ = on(c, 1, "ip", &["route", "flush", "table", &new]);
    let _ = c.ctdb(1, &["ipreallocate"]);
    wait_on(c, 1, &["ip", "route", "show", "table", &new], |o| o.lines().count() == 2);
}

/// The table that the rule of an address names.
fn table(c: &Cluster, node: usize, address: IpAddr) -> Option<String> {
    let rules = on(c, node, "ip", &["rule"]);
    let start = format!("100:\tfrom {address} lookup ");
    rules.lines().find_map(|l| l.strip_prefix(&start)).map(|t| t.trim().to_owned())
}

fn configure(c: &Cluster) {
    for node in 0..2 {
        let lines = |a: &IpAddr| format!("{a} 10.0.0.0/24\n{a} 0.0.0.0/0 10.0.0.1\n");
        write(c, node, "policy_routing", &c.addresses.iter().map(lines).collect::<String>());
        write(c, node, "script.options", OPTIONS);
    }
    own_tables(c);
}

fn config() -> ClusterConfig {
    ClusterConfig {
        nodes: 2,
        tunables: vec![("IPAllocAlgorithm".to_owned(), 1), ("NoIPFailback".to_owned(), 1)],
        ..ClusterConfig::default()
    }
}

#[test]
fn stock_13_per_ip_routing_follows_the_addresses() {
    let test = "stock_13_per_ip_routing_follows_the_addresses";
    let Some(mut c) = prepare(test, &["00.ctdb", "13.per_ip_routing"], &config()) else { return };
    configure(&c);
    story(&mut c);
}

#[test]
fn own_13_per_ip_routing_follows_the_addresses() {
    let Some(mut c) = bare("own_13_per_ip_routing_follows_the_addresses", &config()) else { return };
    configure(&c);
    story(&mut c);
    // As CTDB: an end leaves nothing.
    let _ = c.ctdb(0, &["shutdown"]);
    c.daemon(0).wait_exit(SOON).unwrap();
    assert!(!on(&c, 0, "ip", &["rule"]).contains("100:"));
}
