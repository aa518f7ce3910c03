//! `11.natgw`: nodes reach the world through the one that is the gateway. The same story for CTDB's script and for ours.

use super::{bare, has, on, prepare, start, wait_on, wait_script, write};
use tests::cluster::{Cluster, ClusterConfig};

/// The client is the router to everything.
const OPTIONS: &str = "CTDB_NATGW_NODES=BASE/natgw_nodes
CTDB_NATGW_PUBLIC_IP=10.0.0.227/24
CTDB_NATGW_PUBLIC_IFACE=bond0
CTDB_NATGW_DEFAULT_GATEWAY=10.0.0.9
CTDB_NATGW_PRIVATE_NETWORK=192.168.20.0/24
";

/// Where the client knows no way back from, except through a masquerade.
const WORLD: &str = "10.99.0.1";

fn config() -> ClusterConfig {
    ClusterConfig { tunables: vec![("MonitorInterval".to_owned(), 1)], ..ClusterConfig::default() }
}

fn story(c: &mut Cluster) {
    for node in 0..3 {
        write(c, node, "script.options", OPTIONS);
        write(c, node, "natgw_nodes", "192.168.20.41\n192.168.20.42\n192.168.20.43\tfollower-only\n");
    }
    c.lab.client().add_address("eth0", WORLD.parse().unwrap(), 32).unwrap();
    start(c);
    gateway_is(c, 0);
    let _ = c.ctdb(1, &["-n", "0", "disable"]);
    gateway_is(c, 1);
    let _ = c.ctdb(1, &["-n", "0", "enable"]);
    gateway_is(c, 0);
}

fn gateway_is(c: &Cluster, leader: usize) {
    for node in 0..3 {
        let shown = ["ip", "-4", "-o", "address", "show", "dev", "bond0"];
        wait_on(c, node, &shown, |o| o.contains(" 10.0.0.227/24 ") == (node == leader));
        let via = if node == leader {
            "default via 10.0.0.9 dev bond0 metric 10".to_owned()
        } else {
            format!("default via 192.168.20.4{} dev priv0 metric 10", leader + 1)
        };
        wait_on(c, node, &["ip", "route", "show", "default"], |o| o.trim() == via);
        wait_script(c, node, "ipreallocated", "11.natgw", "OK");
    }
    assert_eq!(on(c, leader, "cat", &["/proc/sys/net/ipv4/ip_forward"]), "1\n");
    // Refused by the client: what was asked and the answer both found their way. Without masquerade there would be silence.
    let world = format!("http://{WORLD}:81/");
    for node in 0..3 {
        wait_on(c, node, &["curl", "-sS", "-m", "2", &world], |o| {
            o.contains("onnection refused") || o.contains("ouldn't connect")
        });
    }
    assert_eq!(c.ctdb(2, &["natgw", "leader"]).split_whitespace().next(), Some(leader.to_string().as_str()));
}

#[test]
fn stock_11_natgw_hands_the_gateway_over() {
    let test = "stock_11_natgw_hands_the_gateway_over";
    if !has(test, "iptables", "iptables") || !has(test, "curl", "curl") || !has(test, "ethtool", "ethtool") {
        return;
    }
    if let Some(mut c) = prepare(test, &["00.ctdb", "11.natgw"], &config()) {
        story(&mut c);
        let rules = on(&c, 0, "iptables", &["-t", "nat", "-S", "POSTROUTING"]);
        assert!(
            rules.contains("-A POSTROUTING -s 192.168.20.0/24 ! -d 192.168.20.0/24 -j MASQUERADE"),
            "{rules}"
        );
    }
}

#[test]
fn own_11_natgw_hands_the_gateway_over() {
    let test = "own_11_natgw_hands_the_gateway_over";
    if !has(test, "curl", "curl") {
        return;
    }
    if let Some(mut c) = bare(test, &config()) {
        story(&mut c);
    }
}
