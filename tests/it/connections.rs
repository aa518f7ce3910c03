//! Clients with open TCP connections through fail-overs (issue "Drop-in", connections): an idle client is told at once that its server is another
//! one, and connects anew; no half of a connection stays behind.
//!
//! The clients send nothing, so only a RST tells them: without it they would wait for ever, and the tests for [`SOON`]. How soon it comes is
//! printed, and bounded generously.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::agent::TCP_PORT;
use tests::lab::{Process, children, now_ns, wait_for};

const AGENT: &str = env!("CARGO_BIN_EXE_lab-agent");

/// What a client says.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Connected { at_ns: u64, node: usize, local: SocketAddr },
    Lost { at_ns: u64, why: String },
}

/// A client that stays connected to an address.
struct Client {
    addr: IpAddr,
    said: Arc<Mutex<Vec<Said>>>,
    _process: Process,
}

impl Client {
    fn start(c: &Cluster, addr: IpAddr) -> Self {
        let command = c.lab.client().command(AGENT).args(["tcp-client", "--addr", &addr.to_string()]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (out, all) = (process.stdout.take().unwrap(), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let words: Vec<&str> = line.splitn(4, ' ').collect();
                let at_ns = words[1].parse().unwrap();
                all.lock().unwrap().push(match words[0] {
                    "connected" => Said::Connected {
                        at_ns,
                        node: words[2].parse().unwrap(),
                        local: words[3].parse().unwrap(),
                    },
                    _ => Said::Lost { at_ns, why: words[2..].join(" ") },
                });
            }
        });
        Self { addr, said, _process: process }
    }

    fn said(&self) -> Vec<Said> {
        self.said.lock().unwrap().clone()
    }

    /// Waits until the client is connected to one of these nodes; its own end of the connection.
    fn connected_to(&self, nodes: &[usize]) -> SocketAddr {
        wait_for(&format!("a connection of {} to one of {nodes:?}", self.addr), SOON, || {
            match self.said().last() {
                Some(Said::Connected { node, local, .. }) if nodes.contains(node) => Ok(*local),
                _ => Err(format!("{:?}", self.said())),
            }
        })
        .unwrap()
    }

    /// The first loss since then, and the connection after it.
    fn loss_since(&self, since_ns: u64) -> Option<(Duration, String, Duration)> {
        let said = self.said();
        let mut later = said.iter().skip_while(|s| match s {
            Said::Lost { at_ns, .. } | Said::Connected { at_ns, .. } => *at_ns < since_ns,
        });
        let after = |at_ns: u64| Duration::from_nanos(at_ns - since_ns);
        let (lost, why) = later.find_map(|s| match s {
            Said::Lost { at_ns, why } => Some((after(*at_ns), why.clone())),
            Said::Connected { .. } => None,
        })?;
        let again = later.find_map(|s| match s {
            Said::Connected { at_ns, .. } => Some(after(*at_ns)),
            Said::Lost { .. } => None,
        })?;
        Some((lost, why, again))
    }
}

/// Three nodes with a TCP service, an IPv4 and an IPv6 address for each, and a client on every address whose connection all nodes know.
struct Trial {
    c: Cluster,
    clients: Vec<Client>,
    _services: Vec<Process>,
}

fn trial(name: &str) -> Option<Trial> {
    let v4 = (31..=33).map(|n| format!("10.0.0.{n}/24"));
    let v6 = (31..=33).map(|n| format!("fd00:a::{n}/64"));
    let config = ClusterConfig {
        addresses: v4.chain(v6).collect(),
        tunables: vec![("TickleUpdateInterval".to_owned(), 1)],
        ..ClusterConfig::default()
    };
    let c = Cluster::for_test(name, &config)?;
    let leader = c.leader_seen_by(0);
    c.settle(leader);
    let serve = |node: usize| {
        c.lab.node(node).command(AGENT).args(["tcp-serve", "--node", &node.to_string()]).spawn().unwrap()
    };
    let services = (0..3).map(serve).collect();
    let clients = c.addresses.iter().map(|a| Client::start(&c, *a)).collect();
    let trial = Trial { c, clients, _services: services };
    trial.known_everywhere();
    Some(trial)
}

impl Trial {
    /// Waits until every node knows every client.
    fn known_everywhere(&self) {
        for client in &self.clients {
            let local = client.connected_to(&[0, 1, 2]);
            let line = format!("SRC: {local}   DST: {}", SocketAddr::new(client.addr, TCP_PORT));
            for node in 0..3 {
                self.c
                    .wait_output(node, &["gettickles", &client.addr.to_string()], |out| out.contains(&line));
            }
        }
    }

    /// Connections of the service in a node's kernel to these addresses, as `/proc/net/tcp` shows them; neither listening nor TIME_WAIT.
    fn half_open(&self, node: usize, addresses: &[IpAddr]) -> Vec<String> {
        let output =
            self.c.lab.node(node).command("cat").args(["/proc/net/tcp", "/proc/net/tcp6"]).output(SOON);
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let connection = |line: &&str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let local = words.get(1).and_then(|end| end.rsplit_once(':'));
            let state = words.get(3).copied().unwrap_or_default();
            local.is_some_and(|(addr, port)| {
                port == format!("{TCP_PORT:04X}") && addresses.iter().any(|a| addr == proc_form(*a))
            }) && state != "0A"
                && state != "06"
        };
        text.lines().filter(connection).map(str::to_owned).collect()
    }

    /// Does something to the holder of these addresses; their clients get a RST and connect anew to others, all other clients notice
    /// nothing.
    fn strike(
        &self,
        label: &str,
        lost: &[IpAddr],
        victim: usize,
        bound: Duration,
        fault: impl FnOnce(&Cluster),
    ) {
        assert!(!lost.is_empty(), "{label}: node {victim} has no address");
        let others: Vec<usize> = (0..3).filter(|n| *n != victim).collect();
        for addr in lost {
            assert!(
                !self.half_open(victim, &[*addr]).is_empty(),
                "{label}: the test sees the connection to {addr}"
            );
        }
        let since = now_ns();
        fault(&self.c);
        for client in self.clients.iter().filter(|c| lost.contains(&c.addr)) {
            let what = format!("{label}: a RST for the client of {}", client.addr);
            let (after, why, again) = wait_for(&what, SOON, || {
                client.loss_since(since).ok_or_else(|| format!("{:?}", client.said()))
            })
            .unwrap_or_else(|e| panic!("{e}\n{}", self.c.describe()));
            client.connected_to(&others);
            println!(
                "measured: {label}: {}: {why} after {:.1} ms, connected again after {:.1} ms",
                client.addr,
                after.as_secs_f64() * 1e3,
                again.as_secs_f64() * 1e3
            );
            assert_eq!(why, "connection reset", "{label}: {}", client.addr);
            assert!(after < bound, "{label}: {} was told after {after:?}, bound {bound:?}", client.addr);
        }
        for client in self.clients.iter().filter(|c| !lost.contains(&c.addr)) {
            assert_eq!(client.loss_since(since), None, "{label}: {} was not affected", client.addr);
        }
    }

    /// Waits until a node has no half of a connection to these addresses.
    fn nothing_half_open(&self, label: &str, node: usize, addresses: &[IpAddr]) {
        wait_for(&format!("{label}: no connection left on node {node}"), SOON, || {
            match self.half_open(node, addresses) {
                left if left.is_empty() => Ok(()),
                left => Err(left.join("\n")),
            }
        })
        .unwrap();
    }
}

/// An address as `/proc/net/tcp6` writes it: the service's socket is one of IPv6 also for IPv4 clients.
fn proc_form(addr: IpAddr) -> String {
    let bytes = match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let word = |w: &[u8]| format!("{:08X}", u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
    bytes.chunks(4).map(word).collect()
}

#[test]
fn clients_of_moved_addresses_are_reset_and_connect_anew() {
    let Some(t) = trial("clients_of_moved_addresses_are_reset") else { return };
    let bound = Duration::from_secs(5);
    // One address by hand.
    let addr = t.c.addresses[0];
    let victim = t.c.holder(addr);
    let to = (victim + 1) % 3;
    let label = "moveip";
    t.strike(label, &[addr], victim, bound, |c| {
        drop(c.ctdb(victim, &["moveip", &addr.to_string(), &to.to_string()]))
    });
    t.nothing_half_open(label, victim, &[addr]);
    t.known_everywhere();
    // All addresses of a node.
    let lost = t.c.of(to);
    let label = "disable";
    t.strike(label, &lost, to, bound, |c| drop(c.ctdb(to, &["disable"])));
    t.nothing_half_open(label, to, &lost);
}

#[test]
fn clients_of_a_killed_daemon_are_woken_by_the_new_node() {
    let Some(t) = trial("clients_of_a_killed_daemon_are_woken") else { return };
    let leader = t.c.leader_seen_by(0);
    let victim = (leader + 1) % 3;
    let lost = t.c.of(victim);
    let label = "kill -9 of the daemon";
    t.strike(label, &lost, victim, Duration::from_secs(10), |c| {
        let _killed = c.daemon(victim).kill9().unwrap();
    });
    // The guard has done it.
    t.nothing_half_open(label, victim, &lost);
}

#[test]
fn clients_of_a_frozen_node_are_woken_by_the_new_node() {
    let Some(t) = trial("clients_of_a_frozen_node_are_woken") else { return };
    let leader = t.c.leader_seen_by(0);
    let victim = (leader + 1) % 3;
    let lost = t.c.of(victim);
    let daemon = t.c.daemon(victim).pid();
    let signal = |signal: Signal| {
        for pid in children(daemon).into_iter().chain([daemon]) {
            // A script may have ended meanwhile.
            kill(Pid::from_raw(pid), signal).ok();
        }
    };
    let label = "freeze of a node";
    t.strike(label, &lost, victim, Duration::from_secs(12), |_| signal(Signal::SIGSTOP));
    assert!(!t.half_open(victim, &lost).is_empty(), "its kernel still has them, behind the gate");
    signal(Signal::SIGCONT);
    t.nothing_half_open(label, victim, &lost);
    t.c.wait_balanced(&[0, 1, 2]);
}

#[test]
fn operators_tell_and_ask_of_connections() {
    let Some(c) = Cluster::for_test(
        "operators_tell_and_ask_of_connections",
        &ClusterConfig {
            tunables: vec![("TickleUpdateInterval".to_owned(), 1)],
            addresses: vec!["10.0.0.31/24".to_owned(), "fd00:a::31/64".to_owned()],
            nodes: 2,
            ..ClusterConfig::default()
        },
    ) else {
        return;
    };
    let node = c.holder(c.addresses[0]);
    let other = 1 - node;
    assert_eq!(c.ctdb(node, &["addtickle", "10.0.0.77:1022", "10.0.0.31:2049"]), "");
    let told =
        "Connections for IP: 10.0.0.31\nNum connections: 1\nSRC: 10.0.0.77:1022   DST: 10.0.0.31:2049\n";
    assert_eq!(c.ctdb(node, &["gettickles", "10.0.0.31"]), told);
    assert_eq!(c.ctdb(node, &["gettickles", "10.0.0.31", "2049"]), told);
    assert!(c.ctdb(node, &["gettickles", "10.0.0.31", "445"]).contains("Num connections: 0\n"));
    assert_eq!(
        c.ctdb(node, &["-X", "gettickles", "10.0.0.31"]),
        "|Source IP|Port|Destination IP|Port|\n|10.0.0.77|1022|10.0.0.31|2049|\n"
    );
    // It is replicated, and so is its end.
    c.wait_output(other, &["gettickles", "10.0.0.31"], |out| out == told);
    assert_eq!(c.ctdb(node, &["deltickle", "10.0.0.77:1022", "10.0.0.31:2049"]), "");
    c.wait_output(other, &["gettickles", "10.0.0.31"], |out| out.contains("Num connections: 0\n"));
    let v6 = ["addtickle", "fd00:a::77:1022", "[fd00:a::31]:2049"];
    assert_eq!(c.ctdb(node, &v6), "");
    let json: serde_json::Value =
        serde_json::from_str(&c.ctdb(node, &["--json", "gettickles", "fd00:a::31"])).unwrap();
    assert_eq!(json["connections"][0]["source"]["port"], 1022, "{json}");
    let (code, out, err) = c.try_ctdb(node, &["addtickle", "10.0.0.77:1", "10.0.0.99:2"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("Failed to add 1 tickles\n10.0.0.99 is not a public address"), "{err}");
    let (code, _, err) = c.try_ctdb(node, &["deltickle", "10.0.0.77:1", "10.0.0.99:2"]);
    assert_eq!(code, 1);
    assert!(err.starts_with("Failed to remove 1 tickles\n"), "{err}");
    // Without a daemon: a packet leaves, to whomever.
    assert_eq!(c.ctdb(node, &["tickle", "10.0.0.9:1022", "10.0.0.31:2049"]), "");
}

#[test]
fn scripts_end_connections_with_the_helper_of_ctdb() {
    let Some(t) = trial("scripts_end_connections_with_the_helper_of_ctdb") else { return };
    let (client, others) = t.clients.split_first().unwrap();
    let node = t.c.holder(client.addr);
    let end = client.connected_to(&[node]);
    let since = now_ns();
    // CTDB's scripts name both directions.
    let helper = t.c.lab.paths(node).run.join("helper/ctdb_killtcp");
    let ends = [SocketAddr::new(client.addr, TCP_PORT).to_string(), end.to_string()];
    let command = t.c.lab.node(node).command(helper).arg(&t.c.iface).args(ends);
    let output = command.output(SOON).unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    wait_for("the client's loss and its next connection", SOON, || {
        client.loss_since(since).ok_or_else(|| format!("{:?}", client.said()))
    })
    .unwrap();
    for other in others {
        assert_eq!(other.loss_since(since), None, "{}", other.addr);
    }
}
