//! Requests byte by byte, answers that come back as what was sent, input that is cut or random, and passes over a faulty table.

use super::control::*;
use super::decode::{self, Entry};
use super::encode::{self, Request};
use super::wire::{self, Answer as Said, flag, generic, message, messages};
use super::*;
use crate::config::{SyncDaemon, Timeouts};
use crate::diff::diff;
use crate::model::*;
use crate::reconcile::{Object, Reconciler};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

mod passes;

fn web() -> ServiceId {
    ServiceId::addr(IpAddr::from([192, 0, 2, 1]), 80, Protocol::Tcp)
}

/// Bytes in the host's order, for goldens: attributes are `(kind, value)`, padded by the reader of this test, not by the code under test.
fn attrs(all: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, value) in all {
        bytes.extend((4 + value.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        while bytes.len() % 4 != 0 {
            bytes.push(0);
        }
    }
    bytes
}

fn n32(n: u32) -> Vec<u8> {
    n.to_ne_bytes().to_vec()
}

#[test]
fn a_service_byte_by_byte() {
    let settings = ServiceSettings {
        scheduler: Scheduler::new("sh").unwrap(),
        sched_flags: SchedFlags { flag2: true, ..SchedFlags::NONE },
        one_packet: false,
        persistence: Some(Persistence {
            timeout: 360,
            granularity: Granularity::V4([255, 255, 255, 0].into()),
            engine: None,
        }),
    };
    let request = encode::change(&Change::AddService { service: web(), settings });
    let inner = attrs(&[
        (1, 2u16.to_ne_bytes().to_vec()),
        (2, 6u16.to_ne_bytes().to_vec()),
        (3, [&[192, 0, 2, 1][..], &[0; 12]].concat()),
        (4, vec![0, 80]),
        (6, b"sh\0".to_vec()),
        (7, [n32(0x11), n32(0x3d)].concat()),
        (8, n32(360)),
        (9, vec![255, 255, 255, 0]),
    ]);
    assert_eq!(request.cmd as u8, 1);
    assert_eq!(request.attrs, attrs(&[(0x8001, inner)]));
    let whole = generic(28, flag::REQUEST | flag::ACK, 7, request.cmd as u8, 1, &[]);
    assert_eq!(
        whole,
        [
            &20u32.to_ne_bytes()[..],
            &28u16.to_ne_bytes(),
            &5u16.to_ne_bytes(),
            &7u32.to_ne_bytes(),
            &[0; 4],
            &[1, 1, 0, 0]
        ]
        .concat()
    );
}

#[test]
fn destinations_byte_by_byte() {
    let dest = DestId::new("2001:db8::5".parse().unwrap(), 8080);
    let forward = Forward::Tun(Tunnel::Gue { port: 5555, csum: Checksum::Remcsum });
    let settings = DestSettings { weight: 3, forward, upper: 200, lower: 100 };
    let mark = ServiceId::Fwmark { mark: 5, family: Family::Inet6 };
    let service = attrs(&[(1, 10u16.to_ne_bytes().to_vec()), (5, n32(5))]);
    let address = "2001:db8::5".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec();
    let id = vec![(11, 10u16.to_ne_bytes().to_vec()), (1, address), (2, 8080u16.to_be_bytes().to_vec())];
    let mut all = id.clone();
    all.extend([(3, n32(2)), (4, n32(3)), (5, n32(200)), (6, n32(100))]);
    all.extend([(13, vec![1]), (14, 5555u16.to_be_bytes().to_vec()), (15, 2u16.to_ne_bytes().to_vec())]);
    let edit = encode::change(&Change::EditDest { service: mark, dest, settings });
    assert_eq!(edit.cmd as u8, 6);
    assert_eq!(edit.attrs, attrs(&[(0x8001, service.clone()), (0x8002, attrs(&all))]));
    let gone = encode::change(&Change::DelDest { service: mark, dest });
    assert_eq!(gone.cmd as u8, 7);
    assert_eq!(gone.attrs, attrs(&[(0x8001, service.clone()), (0x8002, attrs(&id))]), "by the same identity");
    assert_eq!(
        encode::change(&Change::DelService { service: mark }).attrs,
        attrs(&[(0x8001, service.clone())])
    );
    assert_eq!(encode::dests(&mark).attrs, attrs(&[(0x8001, service)]));
}

#[test]
fn settings_beside_the_table_byte_by_byte() {
    let with = SyncDaemon {
        iface: "eth0".into(),
        id: 7,
        maxlen: Some(1400),
        port: Some(8849),
        ttl: Some(2),
        group: Some([224, 0, 0, 82].into()),
    };
    let start = start_daemon(Role::Backup, &with);
    let inner = attrs(&[
        (1, n32(2)),
        (2, b"eth0\0".to_vec()),
        (3, n32(7)),
        (4, 1400u16.to_ne_bytes().to_vec()),
        (5, vec![224, 0, 0, 82]),
        (7, 8849u16.to_ne_bytes().to_vec()),
        (8, vec![2]),
    ]);
    assert_eq!((start.cmd as u8, start.attrs), (9, attrs(&[(0x8003, inner)])));
    assert_eq!(stop_daemon(Role::Master).attrs, attrs(&[(0x8003, attrs(&[(1, n32(1))]))]));
    let set = set_timeouts(&Timeouts { tcp: Some(900), tcpfin: None, udp: Some(30) });
    assert_eq!(set.attrs, attrs(&[(4, n32(900)), (6, n32(30))]));
    let body = |r: &Request| [&[1, 1, 0, 0][..], &r.attrs].concat();
    assert_eq!(timeouts(&body(&set)), Ok(KernelTimeouts { tcp: 900, tcpfin: 0, udp: 30 }));
    let back = daemon(&body(&start_daemon(Role::Backup, &with))).unwrap().unwrap();
    assert_eq!(back, RunningSync { role: Role::Backup, with: with.clone() });
    assert!(back.satisfies(Role::Backup, &SyncDaemon { ttl: None, ..with.clone() }));
    assert!(!back.satisfies(Role::Backup, &SyncDaemon { id: 8, ..with.clone() }));
    assert!(!back.satisfies(Role::Master, &with));
}

#[test]
fn an_answer_is_data_or_an_end_or_a_refusal_with_words() {
    let data = message(28, 2, 1, &[b"abcd"]);
    let done = message(3, 2, 1, &[&0i32.to_ne_bytes()]);
    let both = [data, done].concat();
    let all = messages(&both).unwrap();
    assert_eq!(all[0].answer, Said::Data(b"abcd"));
    assert_eq!(all[1].answer, Said::Done);
    let asked = message(28, 5, 9, &[]);
    let words = attrs(&[(1, b"no such thing\0".to_vec())]);
    let refused = message(2, flag::CAPPED | flag::TLVS, 9, &[&(-2i32).to_ne_bytes(), &asked, &words]);
    let all = messages(&refused).unwrap();
    assert_eq!(all[0].answer, Said::Refused { errno: 2, text: Some("no such thing".into()) });
    let plain = message(2, 0, 9, &[&(-3i32).to_ne_bytes(), &asked]);
    assert_eq!(messages(&plain).unwrap()[0].answer, Said::Refused { errno: 3, text: None });
    for cut in [1, 15, 17, both.len() - 1] {
        assert!(messages(&both[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn what_the_model_cannot_say_is_somebody_elses() {
    let body =
        |kind: u16, inner: &[(u16, Vec<u8>)]| [&[1, 1, 0, 0][..], &attrs(&[(kind, attrs(inner))])].concat();
    let two = |n: u16| n.to_ne_bytes().to_vec();
    let flags = [n32(2), n32(0)].concat();
    let icmp = body(
        1,
        &[
            (1, two(2)),
            (2, two(1)),
            (3, vec![192, 0, 2, 1]),
            (4, vec![0, 80]),
            (6, b"rr\0".to_vec()),
            (7, flags.clone()),
        ],
    );
    assert_eq!(
        decode::service(&icmp),
        Ok(Entry::Foreign("a service 192.0.2.1 port 80 of protocol 1".into()))
    );
    let odd = body(1, &[(1, two(2)), (5, n32(3)), (6, b"RR\0".to_vec()), (7, flags)]);
    assert_eq!(
        decode::service(&odd),
        Ok(Entry::Foreign("service fwmark 3 inet with scheduler \"RR\"".into()))
    );
    let tunnel =
        body(2, &[(1, vec![10, 0, 0, 1]), (2, vec![0, 80]), (3, n32(2)), (4, n32(1)), (13, vec![9])]);
    let expected = "10.0.0.1:80 of tcp 192.0.2.1:80 behind an unknown tunnel";
    assert_eq!(decode::destination(&tunnel, &web()), Ok(Entry::Foreign(expected.into())));
    let short = body(2, &[(1, vec![10, 0]), (2, vec![0, 80]), (3, n32(0)), (4, n32(1))]);
    assert!(decode::destination(&short, &web()).is_err());
}

#[test]
fn counters_are_wide_or_narrow() {
    let dest = |stats: u16, inner: Vec<u8>| {
        let id = [
            (1, vec![10, 0, 0, 1]),
            (2, vec![0, 80]),
            (3, n32(3)),
            (4, n32(1)),
            (7, n32(4)),
            (8, n32(5)),
            (9, n32(6)),
        ];
        let all = [&id[..], &[(stats, inner)]].concat();
        let body = [&[1, 1, 0, 0][..], &attrs(&[(2, attrs(&all))])].concat();
        let Ok(Entry::Known((_, _, counters))) = decode::destination(&body, &web()) else {
            panic!("{stats}")
        };
        counters
    };
    let wide =
        dest(12, attrs(&[(1, (1u64 << 40).to_ne_bytes().to_vec()), (10, 7u64.to_ne_bytes().to_vec())]));
    assert_eq!((wide.active, wide.inactive, wide.persistent), (4, 5, 6));
    assert_eq!((wide.stats.connections, wide.stats.bytes_out_per_second), (1 << 40, 7));
    let narrow = dest(10, attrs(&[(1, n32(9)), (4, 11u64.to_ne_bytes().to_vec())]));
    assert_eq!((narrow.stats.connections, narrow.stats.bytes_in), (9, 11));
}

pub(super) fn any_service() -> impl Strategy<Value = (ServiceId, ServiceSettings)> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    let family = prop_oneof![Just(Family::Inet), Just(Family::Inet6)];
    let id = prop_oneof![
        (any::<IpAddr>(), any::<u16>(), protocol).prop_map(|(a, port, p)| ServiceId::addr(a, port, p)),
        (1..u32::MAX, family).prop_map(|(mark, family)| ServiceId::Fwmark { mark, family }),
    ];
    let engine = proptest::option::of(Just("sip".to_owned()));
    let persistence = proptest::option::of((1u32..86400, 1u8..=32, 1u8..=128, engine));
    ("[a-z][a-z0-9]{0,14}", any::<[bool; 4]>(), id, persistence).prop_map(|(name, flags, id, persistence)| {
        let settings = ServiceSettings {
            scheduler: Scheduler::new(&name).unwrap(),
            sched_flags: SchedFlags { flag1: flags[0], flag2: flags[1], flag3: flags[2] },
            one_packet: flags[3],
            persistence: persistence.map(|(timeout, v4, v6, engine)| Persistence {
                timeout,
                granularity: match id.family() {
                    Family::Inet => Granularity::parse(&v4.to_string(), Family::Inet).unwrap(),
                    Family::Inet6 => Granularity::V6(v6),
                },
                engine,
            }),
        };
        (id, settings)
    })
}

pub(super) fn any_dest() -> impl Strategy<Value = (DestId, DestSettings)> {
    let csum = || prop_oneof![Just(Checksum::Nocsum), Just(Checksum::Csum), Just(Checksum::Remcsum)];
    let forward = prop_oneof![
        Just(Forward::Nat),
        Just(Forward::Dr),
        Just(Forward::Tun(Tunnel::Ipip)),
        (1u16.., csum()).prop_map(|(port, csum)| Forward::Tun(Tunnel::Gue { port, csum })),
        csum().prop_map(|csum| Forward::Tun(Tunnel::Gre { csum })),
    ];
    (any::<IpAddr>(), any::<u16>(), 0u32..65536, forward, any::<u32>(), any::<u32>()).prop_map(
        |(addr, port, weight, forward, upper, lower)| {
            (DestId::new(addr, port), DestSettings { weight, forward, upper, lower })
        },
    )
}

/// A request's attributes as the body of an answer: the kernel uses the same shape for both.
fn echo(request: &Request) -> Vec<u8> {
    [&[request.cmd as u8, 1, 0, 0][..], &request.attrs].concat()
}

proptest! {
    #[test]
    fn what_is_sent_comes_back((service, settings) in any_service(), (dest, to) in any_dest()) {
        let add = encode::change(&Change::AddService { service, settings: settings.clone() });
        prop_assert_eq!(decode::service(&echo(&add)), Ok(Entry::Known((service, settings, Stats::default()))));
        let add = encode::change(&Change::AddDest { service, dest, settings: to });
        let back = decode::destination(&echo(&add), &service);
        prop_assert_eq!(back, Ok(Entry::Known((dest, to, DestCounters::default()))));
    }

    #[test]
    fn bent_answers_never_panic((service, settings) in any_service(), (dest, to) in any_dest(), bends in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8), cut: usize) {
        for change in [Change::AddService { service, settings }, Change::AddDest { service, dest, settings: to }] {
            let mut body = echo(&encode::change(&change));
            for (at, value) in &bends {
                let at = at % body.len();
                body[at] = *value;
            }
            body.truncate(cut % (body.len() + 1));
            let _ = (decode::service(&body), decode::destination(&body, &web()));
            let _ = (daemon(&body), timeouts(&body), info(&body), messages(&body));
            let _ = messages(&message(2, flag::TLVS, 1, &[&body]));
        }
    }

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (messages(&body), decode::service(&body), decode::destination(&body, &web()));
        let _ = (daemon(&body), timeouts(&body), info(&body), wire::find(&body, 1));
    }
}
