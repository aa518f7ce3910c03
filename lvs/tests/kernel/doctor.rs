//! `ctdb lvs doctor` on live tables: everything is gathered from a real director, a real server, or a client beside them.
//!
//! What it reads of `/proc/net` is that of a process, so each run is this binary again, started in the host's namespace.

use crate::net::{Switch, converge, run, sysctl, wait_for};
use crate::reports::config;
use lvs::director::Director;
use lvs::doctor::gather::{Question, gather};
use lvs::doctor::{Verdict, examine};
use lvs::ipvs::Kernel;
use lvs::model::Table;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hosts of the switch.
const CLIENT: usize = 1;
const DIRECTOR: usize = 2;
const REAL: [usize; 2] = [3, 4];
/// Where the daemons of this cluster are, for once.
const PORT: u16 = 43790;

/// Two services by direct routing, one with a check that speaks, one without.
const WEB: &str = "
virtual_server 10.9.0.100 80 {
    lvs_method DR
    lvs_sched rr
    real_server 10.9.0.3 80 { HTTP_GET { url { path /
        }
        connect_timeout 4
        }
    }
    real_server 10.9.0.4 80 { HTTP_GET { url { path /
        }
        connect_timeout 4
        }
    }
}
virtual_server 10.9.0.101 80 {
    lvs_method DR
    lvs_sched rr
    real_server 10.9.0.3 80 { TCP_CHECK { }
    }
    real_server 10.9.0.4 80 { TCP_CHECK { }
    }
}";

const TUNNELS: &str = "
virtual_server 10.9.0.100 80 {
    lvs_method TUN
    lvs_sched rr
    real_server 10.9.0.3 80 { TCP_CHECK { }
    }
    real_server 10.9.0.4 80 { TCP_CHECK { }
    }
}";

const TUNNELS_V6: &str = "
virtual_server fd00:9::100 80 {
    lvs_method TUN
    lvs_sched rr
    real_server fd00:9::3 80 { TCP_CHECK { }
    }
    real_server 10.9.0.4 80 { TCP_CHECK { }
    }
}";

/// Packets of port 80 that are new, and no others.
const NEW_ONLY: &str = "table inet site { chain in { type filter hook input priority 0; policy accept; tcp dport 80 ct state new accept; \
                        tcp dport 80 drop; }; }";

/// One line of the doctor.
#[derive(Debug)]
struct Line {
    check: String,
    verdict: Verdict,
    text: String,
}

/// A web server in this namespace. Lives as long as the test's process.
fn web() {
    let listener = TcpListener::bind("[::]:80").expect("port 80");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            });
        }
    });
}

/// Client, director with the table of a configuration, and two real servers with a web server each.
fn lab(prefix: &str, text: &'static str, vips: &[&'static str]) -> Switch {
    let switch = Switch::new(prefix, 4);
    for vip in vips {
        switch.ip(DIRECTOR, &format!("addr add {vip} dev eth0\n"));
    }
    switch.on(DIRECTOR, || sysctl("ipv4/ip_forward", "1"));
    for host in REAL {
        switch.on(host, move || {
            sysctl("ipv4/conf/all/arp_ignore", "1");
            sysctl("ipv4/conf/all/arp_announce", "2");
            web();
        });
        for vip in vips {
            switch.ip(host, &format!("addr add {vip} dev lo\n"));
        }
    }
    switch.on(DIRECTOR, move || {
        let mut director = Director::new(1, BTreeSet::new());
        director.reload(config(text), Duration::ZERO);
        let desired = director.desired(&Table::new(), &Default::default(), Duration::ZERO);
        converge(&mut Kernel::open().expect("IPVS"), &desired);
    });
    switch
}

/// The doctor on one host, as `ctdb lvs doctor` runs it. `more` are variables of the child below.
fn doctor(switch: &Switch, host: usize, text: &'static str, more: &[&str]) -> Vec<Line> {
    let file = format!("/run/doctor-{}.conf", switch.name(host));
    std::fs::write(&file, text).expect("a file");
    let binary = std::env::current_exe().expect("this binary");
    let file = format!("DOCTOR_FILE={file}");
    let name = switch.name(host);
    let mut args = vec!["netns", "exec", &name, "env", &file];
    args.extend(more);
    args.extend([
        binary.to_str().expect("its path"),
        "--ignored",
        "--exact",
        "doctor::the_child",
        "--nocapture",
    ]);
    let out = run("ip", &args, "");
    let lines: Vec<Line> =
        out.lines().filter_map(|l| l.split_once("FINDING ")).map(|(_, json)| line(json)).collect();
    assert!(!lines.is_empty(), "{out}");
    lines
}

fn line(json: &str) -> Line {
    let value: serde_json::Value = serde_json::from_str(json).expect(json);
    let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let verdict = serde_json::from_value(value["verdict"].clone()).expect(json);
    Line { check: field("check"), verdict, text: format!("{}; {}", field("evidence"), field("remedy")) }
}

/// What the tests above start in a namespace.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn the_child() {
    let Ok(file) = std::env::var("DOCTOR_FILE") else { return };
    let text = std::fs::read_to_string(file).expect("the file");
    let seconds = std::env::var("DOCTOR_WINDOW").map_or(1, |w| w.parse().expect("seconds"));
    let nodes = std::env::var("DOCTOR_NODES").unwrap_or_default();
    let question = Question {
        config: config(Box::leak(text.into_boxed_str())),
        vip: None,
        nodes: nodes.split_whitespace().map(|n| n.parse().expect(n)).collect(),
        port: PORT,
        window: Duration::from_secs(seconds),
        self_test: std::env::var_os("DOCTOR_SELFTEST").is_some(),
    };
    println!();
    for finding in examine(&gather(&question)) {
        println!("FINDING {}", serde_json::to_string(&finding).expect("JSON"));
    }
}

/// The lines of a check that have a word in them.
fn of<'a>(lines: &'a [Line], check: &str, word: &str) -> Vec<&'a Line> {
    lines.iter().filter(|l| l.check == check && l.text.contains(word)).collect()
}

/// The one line of a check with a word in it: its verdict, and what it must say.
fn says(lines: &[Line], check: &str, word: &str, verdict: Verdict, parts: &[&str]) {
    let [line] = of(lines, check, word)[..] else { panic!("no one {check} with {word}: {lines:#?}") };
    assert_eq!(line.verdict, verdict, "{line:?}");
    for part in parts {
        assert!(line.text.contains(part), "{part:?} is not in {line:?}");
    }
}

/// Clients that connect again and again while something is done.
fn under_traffic<T>(switch: &Switch, at: &'static str, job: impl FnOnce() -> T) -> T {
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Ordering::SeqCst);
    let name = switch.name(CLIENT);
    let clients = std::thread::spawn(move || {
        crate::net::within(&name, move || {
            let at: SocketAddr = at.parse().expect(at);
            while !STOP.load(Ordering::SeqCst) {
                let _ = TcpStream::connect_timeout(&at, Duration::from_millis(100));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
    });
    let done = job();
    STOP.store(true, Ordering::SeqCst);
    clients.join().expect("clients");
    done
}

/// R3-3. A good configuration on a live director: every fact is there, and no line complains.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_3_a_good_director_has_no_bad_line() {
    let switch = lab("dg", WEB, &["10.9.0.100/32", "10.9.0.101/32"]);
    // Another node of the cluster.
    switch.on(CLIENT, || {
        let listener = TcpListener::bind(("10.9.0.1", PORT)).expect("the nodes' port");
        std::thread::spawn(move || listener.incoming().for_each(drop));
    });
    let more = ["DOCTOR_SELFTEST=1", "DOCTOR_NODES=10.9.0.2 10.9.0.1"];
    let lines = doctor(&switch, DIRECTOR, WEB, &more);
    let bad: Vec<&Line> = lines.iter().filter(|l| l.verdict >= Verdict::Warning).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    // Looked at, not passed over; but the virtual addresses are here, and no connection has come yet.
    let passed_over: Vec<&str> =
        lines.iter().filter(|l| l.verdict == Verdict::NotLookedAt).map(|l| l.check.as_str()).collect();
    assert_eq!(passed_over, ["through", "through"], "{lines:#?}");
    for (check, word) in [
        ("ip_vs", "IPVS 1."),
        ("forwarding", "DR: "),
        ("conn_tab_bits", "0 connections in a table of 4096"),
        ("heartbeat", "10.9.0.1: port 43790 answers"),
    ] {
        says(&lines, check, word, Verdict::Ok, &[]);
    }
    assert_eq!(of(&lines, "segment", "10.9.0.3:80 is on the link eth0").len(), 2, "for each service");
    for vip in ["10.9.0.100", "10.9.0.101"] {
        says(&lines, "arp", vip, Verdict::Ok, &["nobody else answers"]);
        assert_eq!(of(&lines, "listens", &format!("of tcp {vip}:80")).len(), 2, "{lines:#?}");
    }
    says(&lines, "firewall", "10.9.0.100", Verdict::Ok, &["new and invalid packets pass"]);
}

/// R3-2. Through a live director from another host: works, does not; beside what the real servers themselves say.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_2_through_a_live_director() {
    let switch = lab("dt", WEB, &["10.9.0.100/32", "10.9.0.101/32"]);
    let lines = doctor(&switch, CLIENT, WEB, &[]);
    says(
        &lines,
        "through",
        "10.9.0.100",
        Verdict::Ok,
        &["HTTP_GET passes", "/: status 200", "2 of 2 real servers listen"],
    );
    says(&lines, "through", "10.9.0.101", Verdict::Ok, &["2 of 2 connections", "2 of 2 real servers listen"]);
    says(&lines, "arp", "10.9.0.100", Verdict::Ok, &["alone answers for 10.9.0.100"]);
    // One real server does not let one of the addresses in. Its own address, and the other service, do not suffer.
    switch.on(REAL[0], || {
        drop(run(
            "nft",
            &["-f", "-"],
            "table ip site { chain in { type filter hook input priority 0; ip daddr 10.9.0.101 drop; }; }",
        ));
    });
    let lines = doctor(&switch, CLIENT, WEB, &[]);
    says(&lines, "through", "10.9.0.100", Verdict::Ok, &["HTTP_GET passes"]);
    says(
        &lines,
        "through",
        "10.9.0.101",
        Verdict::Failure,
        &[
            "1 of 2 connections: no answer in",
            "2 of 2 real servers listen",
            "compare with the lines `listens`",
        ],
    );
    assert!(of(&lines, "listens", "").iter().all(|l| l.verdict == Verdict::Ok), "{lines:#?}");
}

/// R1-3. A real server that drops what comes to the virtual address: the director sees openings, and nothing beyond.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r1_3_half_open_connections_are_a_black_hole() {
    let switch = lab("db", WEB, &["10.9.0.100/32", "10.9.0.101/32"]);
    switch.on(REAL[0], || {
        drop(run(
            "nft",
            &["-f", "-"],
            "table ip site { chain in { type filter hook input priority 0; ip daddr 10.9.0.100 drop; }; }",
        ));
    });
    switch.on(CLIENT, || {
        for _ in 0..8 {
            let at: SocketAddr = "10.9.0.100:80".parse().expect("address");
            let _ = TcpStream::connect_timeout(&at, Duration::from_millis(500));
        }
    });
    let lines = doctor(&switch, DIRECTOR, WEB, &[]);
    says(
        &lines,
        "black-hole",
        "10.9.0.3:80 of tcp 10.9.0.100:80",
        Verdict::Failure,
        &["half-open connections, 0 beyond: forwarding black hole, though the real server itself answers"],
    );
    // The other one's connections have ended, and may be forgotten already.
    let other = of(&lines, "black-hole", "10.9.0.4:80 of tcp 10.9.0.100:80");
    assert!(other.iter().all(|l| l.verdict == Verdict::Ok), "{other:#?}");
}

/// R2-6. A firewall that accepts NEW only, on the director: what conntrack calls INVALID there is lost, and connections never end.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r2_6_new_only_on_the_director() {
    let switch = lab("dn", WEB, &["10.9.0.100/32", "10.9.0.101/32"]);
    switch.on(DIRECTOR, || drop(run("nft", &["-f", "-"], NEW_ONLY)));
    let states = |wanted: &'static str| {
        switch.on(CLIENT, || {
            let at: SocketAddr = "10.9.0.101:80".parse().expect("address");
            let mut stream =
                TcpStream::connect_timeout(&at, Duration::from_secs(20)).expect("new and later packets pass");
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("request");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("time-out");
            assert!(stream.read(&mut [0; 64]).expect("an answer") > 0);
        });
        wait_for(wanted, || {
            let name = switch.name(DIRECTOR);
            let table = run("ip", &["netns", "exec", &name, "cat", "/proc/net/ip_vs_conn"], "");
            if table.contains(wanted) { Ok(()) } else { Err(table) }
        });
    };
    // It has ended, and the table does not know.
    states("ESTABLISHED");
    let lines = doctor(&switch, DIRECTOR, WEB, &[]);
    for vip in ["10.9.0.100", "10.9.0.101"] {
        says(
            &lines,
            "firewall",
            vip,
            Verdict::Warning,
            &[
                "FIN and RST are INVALID",
                "nft inet site in handle",
                "dport 80 drop",
                "without a look at the state",
            ],
        );
    }
    // As the remedy says.
    switch.on(DIRECTOR, || {
        drop(run(
            "nft",
            &["-f", "-"],
            "flush ruleset\ntable inet site { chain in { type filter hook input priority 0; policy drop; \
        tcp dport 80 accept; ct state established,related,new accept; }; }",
        ))
    });
    let lines = doctor(&switch, DIRECTOR, WEB, &[]);
    says(&lines, "firewall", "10.9.0.101", Verdict::Ok, &[]);
    states("FIN_WAIT");
    // With DR, tracking by IPVS makes it worse: nothing but the first packet belongs to a connection.
    switch.on(DIRECTOR, || {
        sysctl("ipv4/vs/conntrack", "1");
        drop(run("nft", &["-f", "-"], &format!("flush ruleset\n{NEW_ONLY}")));
    });
    let lines = doctor(&switch, DIRECTOR, WEB, &[]);
    says(
        &lines,
        "firewall",
        "10.9.0.100",
        Verdict::Failure,
        &["all packets but the first are INVALID", "vs.conntrack = 0"],
    );
}

/// R2-6. The same on a real server: connections are made and nothing comes of them. From outside only who speaks sees it; there, the rule
/// is named.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r2_6_new_only_on_a_real_server() {
    let switch = lab("dr", WEB, &["10.9.0.100/32", "10.9.0.101/32"]);
    for host in REAL {
        switch.on(host, || drop(run("nft", &["-f", "-"], NEW_ONLY)));
    }
    let lines = doctor(&switch, CLIENT, WEB, &[]);
    says(
        &lines,
        "through",
        "10.9.0.100",
        Verdict::Failure,
        &[
            "connections through the virtual address are made, and HTTP_GET fails on them",
            "2 of 2 real servers listen",
            "NEW packets only",
        ],
    );
    let lines = doctor(&switch, REAL[0], WEB, &[]);
    says(
        &lines,
        "firewall",
        "10.9.0.100",
        Verdict::Failure,
        &[
            "accept NEW packets, and drop the ESTABLISHED ones that follow: nft inet site in handle",
            "dport 80 drop",
        ],
    );
}

/// R1-2. The outer source of a tunnel's packets, as they leave: the route's, or another.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r1_2_packets_of_a_tunnel_are_sampled() {
    run("modprobe", &["ipip"], "");
    let switch = lab("ds", TUNNELS, &["10.9.0.100/32"]);
    for host in REAL {
        switch.ip(host, "link set tunl0 up\n");
        switch.on(host, || sysctl("ipv4/conf/tunl0/rp_filter", "0"));
    }
    let long = ["DOCTOR_WINDOW=30"];
    let look = || under_traffic(&switch, "10.9.0.100:80", || doctor(&switch, DIRECTOR, TUNNELS, &long));
    let lines = look();
    for dest in ["10.9.0.3:80", "10.9.0.4:80"] {
        says(&lines, "tunnel-source", dest, Verdict::Ok, &["the outer source is the route's"]);
    }
    says(&lines, "tunnel-kernel", "", Verdict::Ok, &["4754957f04f5"]);
    // As in the report: packets to one of them get a foreign source.
    switch.on(DIRECTOR, || {
        drop(run("nft", &["-f", "-"], "table ip forge { chain out { type filter hook postrouting priority 300; ip protocol 4 ip daddr 10.9.0.3 ip saddr set 12.10.91.5; }; }"));
    });
    let lines = look();
    says(
        &lines,
        "tunnel-source",
        "10.9.0.3:80",
        Verdict::Failure,
        &["outer source 12.10.91.5, the route prefers 10.9.0.2", "delete the destination and add it again"],
    );
    says(&lines, "tunnel-source", "10.9.0.4:80", Verdict::Ok, &[]);
    // Nothing is sent: nothing is said.
    let lines = doctor(&switch, DIRECTOR, TUNNELS, &[]);
    says(&lines, "tunnel-source", "10.9.0.3:80", Verdict::NotLookedAt, &["no tunnelled packet was seen"]);
}

/// R1-2 for IPv6 within IPv6, and within IPv4.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r1_2_tunnels_of_ipv6_are_sampled() {
    run("modprobe", &["ip6_tunnel"], "");
    let switch = lab("d6", TUNNELS_V6, &["fd00:9::100/128"]);
    let long = ["DOCTOR_WINDOW=30"];
    let look = || under_traffic(&switch, "[fd00:9::100]:80", || doctor(&switch, DIRECTOR, TUNNELS_V6, &long));
    let lines = look();
    for dest in ["[fd00:9::3]:80", "10.9.0.4:80"] {
        says(&lines, "tunnel-source", dest, Verdict::Ok, &["the outer source is the route's"]);
    }
    switch.on(DIRECTOR, || {
        drop(run("nft", &["-f", "-"], "table ip6 forge { chain out { type filter hook postrouting priority 300; ip6 nexthdr 41 ip6 saddr set fd00:77::1; }; }"));
    });
    let lines = look();
    says(
        &lines,
        "tunnel-source",
        "[fd00:9::3]:80",
        Verdict::Failure,
        &["outer source fd00:77::1, the route prefers fd00:9::"],
    );
    says(&lines, "tunnel-source", "10.9.0.4:80", Verdict::Ok, &[]);
    // Who answers for the address: the director alone, until a real server has it on its network.
    says(&lines, "arp", "fd00:9::100", Verdict::Ok, &["is on eth0, and nobody else answers for it"]);
    switch.ip(REAL[0], "addr add fd00:9::100/128 dev eth0 nodad\n");
    let lines = doctor(&switch, DIRECTOR, TUNNELS_V6, &[]);
    says(
        &lines,
        "arp",
        "fd00:9::100",
        Verdict::Failure,
        &["also answers for it on eth0", "on lo of the real servers only"],
    );
}

/// R2-7. The connection table as the kernel has it, with as few buckets as it takes.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r2_7_a_small_connection_table() {
    unload();
    run("modprobe", &["ip_vs", "conn_tab_bits=8"], "");
    let switch = lab("dc", WEB, &["10.9.0.100/32", "10.9.0.101/32"]);
    // Nobody answers, so each connection attempt is one entry.
    for host in REAL {
        switch.on(host, || {
            drop(run("nft", &["-f", "-"], "table ip site { chain in { type filter hook input priority 0; ip daddr 10.9.0.101 drop; }; }"));
        });
    }
    let _attempts = switch.on(CLIENT, || {
        let attempt = |_| {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("nonblocking");
            let at: SocketAddr = "10.9.0.101:80".parse().expect("address");
            // EINPROGRESS.
            let _ = socket.connect(&at.into());
            socket
        };
        (0..700).map(attempt).collect::<Vec<_>>()
    });
    let lines = doctor(&switch, DIRECTOR, WEB, &[]);
    says(
        &lines,
        "conn_tab_bits",
        "",
        Verdict::Warning,
        &[" connections in a table of 256", "conn_tab_bits=10"],
    );
    drop(switch);
    unload();
}

/// Takes ip_vs out; the next one who asks for it gets it back with its usual table.
fn unload() {
    wait_for("ip_vs to be unloaded", || {
        let modules = std::fs::read_to_string("/proc/modules").expect("modules");
        let ours: Vec<&str> =
            modules.lines().filter_map(|l| l.split(' ').next()).filter(|m| m.starts_with("ip_vs")).collect();
        for module in &ours {
            // Those that others still use come with a later round.
            let _ = Command::new("rmmod").arg(module).output();
        }
        if ours.is_empty() { Ok(()) } else { Err(format!("{ours:?}")) }
    });
}
