//! `91.lvs` as far as a kernel without IP virtual servers goes: who has the address so that it answers ARP, and who only for itself.

use super::{has, on, prepare, start, wait_on, wait_script, write};
use tests::cluster::ClusterConfig;

#[test]
fn stock_91_lvs_leaves_the_address_to_the_leader() {
    let test = "stock_91_lvs_leaves_the_address_to_the_leader";
    if !has(test, "ipvsadm", "ipvsadm") || !has(test, "ethtool", "ethtool") {
        return;
    }
    let config =
        ClusterConfig { tunables: vec![("MonitorInterval".to_owned(), 1)], ..ClusterConfig::default() };
    let Some(mut c) = prepare(test, &["00.ctdb", "91.lvs"], &config) else { return };
    for node in 0..3 {
        let options =
            "CTDB_LVS_NODES=BASE/lvs_nodes\nCTDB_LVS_PUBLIC_IP=10.0.0.228\nCTDB_LVS_PUBLIC_IFACE=bond0\n";
        write(&c, node, "script.options", options);
        write(&c, node, "lvs_nodes", "192.168.20.41\n192.168.20.42\n192.168.20.43 follower-only\n");
    }
    start(&mut c);
    for (leader, asked) in [(0, None), (1, Some("disable")), (0, Some("enable"))] {
        if let Some(word) = asked {
            let _ = c.ctdb(1, &["-n", "0", word]);
        }
        c.wait_output(2, &["lvs", "leader"], |o| o.trim() == leader.to_string());
        for node in 0..3 {
            wait_script(&c, node, "ipreallocated", "91.lvs", "OK");
            // Of the scope of this host it is not answered for (arp_ignore 3).
            let scope = if node == leader { "scope global lo" } else { "scope host lo" };
            let shown = ["ip", "-4", "-o", "address", "show", "dev", "lo"];
            wait_on(&c, node, &shown, |o| {
                o.lines().any(|l| l.contains(" 10.0.0.228/32 ") && l.contains(scope))
            });
            assert_eq!(on(&c, node, "cat", &["/proc/sys/net/ipv4/conf/all/arp_ignore"]), "3\n");
        }
    }
}
