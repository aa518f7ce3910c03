//! Every field of the table is read back as it was written, `ipvsadm` sees the same, and random tables converge in one pass.

use crate::net::{alone, converge, ipvsadm, others, read, run};
use lvs::diff::{Change, diff};
use lvs::ipvs::{Ipvs, Kernel, Outcome, Performed, pass};
use lvs::model::*;
use lvs::reconcile::Reconciler;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

pub(crate) fn id(text: &str) -> ServiceId {
    text.parse().expect(text)
}

pub(crate) fn settings(scheduler: &str) -> ServiceSettings {
    ServiceSettings { scheduler: Scheduler::new(scheduler).expect(scheduler), ..ServiceSettings::default() }
}

pub(crate) fn dest(text: &str, forward: Forward, weight: u32) -> (DestId, DestSettings) {
    (text.parse().expect(text), DestSettings { weight, forward, ..DestSettings::default() })
}

/// A service with its destinations.
type Wanted = (ServiceId, ServiceSettings, Vec<(DestId, DestSettings)>);

pub(crate) fn table<const N: usize>(services: [Wanted; N]) -> Table {
    let services = services
        .into_iter()
        .map(|(id, settings, dests)| (id, Service { settings, dests: dests.into_iter().collect() }));
    Table { services: services.collect() }
}

const TUN: Forward = Forward::Tun(Tunnel::Ipip);

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn every_field_is_read_back() {
    alone(|| {
        let mask = |text: &str, family| Granularity::parse(text, family).expect(text);
        let persistent = |name: &str, timeout, granularity, engine: Option<&str>| ServiceSettings {
            persistence: Some(Persistence { timeout, granularity, engine: engine.map(str::to_owned) }),
            ..settings(name)
        };
        let host = Granularity::host(Family::Inet);
        let flags = |flag1, flag2, flag3| SchedFlags { flag1, flag2, flag3 };
        let gue = |port, csum| Forward::Tun(Tunnel::Gue { port, csum });
        let (at, limits) = dest("10.0.0.1:8080", Forward::Nat, 65535);
        let wanted = table([
            (
                id("tcp 192.0.2.1:80"),
                settings("wlc"),
                vec![
                    (at, DestSettings { upper: 200, lower: 100, ..limits }),
                    dest("10.0.0.2:80", Forward::Nat, 0),
                ],
            ),
            (
                id("tcp 192.0.2.1:443"),
                persistent("sh", 360, mask("24", Family::Inet), None),
                vec![dest("10.0.0.1:443", Forward::Dr, 1)],
            ),
            (
                id("tcp 192.0.2.2:0"),
                persistent("rr", 50, host, None),
                vec![dest("10.0.0.1:0", Forward::Dr, 3)],
            ),
            (
                id("udp 192.0.2.1:53"),
                ServiceSettings { one_packet: true, ..settings("rr") },
                vec![dest("10.0.0.1:53", TUN, 2)],
            ),
            (
                id("udp 192.0.2.1:5060"),
                persistent("rr", 60, host, Some("sip")),
                vec![dest("10.0.0.1:5060", Forward::Nat, 1)],
            ),
            (
                id("sctp 192.0.2.1:99"),
                ServiceSettings { sched_flags: flags(true, true, false), ..settings("mh") },
                vec![],
            ),
            (
                id("tcp 192.0.2.3:80"),
                ServiceSettings { sched_flags: flags(true, false, false), ..settings("sh") },
                vec![
                    dest("10.0.0.1:80", gue(5555, Checksum::Csum), 1),
                    dest("10.0.0.2:80", gue(5556, Checksum::Remcsum), 1),
                    dest("10.0.0.3:80", gue(5557, Checksum::Nocsum), 1),
                    dest("10.0.0.4:80", Forward::Tun(Tunnel::Gre { csum: Checksum::Csum }), 1),
                    dest("[fd00::4]:80", TUN, 1),
                ],
            ),
            (
                id("tcp [2001:db8::1]:80"),
                persistent("wrr", 300, mask("64", Family::Inet6), None),
                vec![dest("[fd00::1]:8080", Forward::Nat, 1)],
            ),
            (
                id("fwmark 5 inet"),
                ServiceSettings { sched_flags: flags(false, false, true), ..settings("lc") },
                vec![dest("10.0.0.1:0", Forward::Dr, 1)],
            ),
            (id("fwmark 5 inet6"), settings("lc"), vec![dest("[fd00::1]:0", Forward::Dr, 1)]),
        ]);
        let mut kernel = Kernel::open().expect("IPVS");
        converge(&mut kernel, &wanted);
        let expected = [
            "-A -f 5 -6 -s lc",
            "-A -f 5 -s lc -b flag-3",
            "-A -t 192.0.2.1:443 -s sh -p 360 -M 255.255.255.0",
            "-A -t 192.0.2.1:80 -s wlc",
            "-A -t 192.0.2.2:0 -s rr -p 50",
            "-A -t 192.0.2.3:80 -s sh -b sh-fallback",
            "-A -t [2001:db8::1]:80 -s wrr -p 300 -M 64",
            "-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip",
            "-A -u 192.0.2.1:53 -s rr -o",
            "-A --sctp-service 192.0.2.1:99 -s mh -b mh-fallback,mh-port",
        ];
        let seen = ipvsadm();
        for line in expected {
            assert!(seen.iter().any(|s| s == line), "no {line} in\n{}", seen.join("\n"));
        }
        for line in [
            "-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 65535",
            "-a -t 192.0.2.1:443 -r 10.0.0.1:443 -g -w 1",
            "-a -u 192.0.2.1:53 -r 10.0.0.1:53 -i -w 2 --tun-type ipip",
            "-a -t 192.0.2.3:80 -r 10.0.0.1:80 -i -w 1 --tun-type gue --tun-port 5555 --tun-csum",
            "-a -t 192.0.2.3:80 -r 10.0.0.4:80 -i -w 1 --tun-type gre --tun-csum",
            "-a -f 5 -6 -r [fd00::1]:0 -g -w 1",
        ] {
            assert!(seen.iter().any(|s| s == line), "no {line} in\n{}", seen.join("\n"));
        }
        assert_eq!(seen.len(), 10 + 14);
        // ipvsadm shows limits elsewhere, and does not save them.
        let limits = run("ipvsadm", &["-Ln", "--thresholds"], "");
        assert!(
            limits.lines().any(|l| l.split_whitespace().eq(["->", "10.0.0.1:8080", "200", "100", "0", "0"])),
            "{limits}"
        );
        // Beside these, what ipvsadm has saved is the same table when it restores it.
        run("ipvsadm", &["-C"], "");
        assert_eq!(read(&mut kernel), Table::new());
        let (services, dests): (Vec<_>, Vec<_>) = seen.iter().partition(|l| l.starts_with("-A"));
        others(&services.into_iter().chain(dests).map(|l| format!("{l}\n")).collect::<String>());
        let mut without = wanted;
        let all = without.services.values_mut().flat_map(|s| s.dests.values_mut());
        all.for_each(|d| (d.upper, d.lower) = (0, 0));
        assert_eq!(read(&mut kernel), without);
    });
}

/// Nothing that the kernel would refuse: what is not ours to choose, configurations are verified for.
fn a_service() -> impl Strategy<Value = (ServiceId, Service)> {
    let persistence = (1u32..4, any::<bool>()).prop_map(|(timeout, wide)| (timeout, wide));
    let forward = prop_oneof![
        Just(Forward::Nat),
        Just(Forward::Dr),
        Just(TUN),
        Just(Forward::Tun(Tunnel::Gue { port: 5555, csum: Checksum::Csum })),
        Just(Forward::Tun(Tunnel::Gre { csum: Checksum::Nocsum })),
    ];
    let dests = proptest::collection::btree_map(
        (1u8..6, prop_oneof![Just(80u16), Just(8080)]),
        (forward, 0u32..3, prop_oneof![Just((0u32, 0u32)), Just((9, 0)), Just((9, 3))]),
        0..5,
    );
    let name = prop_oneof![Just("rr"), Just("wrr"), Just("wlc"), Just("sh"), Just("mh"), Just("sed")];
    ((0u8..10, any::<bool>()), name, any::<[bool; 3]>(), proptest::option::of(persistence), dests).prop_map(
        |((which, udp), name, flags, persistence, dests)| {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(which)]);
            let id = match which {
                0..5 => ServiceId::addr(IpAddr::from([192, 0, 2, 1 + which]), 80, protocol),
                5..8 => ServiceId::addr(v6, 80, protocol),
                _ => ServiceId::Fwmark {
                    mark: which.into(),
                    family: if udp { Family::Inet6 } else { Family::Inet },
                },
            };
            let family = id.family();
            let granularity = |wide: bool| match (family, wide) {
                (Family::Inet, true) => Granularity::V4([255, 255, 0, 0].into()),
                (Family::Inet6, true) => Granularity::V6(64),
                _ => Granularity::host(family),
            };
            let settings = ServiceSettings {
                sched_flags: SchedFlags { flag1: flags[0], flag2: flags[1], flag3: false },
                one_packet: flags[2] && matches!(id, ServiceId::Addr { protocol: Protocol::Udp, .. }),
                persistence: persistence.map(|(timeout, wide)| Persistence {
                    timeout,
                    granularity: granularity(wide),
                    engine: None,
                }),
                ..settings(name)
            };
            let dests = dests.into_iter().map(|((n, port), (forward, weight, (upper, lower)))| {
                let addr = match family {
                    Family::Inet => IpAddr::from([10, 0, 0, n]),
                    Family::Inet6 => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, n.into()]),
                };
                (DestId::new(addr, port), DestSettings { weight, forward, upper, lower })
            });
            (id, Service { settings, dests: dests.collect() })
        },
    )
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn random_tables_converge_in_one_pass() {
    alone(|| {
        let kernel = RefCell::new(Kernel::open().expect("IPVS"));
        let tables = proptest::collection::vec(a_service(), 0..7)
            .prop_map(|all| Table { services: all.into_iter().collect::<BTreeMap<_, _>>() });
        let config = Config {
            cases: 150,
            rng_seed: RngSeed::Fixed(7),
            failure_persistence: None,
            ..Config::default()
        };
        // From whatever the last case left to the next one; nothing is cleared in between.
        TestRunner::new(config)
            .run(&tables, |wanted| {
                let mut kernel = kernel.borrow_mut();
                let before = kernel.counts();
                let least = diff(&wanted, &read(&mut kernel), &all_of(&mut kernel)).len() as u64;
                converge(&mut kernel, &wanted);
                prop_assert_eq!(kernel.counts().writes - before.writes, least);
                Ok(())
            })
            .unwrap_or_else(|e| panic!("{e}"));
    });
}

fn all_of(kernel: &mut Kernel) -> BTreeSet<ServiceId> {
    read(kernel).services.keys().copied().collect()
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn what_others_made_is_left_alone_or_adopted() {
    alone(|| {
        others("-A -t 192.0.2.9:80 -s rr\n-a -t 192.0.2.9:80 -r 10.0.0.9:80 -g -w 5\n");
        let mut kernel = Kernel::open().expect("IPVS");
        let web = id("tcp 192.0.2.1:80");
        let wanted = table([(web, settings("wlc"), vec![dest("10.0.0.1:80", Forward::Dr, 1)])]);
        let actual = read(&mut kernel);
        // Put there by others after the table was read.
        others("-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 7\n");
        let owned = BTreeSet::from([web]);
        let answers = pass(&mut kernel, &mut Reconciler::default(), &wanted, &actual, &owned, Duration::ZERO);
        assert!(answers.iter().all(|a| a.outcome == Outcome::Adopted), "{answers:#?}");
        let lines = [
            "-A -t 192.0.2.1:80 -s wlc",
            "-A -t 192.0.2.9:80 -s rr",
            "-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 1",
            "-a -t 192.0.2.9:80 -r 10.0.0.9:80 -g -w 5",
        ];
        assert_eq!(ipvsadm(), lines);
        let actual = read(&mut kernel);
        pass(&mut kernel, &mut Reconciler::default(), &Table::new(), &actual, &owned, Duration::ZERO);
        assert_eq!(ipvsadm(), [lines[1], lines[3]], "ours has gone, theirs has not");
        // A namespace is a kernel of its own: nothing of it is seen elsewhere.
        alone(|| assert_eq!(Kernel::open().expect("IPVS").read().expect("a table").table, Table::new()));
    });
}

#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn many_destinations_come_in_many_datagrams() {
    alone(|| {
        let dests = (0..900u16).map(|n| {
            let [high, low] = n.to_be_bytes();
            (
                DestId::new(IpAddr::from([10, 1, high, low]), 80),
                DestSettings { weight: 1 + u32::from(n % 7), ..DestSettings::default() },
            )
        });
        let mut wanted = table([(id("tcp 192.0.2.1:80"), settings("rr"), dests.collect())]);
        for n in 1..=200u8 {
            wanted.services.insert(
                id(&format!("tcp 192.0.3.{n}:80")),
                Service { settings: settings("rr"), ..Service::default() },
            );
        }
        let mut kernel = Kernel::open().expect("IPVS");
        converge(&mut kernel, &wanted);
        let gone = kernel.perform(&Change::DelService { service: id("tcp 192.0.2.1:80") });
        assert_eq!(gone, Ok(Performed::Done));
    });
}
