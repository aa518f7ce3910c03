//! `91.lvs`: what an operator changes while it serves (address, no group at all), and that its address is announced as public ones are.

use super::lvs::{config, configure, leads};
use super::{bare, has, on, start, wait_on, wait_script, write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::wait_for;

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 229);

fn wait_lo(c: &Cluster, node: usize, what: &str, good: impl Fn(&str) -> bool) {
    let shown = wait_on(c, node, &["ip", "-4", "-o", "address", "show", "dev", "lo"], good);
    println!("node {node}: {what}: {shown}");
}

#[test]
fn own_91_lvs_changed_options_are_in_force_with_the_next_run() {
    let test = "own_91_lvs_changed_options_are_in_force_with_the_next_run";
    if !has(test, "nft", "nftables") {
        return;
    }
    let mut tunables = config().tunables;
    tunables.extend([("GratuitousArpCount".to_owned(), 8), ("GratuitousArpIntervalMs".to_owned(), 50)]);
    let Some(mut c) = bare(test, &ClusterConfig { tunables, ..config() }) else { return };
    let before = on(&c, 0, "cat", &["/proc/sys/net/ipv4/conf/all/arp_ignore"]);
    configure(&c);
    start(&mut c);
    leads(&c, 0);
    let witness = c.lab.arp_witness("bond0", OTHER, Duration::from_millis(2)).unwrap();
    for node in 0..3 {
        let options = format!(
            "CTDB_LVS_NODES=BASE/lvs_nodes\nCTDB_LVS_PUBLIC_IP={OTHER}\nCTDB_LVS_PUBLIC_IFACE=bond0\n"
        );
        write(&c, node, "script.options", &options);
    }
    let _ = c.ctdb(1, &["ipreallocate"]);
    for node in 0..3 {
        let scope = if node == 0 { "scope global lo" } else { "scope host lo" };
        wait_lo(&c, node, "the new address alone", |o| {
            o.lines().any(|l| l.contains(&format!(" {OTHER}/32 ")) && l.contains(scope))
                && !o.contains(super::lvs::VIP)
        });
        wait_script(&c, node, "ipreallocated", "91.lvs", "OK");
    }
    // Through the gate, which has not heard of it before.
    let probe = c.lab.probe(&[OTHER.into()]).unwrap();
    probe.wait_answers_from(IpAddr::V4(OTHER), 0, SOON).unwrap_or_else(|e| panic!("{e}\n{}", c.describe()));
    // As often as a public address, and as fast.
    wait_for("eight announcements", Duration::from_secs(10), || {
        let report = witness.report().map_err(|e| e.to_string())?;
        if report.announced == 8 { Ok(()) } else { Err(format!("{} announcements", report.announced)) }
    })
    .unwrap();
    // It is guarded there, too: a leader that hangs is silent. Then no group at all.
    let gate = on(&c, 0, "nft", &["list", "ruleset"]);
    assert!(!gate.contains("10.0.0.228"), "the former address is not guarded any more: {gate}");
    for node in 0..3 {
        write(&c, node, "script.options", "");
    }
    let _ = c.ctdb(1, &["ipreallocate"]);
    for node in 0..3 {
        wait_lo(&c, node, "nothing", |o| !o.contains(&OTHER.to_string()));
    }
    assert_eq!(on(&c, 0, "cat", &["/proc/sys/net/ipv4/conf/all/arp_ignore"]), before);
    assert!(witness.report().unwrap().duals.is_empty());
    // And back again.
    configure(&c);
    let _ = c.ctdb(1, &["ipreallocate"]);
    leads(&c, 0);
}
