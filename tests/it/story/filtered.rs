//! Story: a firewall drops the cluster's traffic between two nodes, and nothing else (field report R2, acceptance line R2-1).

use std::process::Command;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig};

/// Generous: the machine is busy with other tests.
const LIMIT: Duration = Duration::from_secs(30);

fn nft(c: &Cluster, node: usize, rules: &str) {
    let out = c.lab.node(node).command("nft").arg(rules).output(LIMIT).unwrap();
    assert!(out.status.success(), "{out:?}");
}

#[test]
fn r2_1_a_filtered_heartbeat_is_told_while_it_is() {
    let test = "r2_1_a_filtered_heartbeat_is_told_while_it_is";
    if !Command::new("nft").arg("--version").output().is_ok_and(|o| o.status.success()) {
        println!("skipped: {test}: needs nft (package nftables)");
        return;
    }
    let tunables = [("KeepaliveInterval", 1), ("KeepaliveLimit", 3)].map(|(name, n)| (name.to_owned(), n));
    let config = ClusterConfig { tunables: tunables.into(), ..ClusterConfig::default() };
    let Some(c) = Cluster::for_test(test, &config) else { return };
    c.settle(0);
    let private = |node: usize| format!("192.168.20.{}", 41 + node);
    let line = |of: usize| format!("Node {of} ({}): peer alive, heartbeat filtered", private(of));
    let before = c.ctdb(1, &["-X", "status"]);
    assert!(!c.ctdb(1, &["status"]).contains("filtered"));
    for (node, peer) in [(1, 2), (2, 1)] {
        let from = private(peer);
        nft(
            &c,
            node,
            &format!(
                "table inet site {{ chain in {{ type filter hook input priority 0; policy accept; \
                 ip saddr {from} meta l4proto {{ tcp, udp }} th dport 4379 drop; \
                 ip saddr {from} meta l4proto {{ tcp, udp }} th sport 4379 drop;\n}}\n}}"
            ),
        );
    }
    for (node, peer) in [(1, 2), (2, 1)] {
        c.wait_output(node, &["status"], |out| out.contains(&line(peer)));
        let said = c.wait_entry(node, "peer", |t| t.contains("heartbeat filtered"));
        let answers = format!("but {} answers echo requests", private(peer));
        assert!(said.starts_with(&format!("node {peer}: peer alive")) && said.contains(&answers), "{said}");
        let json: serde_json::Value = serde_json::from_str(&c.ctdb(node, &["--json", "status"])).unwrap();
        assert_eq!(json["node_status"]["nodes"][peer.to_string()]["host"], "filtered", "{json}");
    }
    assert!(!c.ctdb(0, &["status"]).contains("filtered"), "node 0 hears both");
    for node in [1, 2] {
        nft(&c, node, "delete table inet site");
    }
    for (node, peer) in [(1, 2), (2, 1)] {
        c.wait_flags(node, peer, "OK");
        assert!(!c.ctdb(node, &["status"]).contains("filtered"));
    }
    let after = c.ctdb(1, &["-X", "status"]);
    let columns = |text: &str| text.lines().map(|l| l.split('|').count()).collect::<Vec<_>>();
    assert_eq!(columns(&before), columns(&after));
}
