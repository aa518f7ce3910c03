//! R1-3, R2-6 at run time: a real server that passes its checks and to which no connection comes through is told, and told when it is over.

use super::{Directors, VIP, dests};
use serde_json::Value;

const CONF: &str = "
virtual_server 10.0.0.31 7008 {
    delay_loop 1
    lvs_sched rr
    lvs_method DR
    real_server 10.0.0.12 7008 {
        TCP_CHECK {
            connect_timeout 10
        }
    }
}";

fn rules(d: &Directors, node: usize, text: &str) {
    let file = d.c.lab.dir().join("rules.nft");
    std::fs::write(&file, text).unwrap();
    d.on(node, "nft", &["-f", &file.display().to_string()]);
}

fn black(services: &Value) -> bool {
    dests(services).iter().any(|d| d["black_hole"] == true)
}

/// The alarm, everywhere where it is to be seen, while the checks pass; then its end.
fn alarm_and_its_end(d: &Directors, end: impl FnOnce()) {
    let before = d.journal(0).len();
    let client = d.connect();
    let seen = d.wait_services(0, "a black hole", black);
    assert_eq!(seen["exit"], 1, "{seen:#}");
    let server = &seen["services"][0]["servers"][0];
    assert!(server["state"] == "up" && dests(&seen)[0]["weight"] == 1, "{seen:#}");
    let text = d.try_ctdb(0, &["lvs", "services"]).1;
    assert!(text.contains("FORWARDING BLACK HOLE: no connection becomes established"), "{text}");
    let said =
        "forwarding black hole: 10.0.0.12:7008 of tcp 10.0.0.31:7008 passes its checks, but none of the last";
    let new = |text: &str| d.journal(0)[before..].iter().any(|e| e.contains(text));
    assert!(new(said), "{:#?}", d.journal(0));
    assert!(d.c.log(0).contains(said), "{}", d.c.log(0));
    assert_eq!(client.said(), Vec::<String>::new());
    end();
    assert_eq!(client.connected().0, 1);
    d.wait_services(0, "no black hole", |s| !black(s) && s["exit"] == 0);
    let over = "10.0.0.12:7008 of tcp 10.0.0.31:7008: connections become established again";
    assert!(new(over), "{:#?}", d.journal(0));
    client.end();
}

/// The real server drops what the director forwards, and nothing else.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r1_3_a_black_hole_is_told_and_its_end_too() {
    let Some(d) = Directors::new("director::alarm::r1_3", 1, 1, CONF) else { return };
    d.wait_table(0, &["-A -t 10.0.0.31:7008 -s rr", "-a -t 10.0.0.31:7008 -r 10.0.0.12:7008 -g -w 1"]);
    // A connection that came through is remembered for two minutes after its end, and proves the contrary as long.
    d.on(0, "ipvsadm", &["--set", "0", "1", "0"]);
    assert_eq!(d.who(), 1);
    rules(
        &d,
        1,
        &format!(
            "table ip hole {{ chain in {{ type filter hook input priority 0; ip daddr {VIP} drop; }}; }}"
        ),
    );
    alarm_and_its_end(&d, || rules(&d, 1, "delete table ip hole"));
}

/// A firewall of the director that lets the first packet of a connection in and no other.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r2_6_a_firewall_that_accepts_new_connections_only_is_told() {
    let Some(d) = Directors::new("director::alarm::r2_6", 1, 1, CONF) else { return };
    d.wait_table(0, &["-A -t 10.0.0.31:7008 -s rr", "-a -t 10.0.0.31:7008 -r 10.0.0.12:7008 -g -w 1"]);
    rules(
        &d,
        0,
        &format!(
            "table ip site {{ chain in {{ type filter hook input priority 0; ip daddr {VIP} tcp dport 7008 ct state new accept; \
             ip daddr {VIP} drop; }}; }}"
        ),
    );
    // Else a packet from the middle of a connection counts as a new one.
    d.on(0, "sh", &["-c", "echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose"]);
    alarm_and_its_end(&d, || rules(&d, 0, "delete table ip site"));
}
