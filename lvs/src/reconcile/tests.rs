//! R0-3 and R0-4: one refused request is one object's trouble.

use super::*;
use crate::model::{DestSettings, Service};
use crate::testkit::Kernel;

fn errno(errno: i32) -> KernelError {
    KernelError { errno, name: format!("E{errno}"), text: "refused".to_owned() }
}

fn id() -> ServiceId {
    "tcp 192.0.2.1:80".parse().unwrap()
}

fn table(dests: &[(&str, u32)]) -> Table {
    let dests = dests
        .iter()
        .map(|(d, weight)| (d.parse().unwrap(), DestSettings { weight: *weight, ..DestSettings::default() }))
        .collect();
    Table { services: [(id(), Service { dests, ..Service::default() })].into() }
}

const S: Duration = Duration::from_secs(1);

/// R0-3: the destination is gone already; the pass goes on and the table is what is wanted.
#[test]
fn a_delete_of_what_is_not_there_is_done() {
    let mut r = Reconciler::default();
    let mut kernel = Kernel::with(table(&[("10.0.0.1:80", 1)]));
    let believed = table(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 1)]);
    let desired = table(&[("10.0.0.1:80", 3)]);
    let changes = r.plan(&desired, &believed, &BTreeSet::new(), S);
    let verdicts: Vec<Verdict> =
        changes.iter().map(|c| r.answered(c, kernel.apply(c).map_err(errno), S)).collect();
    assert_eq!(verdicts, [Verdict::Done, Verdict::AlreadyGone]);
    assert_eq!(kernel.table(), &desired);
    assert!(r.failures().is_empty());
}

/// R0-4: EPERM on one destination leaves the others and the service alone, and is tried again later and later.
#[test]
fn a_refused_destination_waits_alone() {
    let mut r = Reconciler::default();
    let (desired, actual) =
        (table(&[("10.0.0.1:80", 2), ("10.0.0.2:80", 2)]), table(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 1)]));
    let changes = r.plan(&desired, &actual, &BTreeSet::new(), S);
    assert_eq!(changes.len(), 2);
    assert_eq!(r.answered(&changes[0], Err(errno(1)), S), Verdict::Refused { first: true });
    assert_eq!(r.answered(&changes[1], Ok(()), S), Verdict::Done);
    let actual = table(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 2)]);
    let mut now = S;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let at = r.next_deadline().unwrap();
        waits.push((at - now).as_secs());
        assert_eq!(r.plan(&desired, &actual, &BTreeSet::new(), at - Duration::from_millis(1)), []);
        assert_eq!(r.plan(&desired, &actual, &BTreeSet::new(), at), changes[..1]);
        assert_eq!(r.answered(&changes[0], Err(errno(1)), at), Verdict::Refused { first: false });
        now = at;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    let failure = r.failures().values().next().unwrap();
    assert_eq!(failure.request, "change 10.0.0.1:80 (NAT, weight 2) of tcp 192.0.2.1:80");
    assert_eq!(failure.since, S);
    assert_eq!(r.answered(&changes[0], Err(errno(22)), now), Verdict::Refused { first: true });
    assert_eq!(r.answered(&changes[0], Ok(()), now), Verdict::Done);
    assert!(r.failures().is_empty());
}

/// Destinations of a service that the kernel refuses are not tried without it; a refusal that nobody needs any more is forgotten.
#[test]
fn destinations_wait_for_their_service() {
    let mut r = Reconciler::default();
    let desired = table(&[("10.0.0.1:80", 2)]);
    let changes = r.plan(&desired, &Table::new(), &BTreeSet::new(), S);
    assert_eq!(changes.len(), 2);
    assert_eq!(r.answered(&changes[0], Err(errno(2)), S), Verdict::Refused { first: true });
    assert_eq!(r.answered(&changes[1], Err(errno(3)), S), Verdict::Stale);
    assert_eq!(r.plan(&desired, &Table::new(), &BTreeSet::new(), S), []);
    assert_eq!(r.plan(&desired, &Table::new(), &BTreeSet::new(), S * 2).len(), 2);
    assert_eq!(r.plan(&Table::new(), &Table::new(), &BTreeSet::new(), S), []);
    assert_eq!(r.next_deadline(), None);
}

/// "It is there" to an addition means that the table was read too early; said again after a new reading, it is a refusal.
#[test]
fn a_stale_table_is_read_again_once() {
    let mut r = Reconciler::default();
    let (desired, actual) = (table(&[("10.0.0.1:80", 2)]), table(&[]));
    let changes = r.plan(&desired, &actual, &BTreeSet::new(), S);
    assert_eq!(r.answered(&changes[0], Err(errno(17)), S), Verdict::Stale);
    assert_eq!(r.plan(&desired, &actual, &BTreeSet::new(), S), changes);
    assert_eq!(r.answered(&changes[0], Err(errno(17)), S), Verdict::Refused { first: false });
    assert_eq!(r.plan(&desired, &actual, &BTreeSet::new(), S), []);
}
