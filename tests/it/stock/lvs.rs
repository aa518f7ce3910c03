//! `91.lvs` as far as a kernel without IP virtual servers goes: who has the address so that it answers ARP, and who only for itself. The same
//! story for CTDB's script and for ours; and what ours promises beyond it.

use super::{bare, has, on, prepare, start, wait_on, wait_script, write};
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::wait_for;

pub(super) const VIP: &str = "10.0.0.228";

pub(super) fn config() -> ClusterConfig {
    ClusterConfig { tunables: vec![("MonitorInterval".to_owned(), 1)], ..ClusterConfig::default() }
}

pub(super) fn configure(c: &Cluster) {
    for node in 0..3 {
        let options =
            format!("CTDB_LVS_NODES=BASE/lvs_nodes\nCTDB_LVS_PUBLIC_IP={VIP}\nCTDB_LVS_PUBLIC_IFACE=bond0\n");
        write(c, node, "script.options", &options);
        write(c, node, "lvs_nodes", "192.168.20.41\n192.168.20.42\n192.168.20.43 follower-only\n");
    }
}

pub(super) fn leads(c: &Cluster, leader: usize) {
    c.wait_output(2, &["lvs", "leader"], |o| o.trim() == leader.to_string());
    for node in 0..3 {
        wait_script(c, node, "ipreallocated", "91.lvs", "OK");
        // Of the scope of this host it is not answered for (arp_ignore 3).
        let scope = if node == leader { "scope global lo" } else { "scope host lo" };
        let shown = ["ip", "-4", "-o", "address", "show", "dev", "lo"];
        wait_on(c, node, &shown, |o| {
            o.lines().any(|l| l.contains(&format!(" {VIP}/32 ")) && l.contains(scope))
        });
        assert_eq!(on(c, node, "cat", &["/proc/sys/net/ipv4/conf/all/arp_ignore"]), "3\n");
    }
}

fn story(c: &mut Cluster) {
    configure(c);
    start(c);
    for (leader, asked) in [(0, None), (1, Some("disable")), (0, Some("enable"))] {
        if let Some(word) = asked {
            let _ = c.ctdb(1, &["-n", "0", word]);
        }
        leads(c, leader);
    }
}

#[test]
fn stock_91_lvs_leaves_the_address_to_the_leader() {
    let test = "stock_91_lvs_leaves_the_address_to_the_leader";
    if !has(test, "ipvsadm", "ipvsadm") || !has(test, "ethtool", "ethtool") {
        return;
    }
    if let Some(mut c) = prepare(test, &["00.ctdb", "91.lvs"], &config()) {
        story(&mut c);
    }
}

#[test]
fn own_91_lvs_leaves_the_address_to_the_leader() {
    let test = "own_91_lvs_leaves_the_address_to_the_leader";
    if !has(test, "curl", "curl") {
        return;
    }
    let Some(mut c) = bare(test, &config()) else { return };
    let before = on(&c, 2, "cat", &["/proc/sys/net/ipv4/conf/all/arp_ignore"]);
    story(&mut c);
    assert_eq!(answering(&c), Some(mac(&c, 0)));
    // What it did to the host is undone.
    let _ = c.ctdb(1, &["-n", "2", "shutdown"]);
    wait_on(&c, 2, &["ip", "-4", "-o", "address", "show", "dev", "lo"], |o| !o.contains(VIP));
    assert_eq!(on(&c, 2, "cat", &["/proc/sys/net/ipv4/conf/all/arp_ignore"]), before);
}

/// A daemon that stops without a word leaves the address as a leader has it; its kernel must not answer for it all the same.
#[test]
fn own_91_lvs_a_leader_that_hangs_is_silent() {
    let test = "own_91_lvs_a_leader_that_hangs_is_silent";
    if !has(test, "curl", "curl") {
        return;
    }
    // With a lock file, a recmaster that hangs would keep the lock, and nobody could make another leader.
    let config = ClusterConfig { no_reclock: true, ..config() };
    let Some(mut c) = bare(test, &config) else { return };
    configure(&c);
    start(&mut c);
    leads(&c, 0);
    answers(&c, 0);
    c.daemon(0).freeze().unwrap();
    answers(&c, 1);
    let lo = on(&c, 0, "ip", &["-4", "-o", "address", "show", "dev", "lo"]);
    assert!(lo.contains(&format!("{VIP}/32 scope global")), "the story wants two nodes that have it: {lo}");
    for _ in 0..20 {
        assert_eq!(answering(&c), Some(mac(&c, 1)), "{}", c.describe());
    }
    c.daemon(0).thaw().unwrap();
    leads(&c, 0);
    answers(&c, 0);
    for _ in 0..20 {
        assert_eq!(answering(&c), Some(mac(&c, 0)), "{}", c.describe());
    }
}

fn mac(c: &Cluster, node: usize) -> String {
    let mac = c.lab.node(node).link_state("bond0").unwrap().mac;
    mac.map(|b| format!("{b:02x}")).join(":")
}

/// Whose MAC a client learns when it asks for the address now; the first answer counts.
fn answering(c: &Cluster) -> Option<String> {
    let client = c.lab.client();
    client.flush_neighbours("eth0").unwrap();
    let run = |program: &str, args: &[&str]| {
        let done = client.command(program).args(args).output(Duration::from_secs(20)).unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    // What comes of it is another matter: the address is asked for by ARP before.
    run("curl", &["-s", "-m", "1", &format!("http://{VIP}:81/")]);
    let shown = run("ip", &["-4", "neighbour", "show", VIP, "dev", "eth0"]);
    let mut words = shown.split_whitespace().skip_while(|w| *w != "lladdr");
    words.nth(1).map(str::to_owned)
}

pub(super) fn answers(c: &Cluster, node: usize) {
    let want = Some(mac(c, node));
    let waited = wait_for(&format!("node {node} to answer for {VIP}"), SOON, || {
        let got = answering(c);
        if got == want { Ok(()) } else { Err(format!("{got:?}, not {want:?}")) }
    });
    waited.unwrap_or_else(|e| panic!("{e}\n{}", c.describe()));
}
