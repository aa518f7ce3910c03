use super::facts::*;
use super::firewall::{Ruleset, iptables, nft};
use super::*;
use crate::ipvs::selftest::{Method, SelfTest, Tried};
use crate::ipvs::{HostFacts, Info, IpvsError};
use crate::model::{DestId, Forward, Protocol, ServiceId, Tunnel};
use std::collections::BTreeMap;
use std::net::IpAddr;

mod rules;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn service() -> ServiceId {
    ServiceId::addr(ip("192.0.2.1"), 80, Protocol::Tcp)
}

fn route(gateway: Option<&str>) -> Route {
    Route { iface: "eth0".to_owned(), gateway: gateway.map(ip), source: Some(ip("10.0.0.2")), local: false }
}

fn reach(forward: Forward, connect: Connect) -> Reach {
    Reach {
        service: service(),
        dest: DestId::new(ip("10.0.0.11"), 80),
        forward,
        route: Ok(route(None)),
        connect,
    }
}

/// Verdict, and all these parts in the line.
fn says(finding: &Finding, verdict: Verdict, parts: &[&str]) {
    let line = finding.to_string();
    assert_eq!(finding.verdict, verdict, "{line}");
    assert_eq!(finding.remedy.is_some(), finding.bad(), "{line}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

#[test]
fn r3_4_each_cause_has_its_own_words_and_remedy() {
    let running = || "6.1.0-51".to_owned();
    let cases: [(IpvsError, &[&str]); 4] = [
        (
            IpvsError::OtherModules { running: running(), installed: vec!["6.1.0-56".to_owned()] },
            &["the running kernel is 6.1.0-51", "6.1.0-56 only", "a reboot after a kernel update"],
        ),
        (
            IpvsError::NoModule { running: running(), tree: "/lib/modules/6.1.0-51".to_owned() },
            &["do not have it"],
        ),
        (
            IpvsError::NotLoaded {
                running: running(),
                file: "/x/ip_vs.ko".to_owned(),
                reason: "modprobe: no".to_owned(),
            },
            &["/x/ip_vs.ko", "modprobe: no", "modprobe ip_vs"],
        ),
        (
            IpvsError::NoRight { request: "ask".to_owned(), reason: "no CAP_NET_ADMIN".to_owned() },
            &["no CAP_NET_ADMIN", "as root"],
        ),
    ];
    let mut remedies = std::collections::BTreeSet::new();
    for (error, parts) in cases {
        let finding = kernel::module(&Err(error));
        says(&finding, Verdict::Failure, parts);
        assert!(remedies.insert(finding.remedy), "two causes, one remedy");
    }
    says(&kernel::module(&Ok(Info::default())), Verdict::Ok, &["IPVS"]);
}

#[test]
fn r3_1_a_kernel_that_does_not_forward() {
    let host = HostFacts { running: "5.10.0-60.139".to_owned(), ..HostFacts::default() };
    let methods = vec![
        (Method::Nat, Tried::Forwards("it arrived".to_owned())),
        (Method::Dr, Tried::DoesNotForward("no answer".to_owned())),
        (Method::Tun, Tried::NotTried("no right".to_owned())),
    ];
    let found = kernel::forwarding(&Ok(SelfTest { methods, host }));
    says(&found[0], Verdict::Ok, &["NAT: it arrived"]);
    says(
        &found[1],
        Verdict::Failure,
        &["ip_vs is loaded but does not forward", "running kernel 5.10.0-60.139", "boot another"],
    );
    says(&found[2], Verdict::NotLookedAt, &["TUN: no right"]);
    says(&kernel::forwarding(&Err("left out".to_owned()))[0], Verdict::NotLookedAt, &["left out"]);
}

#[test]
fn r2_7_tables_that_are_too_small() {
    let table = |n| kernel::connection_table(Some(4096), Some(n));
    says(&table(8192), Verdict::Ok, &["8192 connections in a table of 4096"]);
    says(&table(30_000), Verdict::Warning, &["30000 connections", "chains of 7", "conn_tab_bits=15"]);
    says(&table(u64::MAX), Verdict::Warning, &["conn_tab_bits=20"]);
    says(&kernel::connection_table(None, None), Verdict::NotLookedAt, &[]);
    says(&kernel::connection_table(Some(0), Some(9)), Verdict::NotLookedAt, &[]);
    says(&kernel::conntrack(None), Verdict::Ok, &["not tracked"]);
    says(&kernel::conntrack(Some((10, 100))), Verdict::Ok, &[]);
    says(&kernel::conntrack(Some((80, 100))), Verdict::Warning, &["nf_conntrack_max"]);
    says(&kernel::conntrack(Some((100, 100))), Verdict::Failure, &["dropped"]);
    says(&kernel::conntrack(Some((1, 0))), Verdict::Failure, &[]);
}

#[test]
fn r2_7_tcp_tw_recycle() {
    let files = vec!["/etc/sysctl.conf:7".to_owned()];
    let on = kernel::tcp_tw_recycle(&Recycle { value: Some(1), files: vec![] });
    says(&on[0], Verdict::Failure, &["clients behind one NAT", "set it to 0"]);
    let gone = kernel::tcp_tw_recycle(&Recycle { value: None, files });
    says(&gone[0], Verdict::Warning, &["/etc/sysctl.conf:7", "4.12", "remove the line"]);
    assert_eq!(gone.len(), 1);
    says(&kernel::tcp_tw_recycle(&Recycle::default())[0], Verdict::Ok, &["4.12"]);
    says(&kernel::tcp_tw_recycle(&Recycle { value: Some(0), files: vec![] })[0], Verdict::Ok, &[]);
}

#[test]
fn direct_routing_needs_one_segment() {
    let with = |forward, route| network::segment(&Reach { route, ..reach(forward, Connect::Made) });
    says(&with(Forward::Dr, Ok(route(None))), Verdict::Ok, &["10.0.0.11:80 is on the link eth0"]);
    says(
        &with(Forward::Dr, Ok(route(Some("10.0.0.1")))),
        Verdict::Failure,
        &["behind the router 10.0.0.1", "use TUN"],
    );
    says(&with(Forward::Nat, Ok(route(Some("10.0.0.1")))), Verdict::Ok, &[]);
    says(
        &with(Forward::Dr, Err("Network is unreachable".to_owned())),
        Verdict::Failure,
        &["no route: Network"],
    );
    let here = Route { local: true, ..route(None) };
    says(&with(Forward::Dr, Ok(here)), Verdict::Ok, &["this host"]);
}

#[test]
fn r2_3_who_answers_for_the_address() {
    let mac = |n: u8| format!("02:00:00:00:00:0{n}");
    let known = [(mac(5), ip("10.0.0.11"))].into();
    let with = |here: Option<&str>, macs: &[u8]| {
        let answers = Ok(("eth0".to_owned(), macs.iter().map(|n| mac(*n)).collect()));
        let vip =
            Vip { addr: ip("192.0.2.1"), here: here.map(str::to_owned), answers, on_real_servers: true };
        network::arp(&vip, &known)
    };
    says(&with(Some("eth0"), &[]), Verdict::Ok, &["nobody else answers"]);
    says(
        &with(Some("eth0"), &[5]),
        Verdict::Failure,
        &["02:00:00:00:00:05 (10.0.0.11) also answers", "ctdb lvs realserver up", "arp_ignore = 1"],
    );
    says(&with(None, &[6]), Verdict::Ok, &["02:00:00:00:00:06 alone"]);
    says(&with(None, &[5, 6]), Verdict::Failure, &["2 hosts answer", "10.0.0.11"]);
    says(&with(None, &[]), Verdict::Warning, &["nobody answers"]);
}

#[test]
fn strict_reverse_path_filters() {
    let with = |values: &[(&str, u32)], routes: &[&str]| {
        network::rp_filter(&ReversePath {
            values: values.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
            default_routes: routes.iter().map(|r| (*r).to_owned()).collect(),
        })
    };
    says(
        &with(&[("all", 1), ("eth0", 0)], &["eth1"]),
        Verdict::Warning,
        &["strict on eth0", "leaves by eth1"],
    );
    // The greater one counts: 2 is loose.
    says(&with(&[("all", 1), ("eth0", 2)], &["eth1"]), Verdict::Ok, &[]);
    says(&with(&[("all", 0), ("eth0", 1)], &["eth0"]), Verdict::Ok, &["strict on eth0"]);
    says(&with(&[("all", 0), ("eth0", 0)], &["eth1"]), Verdict::Ok, &[]);
}

#[test]
fn r1_1_tunnels_on_a_kernel_without_the_repair() {
    let tunnel = reach(Forward::Tun(Tunnel::Ipip), Connect::Made);
    let with = |release: &str, seen: &BTreeMap<_, _>| {
        network::tunnel_kernel(release, std::slice::from_ref(&tunnel), seen)
    };
    let nothing = BTreeMap::new();
    let right = [(ip("10.0.0.11"), [(ip("10.0.0.2"), 3)].into())].into();
    says(
        &with("3.10.0-1160.el7.x86_64", &nothing).unwrap(),
        Verdict::Warning,
        &["4754957f04f5", "ported back"],
    );
    says(&with("4.0.9", &nothing).unwrap(), Verdict::Warning, &["4754957f04f5"]);
    // Seen to be right: the version alone decides nothing.
    says(&with("3.10.0-1160.el7.x86_64", &right).unwrap(), Verdict::Ok, &["right source"]);
    for release in ["4.1.0", "4.18.0-553.el8", "6.18.44"] {
        says(&with(release, &nothing).unwrap(), Verdict::Ok, &[]);
    }
    assert_eq!(network::tunnel_kernel("3.10.0", &[reach(Forward::Dr, Connect::Made)], &nothing), None);
}

#[test]
fn r1_2_the_outer_source_is_the_routes() {
    let tunnel = reach(Forward::Tun(Tunnel::Ipip), Connect::Made);
    let sources = |all: &[&str]| {
        let counted: BTreeMap<IpAddr, u64> = all.iter().map(|a| (ip(a), 1)).collect();
        [(ip("10.0.0.11"), counted)].into()
    };
    says(
        &network::tunnel_source(&tunnel, &sources(&["10.0.0.2", "12.10.91.5"])).unwrap(),
        Verdict::Failure,
        &["outer source 12.10.91.5", "prefers 10.0.0.2", "delete the destination and add it again"],
    );
    says(&network::tunnel_source(&tunnel, &sources(&["10.0.0.2"])).unwrap(), Verdict::Ok, &[]);
    says(&network::tunnel_source(&tunnel, &BTreeMap::new()).unwrap(), Verdict::NotLookedAt, &[]);
    assert_eq!(network::tunnel_source(&reach(Forward::Nat, Connect::Made), &sources(&["12.10.91.5"])), None);
}

#[test]
fn real_servers_listen_and_connections_come_through() {
    for (connect, verdict, words) in [
        (Connect::Made, Verdict::Ok, ""),
        (Connect::Refused, Verdict::Failure, "refused"),
        (Connect::Silent(3500), Verdict::Failure, "no answer in 3500 ms"),
        (Connect::Failed("No route to host (os error 113)".to_owned()), Verdict::Failure, "No route to host"),
        (Connect::NotTried("UDP".to_owned()), Verdict::NotLookedAt, "UDP"),
    ] {
        says(&service::listens(&reach(Forward::Dr, connect.clone())), verdict, &[words, "10.0.0.11:80"]);
        let seen = Through { connects: vec![connect.clone()], ..through() };
        says(
            &service::through(&seen, &[reach(Forward::Dr, Connect::Made)]),
            verdict,
            &[words, "tcp 192.0.2.1:80"],
        );
    }
}

fn through() -> Through {
    Through { service: service(), connects: vec![Connect::Made; 2], spoken: None, tracking: Tracking::Whole }
}

/// R3-2: beside what the real servers say, and not content with a connection.
#[test]
fn r3_2_through_the_virtual_address() {
    let listening = [reach(Forward::Dr, Connect::Made), reach(Forward::Dr, Connect::Refused)];
    let with = |connects: &[Connect], spoken: Option<Result<&str, &str>>| {
        let spoken =
            spoken.map(|r| Spoken { check: "HTTP_GET", result: r.map(str::to_owned).map_err(str::to_owned) });
        service::through(&Through { connects: connects.to_vec(), spoken, ..through() }, &listening)
    };
    let made = [Connect::Made, Connect::Made];
    says(&with(&made, None), Verdict::Ok, &["2 of 2 connections", "1 of 2 real servers listen"]);
    says(
        &with(&[Connect::Made, Connect::Silent(3500)], None),
        Verdict::Failure,
        &[
            "1 of 2 connections: no answer in 3500 ms",
            "1 of 2 real servers listen",
            "compare with the lines `listens`",
        ],
    );
    says(&with(&made, Some(Ok("/: status 200"))), Verdict::Ok, &["HTTP_GET passes", "/: status 200"]);
    says(
        &with(&made, Some(Err("/: no whole answer within 5 s"))),
        Verdict::Failure,
        &[
            "connections through the virtual address are made, and HTTP_GET fails on them: /: no whole answer",
            "NEW packets only",
        ],
    );
    // UDP: nothing but speaking tells anything.
    says(&with(&[], Some(Ok("0 answers"))), Verdict::Ok, &["0 answers"]);
    says(&with(&[], Some(Err("no answer"))), Verdict::Failure, &["no answer"]);
}

#[test]
fn r1_3_a_black_hole() {
    let at = (service(), DestId::new(ip("10.0.0.11"), 80));
    let with = |connect, opening, beyond| {
        service::black_hole(&reach(Forward::Dr, connect), &[(at, States { opening, beyond })].into()).unwrap()
    };
    says(
        &with(Connect::Made, 40, 0),
        Verdict::Failure,
        &[
            "40 half-open connections, 0 beyond",
            "forwarding black hole, though the real server itself answers",
        ],
    );
    says(&with(Connect::Refused, 3, 0), Verdict::Failure, &["forwarding black hole; remedy"]);
    says(&with(Connect::Made, 40, 1), Verdict::Ok, &[]);
    says(&with(Connect::Made, 2, 0), Verdict::Ok, &[]);
    assert_eq!(service::black_hole(&reach(Forward::Dr, Connect::Made), &BTreeMap::new()), None);
}

#[test]
fn connections_of_the_kernel_by_state() {
    let text = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n\
                TCP C6120001 9C40 C0000201 0050 0A00000B 0050 SYN_RECV         57\n\
                TCP C6120001 9C41 C0000201 0050 0A00000B 0050 ESTABLISHED     899\n\
                TCP C6120001 9C42 C0000201 0050 0A00000B 0050 FIN_WAIT        119\n\
                TCP C6120001 0000 C0000201 0050 0A00000B 0050 NONE            300\n\
                UDP C6120001 9C43 C0000201 0035 0A00000B 0035 UDP             299\n\
                TCP [2001:0db8:0000:0000:0000:0000:0000:0009] 9C40 [2001:0db8:0000:0000:0000:0000:0000:0001] 0050 \
                [fd00:0000:0000:0000:0000:0000:0000:000b] 1F90 SYN_RECV 57\nTCP broken\n";
    let all = connection_states(text);
    assert_eq!(all.len(), 2);
    assert_eq!(all[&(service(), DestId::new(ip("10.0.0.11"), 80))], States { opening: 1, beyond: 2 });
    let v6 = ServiceId::addr(ip("2001:db8::1"), 80, Protocol::Tcp);
    assert_eq!(all[&(v6, DestId::new(ip("fd00::b"), 8080))], States { opening: 1, beyond: 0 });
}

fn facts() -> Facts {
    Facts {
        ipvs: Ok(Info::default()),
        self_test: Err("left out".to_owned()),
        release: "6.1.0".to_owned(),
        connections: Some(0),
        conntrack: None,
        recycle: Recycle::default(),
        reach: vec![reach(Forward::Dr, Connect::Made)],
        vips: vec![],
        neighbours: BTreeMap::new(),
        reverse_path: ReversePath::default(),
        tunnels: BTreeMap::new(),
        peers: vec![],
        port: 4379,
        keepalived: false,
        rules: vec![],
        unread_rules: vec!["rules cannot be read by nft: no right".to_owned()],
        services: vec![through()],
        states: BTreeMap::new(),
    }
}

#[test]
fn r3_3_the_whole_list_in_one_go() {
    let found = examine(&facts());
    assert!(found.iter().all(|f| !f.bad()), "{found:?}");
    let names: Vec<&str> = found.iter().map(|f| f.check).collect();
    for check in [
        "ip_vs",
        "forwarding",
        "conn_tab_bits",
        "conntrack",
        "tcp_tw_recycle",
        "segment",
        "rp_filter",
        "firewall",
        "listens",
        "through",
    ] {
        assert!(names.contains(&check), "{check} is missing in {names:?}");
    }
}
