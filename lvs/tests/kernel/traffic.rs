//! Real traffic through real namespaces: NAT, DR and TUN, IPv6, marks, persistence, drain.

use crate::net::{Switch, converge, run, sysctl, wait_for};
use crate::table::{dest, id, settings, table};
use lvs::diff::Change;
use lvs::ipvs::{Ipvs, Kernel};
use lvs::model::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Hosts of the switch.
const CLIENT: usize = 1;
const DIRECTOR: usize = 2;
const REAL: [usize; 2] = [3, 4];

/// A server in this namespace: it says its name, then repeats what it hears. Lives as long as the test's process.
pub(crate) fn serve(at: &str, name: &'static str) {
    let listener = TcpListener::bind(at).unwrap_or_else(|e| panic!("{at}: {e}"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 64];
                stream.write_all(format!("{name}\n").as_bytes())?;
                loop {
                    let len = stream.read(&mut buffer)?;
                    if len == 0 {
                        return std::io::Result::Ok(());
                    }
                    stream.write_all(&buffer[..len])?;
                }
            });
        }
    });
}

/// Connects from this namespace: who answered, and the connection.
pub(crate) fn ask(at: &str) -> Result<(String, BufReader<TcpStream>), String> {
    let at: SocketAddr = at.parse().expect(at);
    let say = |e: std::io::Error| format!("{at}: {e}");
    let stream = TcpStream::connect_timeout(&at, Duration::from_secs(10)).map_err(say)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(say)?;
    let mut reader = BufReader::new(stream);
    let mut name = String::new();
    reader.read_line(&mut name).map_err(say)?;
    Ok((name.trim().to_owned(), reader))
}

/// Who answers four connections, counted.
fn four(switch: &Switch, at: &'static str) -> BTreeMap<String, u32> {
    switch.on(CLIENT, move || {
        let mut who = BTreeMap::new();
        for _ in 0..4 {
            let (name, _) = ask(at).unwrap_or_else(|e| panic!("{e}"));
            *who.entry(name).or_default() += 1;
        }
        who
    })
}

fn both(n: u32) -> BTreeMap<String, u32> {
    [("real1".to_owned(), n), ("real2".to_owned(), n)].into()
}

/// Client, director, two real servers, and the servers' programs on `at`.
fn lab(prefix: &str, vip: &str, at: [&'static str; 2]) -> Switch {
    let switch = Switch::new(prefix, 4);
    switch.ip(DIRECTOR, &format!("addr add {vip} dev eth0\n"));
    switch.on(DIRECTOR, || {
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
    });
    for ((host, name), at) in REAL.into_iter().zip(["real1", "real2"]).zip(at) {
        switch.on(host, move || {
            sysctl("ipv4/conf/all/arp_ignore", "1");
            sysctl("ipv4/conf/all/arp_announce", "2");
            sysctl("ipv6/ip_nonlocal_bind", "1");
            sysctl("ipv4/ip_nonlocal_bind", "1");
            serve(at, name);
        });
    }
    switch
}

/// Two destinations of the same weight, in this table and no other.
fn two(switch: &Switch, service: &str, settings: ServiceSettings, dests: [&str; 2], forward: Forward) {
    let wanted = table([(id(service), settings, dests.map(|d| dest(d, forward, 1)).to_vec())]);
    switch.on(DIRECTOR, move || converge(&mut Kernel::open().expect("IPVS"), &wanted));
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn nat_changes_the_port() {
    let switch = lab("na", "10.9.0.100/32", ["10.9.0.3:8080", "10.9.0.4:8080"]);
    // Answers must come back through the director.
    REAL.iter().for_each(|host| switch.ip(*host, "route add 10.9.0.1/32 via 10.9.0.2\n"));
    two(&switch, "tcp 10.9.0.100:80", settings("rr"), ["10.9.0.3:8080", "10.9.0.4:8080"], Forward::Nat);
    assert_eq!(four(&switch, "10.9.0.100:80"), both(2));
    // What was counted is what was done; the kernel's estimator brings it up to date every two seconds.
    wait_for("the counters", || {
        let reading = switch.on(DIRECTOR, || Kernel::open().expect("IPVS").read().expect("a reading"));
        let counted: Vec<u64> = reading.dests.values().map(|c| c.stats.connections).collect();
        let all = reading.services.values().next().expect("a service");
        let right = counted == [2, 2] && all.packets_out > 0 && all.bytes_out > all.packets_out;
        let connections = reading.connections().values().sum::<u64>();
        if right && connections == 4 { Ok(()) } else { Err(format!("{reading:?}")) }
    });
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn direct_routing_persistence_and_drain() {
    let switch = lab("dr", "10.9.0.100/32", ["10.9.0.100:80", "10.9.0.100:80"]);
    REAL.iter().for_each(|host| switch.ip(*host, "addr add 10.9.0.100/32 dev lo\n"));
    let dests = ["10.9.0.3:80", "10.9.0.4:80"];
    two(&switch, "tcp 10.9.0.100:80", settings("rr"), dests, Forward::Dr);
    assert_eq!(four(&switch, "10.9.0.100:80"), both(2));

    // Drain: weight 0 lets no new connection in and leaves those that are there alone.
    let (name, mut open) = switch.on(CLIENT, || ask("10.9.0.100:80").expect("a connection"));
    let drained = if name == "real1" { dests[0] } else { dests[1] };
    switch.on(DIRECTOR, move || {
        let (dest, settings) = dest(drained, Forward::Dr, 0);
        let change = Change::EditDest { service: id("tcp 10.9.0.100:80"), dest, settings };
        Kernel::open().expect("IPVS").perform(&change).expect("weight 0");
    });
    let others = four(&switch, "10.9.0.100:80");
    assert!(!others.contains_key(&name), "{others:?}");
    open.get_mut().write_all(b"still here\n").expect("write");
    let mut line = String::new();
    open.read_line(&mut line).expect("the old connection lives");
    assert_eq!(line, "still here\n");

    // Persistence: one client, one server; the change keeps the service.
    let persistence = Persistence { timeout: 60, granularity: Granularity::host(Family::Inet), engine: None };
    two(
        &switch,
        "tcp 10.9.0.100:80",
        ServiceSettings { persistence: Some(persistence), ..settings("rr") },
        dests,
        Forward::Dr,
    );
    assert_eq!(four(&switch, "10.9.0.100:80").into_values().collect::<Vec<_>>(), [4]);
    let reading = switch.on(DIRECTOR, || Kernel::open().expect("IPVS").read().expect("a reading"));
    assert_eq!(reading.dests.values().map(|c| c.persistent).sum::<u32>(), 1);
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn tunnels() {
    run("modprobe", &["ipip"], "");
    let switch = lab("tu", "10.9.0.100/32", ["10.9.0.100:80", "10.9.0.100:80"]);
    for host in REAL {
        switch.ip(host, "addr add 10.9.0.100/32 dev tunl0\nlink set tunl0 up\n");
        switch.on(host, || sysctl("ipv4/conf/tunl0/rp_filter", "0"));
    }
    two(
        &switch,
        "tcp 10.9.0.100:80",
        settings("rr"),
        ["10.9.0.3:80", "10.9.0.4:80"],
        Forward::Tun(Tunnel::Ipip),
    );
    assert_eq!(four(&switch, "10.9.0.100:80"), both(2));
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn ipv6_by_direct_routing() {
    let switch = lab("v6", "fd00:9::100/128", ["[fd00:9::100]:80", "[fd00:9::100]:80"]);
    REAL.iter().for_each(|host| switch.ip(*host, "addr add fd00:9::100/128 dev lo\n"));
    two(&switch, "tcp [fd00:9::100]:80", settings("rr"), ["[fd00:9::3]:80", "[fd00:9::4]:80"], Forward::Dr);
    assert_eq!(four(&switch, "[fd00:9::100]:80"), both(2));
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn marks_and_every_port() {
    let switch = lab("fw", "10.9.0.100/32", ["10.9.0.100:81", "10.9.0.100:81"]);
    REAL.iter().for_each(|host| switch.ip(*host, "addr add 10.9.0.100/32 dev lo\n"));
    switch.on(DIRECTOR, || {
        run("nft", &["-f", "-"], "table ip lvs { chain marks { type filter hook prerouting priority mangle; ip daddr 10.9.0.100 tcp dport 80-89 meta mark set 5; }; }");
    });
    two(&switch, "fwmark 5 inet", settings("rr"), ["10.9.0.3:0", "10.9.0.4:0"], Forward::Dr);
    assert_eq!(four(&switch, "10.9.0.100:81"), both(2));
    // A service of every port; the kernel wants it persistent.
    let persistence = Persistence { timeout: 60, granularity: Granularity::host(Family::Inet), engine: None };
    let settings = ServiceSettings { persistence: Some(persistence), ..settings("rr") };
    switch.on(DIRECTOR, || drop(run("nft", &["delete", "table", "ip", "lvs"], "")));
    two(&switch, "tcp 10.9.0.100:0", settings, ["10.9.0.3:0", "10.9.0.4:0"], Forward::Dr);
    assert_eq!(four(&switch, "10.9.0.100:81").into_values().collect::<Vec<_>>(), [4]);
}
