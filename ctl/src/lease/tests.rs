//! Shapes of `ctdb lease`.

use super::*;
use recoverd::model::{Epoch, Pnn, Session};
use recoverd::view::LeaseView;

fn report() -> LeaseReport {
    LeaseReport {
        lease_time_us: 1_000_000,
        left_us: Some(843_210),
        rule: "it is recmaster and proved the cluster lock".into(),
        gate: "open for 840 ms".into(),
        scheduling: "real-time".into(),
        late_max_us: 1_260,
        view: LeaseView {
            epoch: Epoch { number: 3, pnn: Pnn(1) },
            leading: true,
            session: Some(Session(0xab)),
            extended: true,
            lapses: 1,
            seats: vec![(Pnn(0), Seat::Joined(Session(0xcd))), (Pnn(2), Seat::Out("evicted".into()))],
        },
    }
}

#[test]
fn for_people() {
    assert_eq!(
        plain(Some(&report())),
        "Lease: this node may serve for 843 ms more (LeaseTime 1000 ms)\n\
         Extended last: it is recmaster and proved the cluster lock\n\
         Gate: open for 840 ms\nSession: 00000000000000ab\nEpoch: 3.1, this node leads\nLapses: 1\n\
         Lease thread: real-time; at most 1.3 ms late\n\
         Node 0: joined with session 00000000000000cd\nNode 2: holds nothing: evicted\n"
    );
    assert_eq!(line(Some(&report())), "Lease:843 ms, gate open for 840 ms\n");
    let mut lapsed = report();
    lapsed.left_us = None;
    lapsed.gate = "shut".into();
    lapsed.view.leading = false;
    assert_eq!(line(Some(&lapsed)), "Lease:LAPSED, gate shut\n");
    assert!(
        plain(Some(&lapsed))
            .starts_with("Lease: lapsed; this node serves nothing (LeaseTime 1000 ms)\nGate: shut\n")
    );
    assert!(plain(Some(&lapsed)).contains("Epoch: 3.1, led by node 1\n"));
    assert_eq!(line(None), "Lease:OFF\n");
    assert!(plain(None).starts_with("There are no leases here"));
}

#[test]
fn for_programs() {
    assert_eq!(
        table(Some(&report()), '|'),
        "|On|LeftMs|LeaseTimeMs|Rule|Gate|Epoch|Leading|Lapses|\n\
         |1|843|1000|it is recmaster and proved the cluster lock|open for 840 ms|3.1|1|1|\n"
    );
    assert_eq!(table(None, ':'), ":On:LeftMs:LeaseTimeMs:Rule:Gate:Epoch:Leading:Lapses:\n:0::::::::\n");
    let json = lease_json(Some(&report()));
    assert_eq!((&json["left_us"], &json["members"][1]["node"]), (&json!(843_210), &json!(2)));
    assert_eq!((&json["scheduling"], &json["late_max_us"]), (&json!("real-time"), &json!(1260)));
    assert_eq!(lease_json(None), json!({ "leases": false }));
}
