//! Random pairs of tables converge in one pass with as few requests as possible; the field reports' rules one by one.

use super::*;
use crate::model::{
    Checksum, Family, Forward, Granularity, Persistence, Protocol, SchedFlags, Scheduler, Tunnel,
};
use crate::testkit::Kernel;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn a_service() -> impl Strategy<Value = ServiceId> {
    let v4 = (
        1u8..4,
        prop_oneof![Just(0u16), Just(80), Just(443)],
        prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)],
    )
        .prop_map(|(a, port, p)| ServiceId::addr(IpAddr::from([192, 0, 2, a]), port, p));
    let v6 = (1u16..3)
        .prop_map(|a| ServiceId::addr(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, a]), 80, Protocol::Tcp));
    let mark = (1u32..3, prop_oneof![Just(Family::Inet), Just(Family::Inet6)])
        .prop_map(|(mark, family)| ServiceId::Fwmark { mark, family });
    prop_oneof![3 => v4, 1 => v6, 1 => mark]
}

fn a_dest() -> impl Strategy<Value = (DestId, DestSettings)> {
    let forward = prop_oneof![
        Just(Forward::Nat),
        Just(Forward::Dr),
        Just(Forward::Tun(Tunnel::Ipip)),
        Just(Forward::Tun(Tunnel::Gue { port: 5555, csum: Checksum::Csum })),
    ];
    (1u8..6, prop_oneof![Just(80u16), Just(8080)], 0u32..3, forward, 0u32..2).prop_map(
        |(a, port, weight, forward, upper)| {
            (
                DestId::new(IpAddr::from([10, 0, 0, a]), port),
                DestSettings { weight, forward, upper, lower: 0 },
            )
        },
    )
}

fn settings() -> impl Strategy<Value = ServiceSettings> {
    let persistence = prop_oneof![
        Just(None),
        (1u32..3).prop_map(|timeout| Some(Persistence {
            timeout,
            granularity: Granularity::host(Family::Inet),
            engine: None
        })),
    ];
    (prop_oneof![Just("rr"), Just("wlc"), Just("mh")], any::<bool>(), any::<bool>(), persistence).prop_map(
        |(name, flag1, one_packet, persistence)| ServiceSettings {
            scheduler: Scheduler::new(name).unwrap(),
            sched_flags: SchedFlags { flag1, ..SchedFlags::NONE },
            one_packet,
            persistence,
        },
    )
}

fn table() -> impl Strategy<Value = Table> {
    let service = (settings(), proptest::collection::btree_map(0u8..8, a_dest(), 0..5))
        .prop_map(|(settings, dests)| Service { settings, dests: dests.into_values().collect() });
    proptest::collection::btree_map(a_service(), service, 0..6).prop_map(|services| Table { services })
}

/// The least number of requests: one for each object that differs; destinations of a service that goes cost nothing.
fn least(desired: &Table, actual: &Table, owned: &BTreeSet<ServiceId>) -> usize {
    let mut n = 0;
    let empty = BTreeMap::new();
    for (id, want) in &desired.services {
        let have = actual.services.get(id);
        n += usize::from(have.map(|h| &h.settings) != Some(&want.settings));
        let have = have.map_or(&empty, |h| &h.dests);
        let all: BTreeSet<_> = want.dests.keys().chain(have.keys()).collect();
        n += all.iter().filter(|d| want.dests.get(d) != have.get(d)).count();
    }
    n + owned
        .iter()
        .filter(|id| actual.services.contains_key(id) && !desired.services.contains_key(id))
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// One pass is enough, a second one has nothing to do, nobody else's services are touched, and no request is in vain.
    #[test]
    fn one_pass_converges(desired in table(), actual in table(), others in table(), own in proptest::collection::vec(any::<bool>(), 6)) {
        let owned: BTreeSet<_> =
            actual.services.keys().zip(own).filter_map(|(id, ours)| ours.then_some(*id)).collect();
        let foreign: BTreeMap<_, _> = actual.services.iter().chain(&others.services)
            .filter(|(id, _)| !owned.contains(id) && !desired.services.contains_key(id))
            .map(|(id, s)| (*id, s.clone())).collect();
        let mut start = actual.clone();
        for (id, s) in &foreign {
            start.services.insert(*id, s.clone());
        }
        let mut kernel = Kernel::with(start.clone());
        let changes = diff(&desired, kernel.table(), &owned);
        prop_assert_eq!(changes.len(), least(&desired, &start, &owned));
        for change in &changes {
            prop_assert_eq!(kernel.apply(change), Ok(()), "{}", change);
            prop_assert!(!foreign.contains_key(&change.service()));
        }
        let mut end = desired.clone();
        end.services.extend(foreign);
        prop_assert_eq!(kernel.table(), &end);
        prop_assert_eq!(diff(&desired, kernel.table(), &owned), vec![]);
    }

    /// A service on both sides is never deleted or added, and has its new destinations before the old ones go.
    #[test]
    fn what_stays_is_not_rebuilt(desired in table(), actual in table()) {
        let owned = actual.services.keys().copied().collect();
        let mut gone = BTreeSet::new();
        for change in diff(&desired, &actual, &owned) {
            let id = change.service();
            let stays = desired.services.contains_key(&id) && actual.services.contains_key(&id);
            match change {
                Change::AddService { .. } | Change::DelService { .. } => prop_assert!(!stays),
                Change::DelDest { .. } => { gone.insert(id); }
                Change::AddDest { .. } | Change::EditDest { .. } => prop_assert!(!gone.contains(&id)),
                Change::EditService { .. } => prop_assert!(stays),
            }
        }
    }
}

/// R0-2: the kernel has :80 (forced by a tool); the file says :8080. What is deleted is :80.
#[test]
fn a_destination_is_deleted_as_the_kernel_has_it() {
    let id: ServiceId = "tcp 192.168.142.100:80".parse().unwrap();
    let table = |dest: &str| Table {
        services: [(
            id,
            Service {
                dests: [(dest.parse().unwrap(), DestSettings::default())].into(),
                ..Service::default()
            },
        )]
        .into(),
    };
    let changes = diff(&table("192.168.142.158:8080"), &table("192.168.142.158:80"), &BTreeSet::new());
    let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "add 192.168.142.158:8080 (NAT, weight 1) to tcp 192.168.142.100:80",
            "delete 192.168.142.158:80 from tcp 192.168.142.100:80"
        ]
    );
}

/// R1-4: a weight change is one edit.
#[test]
fn a_weight_is_one_edit() {
    let id: ServiceId = "tcp 192.0.2.1:80".parse().unwrap();
    let dest: DestId = "10.0.0.1:80".parse().unwrap();
    let table = |weight| Table {
        services: [(
            id,
            Service {
                dests: [(dest, DestSettings { weight, ..DestSettings::default() })].into(),
                ..Service::default()
            },
        )]
        .into(),
    };
    let settings = DestSettings { weight: 5, ..DestSettings::default() };
    assert_eq!(
        diff(&table(5), &table(1), &BTreeSet::new()),
        [Change::EditDest { service: id, dest, settings }]
    );
    assert_eq!(diff(&table(5), &table(5), &BTreeSet::new()), []);
}
