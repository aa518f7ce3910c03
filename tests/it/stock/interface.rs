//! `10.interface` of CTDB in the place of ours.

use super::{has, on, prepare, start, wait_on, wait_script};
use std::net::IpAddr;
use tests::cluster::ClusterConfig;

#[test]
fn stock_10_interface_takes_releases_and_watches() {
    let test = "stock_10_interface_takes_releases_and_watches";
    if !has(test, "iptables", "iptables") || !has(test, "ethtool", "ethtool") {
        return;
    }
    let config =
        ClusterConfig { tunables: vec![("MonitorInterval".to_owned(), 1)], ..ClusterConfig::default() };
    let Some(mut c) = prepare(test, &["00.ctdb", "10.interface"], &config) else { return };
    // Left by a daemon that was killed: `init` drops it.
    let stray: IpAddr = c.addresses[5];
    c.lab.node(0).add_address(&c.iface, stray, 24).unwrap();
    start(&mut c);
    wait_script(&c, 0, "init", "10.interface", "OK");
    let events = c.lab.address_events().unwrap();
    assert!(events.iter().any(|e| e.host == 0 && e.address == stray && !e.added), "{stray} was not dropped");
    // Ours leaves this as it is: it was the script.
    assert_eq!(on(&c, 0, "cat", &["/proc/sys/net/ipv4/conf/all/arp_filter"]), "1\n");

    let probe = c.probe();
    let moved = c.of(0)[0];
    let mark = probe.mark("moveip with stock scripts");
    let _ = c.ctdb(0, &["moveip", &moved.to_string(), "1"]);
    assert_eq!(c.holder(moved), 1);
    crate::story::measure(&probe, &mark, &[moved], crate::story::BOUND);
    wait_script(&c, 0, "releaseip", "10.interface", "OK");
    wait_script(&c, 1, "takeip", "10.interface", "OK");
    // The block of the release was lifted.
    wait_on(&c, 0, &["iptables", "-S", "INPUT"], |rules| rules == "-P INPUT ACCEPT\n");

    c.lab.cut_cable(2, &c.iface).unwrap();
    c.wait_balanced(&[0, 1]);
    c.wait_flags(0, 2, "UNHEALTHY");
    let (_, out, _) = c.try_ctdb(2, &["event", "status", "legacy", "monitor"]);
    assert!(out.contains(&format!("ERROR: No link on the public network interface {}", c.iface)), "{out}");
    c.lab.plug_cable(2, &c.iface).unwrap();
    c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn stock_10_interface_moves_an_address_between_interfaces() {
    let test = "stock_10_interface_moves_an_address_between_interfaces";
    if !has(test, "iptables", "iptables") || !has(test, "ethtool", "ethtool") {
        return;
    }
    let config = ClusterConfig {
        nodes: 1,
        ifaces: vec!["pub0".to_owned(), "pub1".to_owned()],
        addresses: vec!["10.0.0.31/24".to_owned()],
        tunables: vec![("MonitorInterval".to_owned(), 1)],
        legacy: Vec::new(),
        script_options: "CTDB_PARTIALLY_ONLINE_INTERFACES=yes\n".to_owned(),
        ..ClusterConfig::default()
    };
    let Some(mut c) = prepare(test, &["00.ctdb", "10.interface"], &config) else { return };
    start(&mut c);
    let address = c.addresses[0];
    let at = |iface: &str| c.lab.node(0).addresses(iface).unwrap().iter().any(|(a, _)| *a == address);
    let (from, to) = if at("pub0") { ("pub0", "pub1") } else { ("pub1", "pub0") };
    c.lab.cut_cable(0, from).unwrap();
    wait_on(&c, 0, &["ip", "-4", "-o", "address", "show", "dev", to], |o| o.contains("10.0.0.31/24"));
    assert!(!at(from));
    wait_script(&c, 0, "updateip", "10.interface", "OK");
    c.wait_output(0, &["ipinfo", "10.0.0.31"], |o| o.contains(&format!("Name:{from} Link:down")));
}
