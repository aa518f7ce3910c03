//! The director moves from node to node while a client downloads through it: tables prepared, connections synchronised, every byte there.

use super::{Directors, LONG, VIP, dests};
use tests::lab::{Download, now_ns};
use tests::vm::say;

const DOWNLOADS: u16 = 7009;

const CONF: &str = "
lvs_sync_daemon priv0 id 7
virtual_server 10.0.0.31 7009 {
    delay_loop 1
    lvs_sched rr
    lvs_method DR
    real_server 10.0.0.13 7009 {
        TCP_CHECK {
            connect_timeout 10
        }
    }
}";

const TABLE: [&str; 2] = ["-A -t 10.0.0.31:7009 -s rr", "-a -t 10.0.0.31:7009 -r 10.0.0.13:7009 -g -w 1"];

/// What the service is on a node, by its own word and by the kernel's.
fn wait_role(d: &Directors, node: usize, place: &str, role: &str) {
    let sync = format!("{role} on priv0");
    d.wait_services(node, &format!("{place}, {sync}"), |s| {
        let kernel = &s["services"][0]["kernel"][0];
        kernel["place"] == place && kernel["present"] == true && s["sync"] == serde_json::json!([sync])
    });
    let daemons = d.on(node, "ipvsadm", &["-Ln", "--daemon"]);
    let running: Vec<&str> = daemons.lines().filter(|l| l.contains("sync daemon")).collect();
    assert_eq!(running.len(), 1, "{daemons}");
    assert!(running[0].starts_with(&format!("{role} sync daemon (mcast=priv0, syncid=7")), "{daemons}");
    d.wait_table(node, &TABLE);
}

/// The kernel of a node has the client's connection as established: 10.0.0.9:PORT, 10.0.0.31:7009, 10.0.0.13:7009.
fn wait_connection(d: &Directors, node: usize, port: u16) {
    let line = format!("TCP 0A000009 {port:04X} 0A00001F 1B61 0A00000D 1B61 ESTABLISHED");
    d.wait(&format!("the connection in the kernel of node {node}: {line}"), || {
        let text = d.on(node, "cat", &["/proc/net/ip_vs_conn"]);
        if text.contains(&line) { Ok(()) } else { Err(text) }
    });
}

/// Waits until the address is with a node and the download goes on; how long the client heard nothing.
fn goes_on(d: &Directors, download: &Download, since_ns: u64, what: &str) {
    let seen = download.wait_more(400_000, LONG).unwrap_or_else(|e| panic!("{e}\n{}", d.c.describe()));
    let after = seen.silences.iter().filter(|s| s.to_ns > since_ns).map(|s| s.length());
    let longest = after.max().unwrap_or_default();
    say(&format!(
        "measured: a download through a director that moves ({what}): silence of {} ms, on an emulated machine",
        longest.as_millis()
    ));
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn a_download_survives_fail_over() {
    let Some(mut d) = Directors::new("director::failover::a_download_survives_fail_over", 2, 1, CONF) else {
        return;
    };
    let server = d.c.lab.serve_download(d.c.lab.node(2), DOWNLOADS).unwrap();
    let first = d.holder().unwrap();
    let second = 1 - first;
    wait_role(&d, first, "active", "master");
    wait_role(&d, second, "prepared", "backup");
    let download = d.c.lab.download(format!("{VIP}:{DOWNLOADS}").parse().unwrap()).unwrap();
    let begun = download.wait_more(400_000, LONG).unwrap();
    let port = begun.local.unwrap().port();
    wait_connection(&d, first, port);
    wait_connection(&d, second, port);

    // An operator moves it.
    d.wait_ok(first, second);
    d.wait_ok(second, first);
    let mark = now_ns();
    // On a busy machine the first run may take too long, and the next one does it.
    let _ = d.try_ctdb(first, &["disable"]);
    d.wait("the address on the other node", || {
        (d.holder() == Some(second)).then_some(()).ok_or_else(String::new)
    });
    goes_on(&d, &download, mark, "ctdb disable");
    wait_role(&d, second, "active", "master");
    wait_role(&d, first, "prepared", "backup");
    let active = |s: &serde_json::Value| dests(s)[0]["active"] == 1;
    d.wait_services(second, "the connection", active);
    let _ = d.try_ctdb(first, &["enable"]);
    wait_connection(&d, first, port);

    // The daemon of the node that directs is killed; its kernel keeps address and table for a while, and nobody hears it.
    d.wait_ok(second, first);
    let mark = now_ns();
    d.c.daemon(second).kill9().unwrap();
    let vip = VIP.parse().unwrap();
    d.wait("the address on the node that is left", || {
        let holds = d.c.lab.node(first).holds(vip).unwrap();
        holds.then_some(()).ok_or_else(|| d.try_ctdb(first, &["status"]).1)
    });
    goes_on(&d, &download, mark, "kill -9");
    wait_role(&d, first, "active", "master");
    d.wait_services(first, "the connection", active);

    // The next daemon of that node finds everything there, and is prepared again.
    d.c.start(second).unwrap();
    wait_role(&d, second, "prepared", "backup");
    d.wait("the address on one node", || {
        (d.holder() == Some(first)).then_some(()).ok_or_else(|| format!("{:?}", d.c.holders()))
    });
    let all = download.finish(LONG).unwrap_or_else(|e| panic!("{e}\n{}", d.c.describe()));
    say(&format!(
        "measured: {} bytes came through two fail-overs, all of them right, in one connection",
        all.bytes
    ));
    server.kill9().unwrap();
}
