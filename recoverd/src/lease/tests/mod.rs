//! Stories of one machine: time on two clocks, commands, the lock record, nodes lists. The rest is the simulation's.

mod minority;
mod quorum;

use super::nodes::Lists;
use super::*;
use crate::model::Mono;
use std::time::Duration;

const MS: u64 = 1000;

fn at(ms: u64) -> Clocks {
    Clocks { boot: Mono(ms * MS), raw: Mono(ms * MS + 7_000_000) }
}

fn config(nodes: u32) -> LeaseConfig {
    LeaseConfig {
        me: Pnn(0),
        nodes: (0..nodes).map(Pnn).collect(),
        list: 1,
        lease_time: Duration::from_secs(1),
        leaderless_grace: Duration::from_secs(120),
        lock: LockKind::Store,
    }
}

fn addr() -> IpAddr {
    IpAddr::from([10, 0, 0, 1])
}

/// A node that started, dropped, has the lock and proved it at 1000 ms.
fn recmaster(nodes: u32) -> Lease {
    let mut l = Lease::new(&config(nodes));
    l.handle(LeaseInput::Start { stored: Epoch::NONE, before: None }, at(990));
    l.handle(LeaseInput::Dropped { session: Session(1) }, at(991));
    let previous = Some(LockRecord { epoch: Epoch { number: 6, pnn: Pnn(1) }, list: 1, session: None });
    let acts = l.handle(LeaseInput::LockAcquired { previous }, at(992));
    let epoch = Epoch { number: 7, pnn: Pnn(0) };
    assert!(
        acts.contains(&LeaseAction::Lock(LockOrder::Record(LockRecord {
            epoch,
            list: 1,
            session: Some(Session(1))
        }))),
        "{acts:?}"
    );
    l.handle(LeaseInput::LockRecorded { epoch }, at(1000));
    l.handle(LeaseInput::LockProved { asked_at: at(1000) }, at(1010));
    l
}

#[test]
fn a_lone_recmaster_gives_to_itself() {
    let mut l = recmaster(1);
    assert!(l.leading(at(1011)));
    // Alone it is a majority, too.
    assert_eq!(l.deadline(), Some((at(2000), HoldRule::Peers)));
    let acts = l.handle(LeaseInput::Give { addr: addr(), to: Pnn(0) }, at(1011));
    let command = acts.iter().find_map(|a| match a {
        LeaseAction::Command { to: Pnn(0), command } => Some(*command),
        _ => None,
    });
    let acts = l.handle(LeaseInput::Command(command.expect("a take")), at(1012));
    assert!(acts.iter().any(|a| matches!(a, LeaseAction::Take(_))), "{acts:?}");
    assert_eq!(l.held().collect::<Vec<_>>(), [addr()]);
    // d15: the same again is not obeyed.
    let acts = l.handle(LeaseInput::Command(command.expect("a take")), at(1013));
    assert!(!acts.iter().any(|a| matches!(a, LeaseAction::Take(_))), "{acts:?}");
}

#[test]
fn either_clock_ends_a_lease() {
    let mut l = recmaster(1);
    let boot_late = Clocks { boot: at(2000).boot, raw: at(1500).raw };
    let raw_late = Clocks { boot: at(1500).boot, raw: at(2000).raw };
    assert!(l.may_serve(at(1999)));
    assert!(!l.may_serve(boot_late) && !l.may_serve(raw_late));
    let acts = l.handle(LeaseInput::Tick, raw_late);
    assert!(acts.contains(&LeaseAction::Lapsed { session: Some(Session(1)) }), "{acts:?}");
    // D8: a proof that comes now revives nothing.
    l.handle(LeaseInput::LockProved { asked_at: at(1490) }, raw_late);
    assert!(!l.may_serve(raw_late) && l.session().is_none());
}

#[test]
fn both_clocks_end_a_wait() {
    let end = at(2000);
    assert!(!Clocks { boot: at(2001).boot, raw: at(1999).raw }.has_waited(end));
    assert!(at(2000).has_waited(end));
}

#[test]
fn an_unheard_node_may_hold_anything() {
    let l = recmaster(2);
    let why = l.may_give(addr(), at(1011)).expect_err("node 1 was not heard");
    assert_eq!(why, WaitReason::Unaccounted { pnns: vec![Pnn(1)] });
    assert!(why.to_string().contains("node 1 was not heard"), "{why}");
}

/// Node 0 follows node 1 from 1000 ms on, until that one last acknowledged a beat sent at `lived`; then it gets the lock after it.
fn heir(lived: u64) -> Lease {
    let (old, session) = (Epoch { number: 6, pnn: Pnn(1) }, Session(1));
    let mut l = Lease::new(&config(2));
    let from = |msg| LeaseInput::Msg { from: Pnn(1), msg };
    l.handle(LeaseInput::Start { stored: Epoch::NONE, before: None }, at(990));
    l.handle(LeaseInput::Dropped { session }, at(991));
    l.handle(from(LeaseMsg::Challenge { epoch: old, nonce: 1, list: 1 }), at(999));
    l.handle(from(LeaseMsg::Welcome { epoch: old, session, settled: false }), at(1000));
    for ms in (1000..=lived).step_by(100) {
        for action in l.handle(LeaseInput::Tick, at(ms)) {
            if let LeaseAction::Send { to: Pnn(1), msg: LeaseMsg::Beat { seq, .. } } = action {
                let ack = LeaseMsg::Ack { epoch: old, session, seq, age: 0, settled: false };
                l.handle(from(ack), at(ms + 1));
            }
        }
    }
    let previous = Some(LockRecord { epoch: old, list: 1, session: Some(Session(77)) });
    l.handle(LeaseInput::LockAcquired { previous }, at(lived + 10));
    let epoch = Epoch { number: 7, pnn: Pnn(0) };
    l.handle(LeaseInput::LockRecorded { epoch }, at(lived + 11));
    l.handle(LeaseInput::LockProved { asked_at: at(lived + 11) }, at(lived + 12));
    l
}

/// Proves the lock every 100 ms from `from` on; the predecessor must be out by a proof that began at `end`, and by none before.
fn out_at(mut l: Lease, from: u64, end: u64) {
    for ms in (from..end - 1).step_by(100) {
        l.handle(LeaseInput::LockProved { asked_at: at(ms) }, at(ms + 1));
    }
    l.handle(LeaseInput::LockProved { asked_at: at(end - 1) }, at(end + 1));
    assert!(l.may_give(addr(), at(end + 2)).is_err(), "D5: this proof began before the wait ended");
    let acts = l.handle(LeaseInput::LockProved { asked_at: at(end) }, at(end + 3));
    let out = LeaseAction::Out { pnn: Pnn(1), session: None, how: OutHow::Evicted };
    assert!(acts.contains(&out), "{acts:?}");
    assert_eq!(l.may_give(addr(), at(end + 4)), Ok(()));
}

#[test]
fn the_predecessor_is_out_after_w_t_and_a_proof() {
    // From the promise quorum (itself, at 2411 ms): 1110 + 10.
    out_at(heir(2400), 2500, 3531);
}

#[test]
fn a_predecessor_that_led_shortly_is_out_after_twice_that() {
    // d31: an older recmaster may have acknowledged a later session of it. From 2011 ms: 2220 + 10.
    out_at(heir(2000), 2100, 4241);
}

#[test]
fn the_guard_of_the_recmaster_before_is_believed() {
    let mut l = heir(2400);
    // d11: another session is none of its business.
    l.handle(LeaseInput::GuardReport { pnn: Pnn(1), session: Session(78) }, at(2413));
    assert!(l.may_give(addr(), at(2413)).is_err());
    let acts = l.handle(LeaseInput::GuardReport { pnn: Pnn(1), session: Session(77) }, at(2414));
    assert!(acts.contains(&LeaseAction::Out { pnn: Pnn(1), session: None, how: OutHow::Guard }), "{acts:?}");
    assert_eq!(l.may_give(addr(), at(2414)), Ok(()));
}

#[test]
fn the_guard_of_a_recmaster_that_led_shortly_is_not() {
    // An older recmaster may still lead, and may have acknowledged a later session of that node.
    let mut l = heir(2000);
    l.handle(LeaseInput::GuardReport { pnn: Pnn(1), session: Session(77) }, at(2014));
    assert!(l.may_give(addr(), at(2014)).is_err());
}

#[test]
fn a_lock_record_of_an_unknown_list_is_not_ours_to_follow() {
    let mut l = Lease::new(&config(1));
    l.handle(LeaseInput::Start { stored: Epoch::NONE, before: None }, at(990));
    let previous = Some(LockRecord { epoch: Epoch { number: 6, pnn: Pnn(1) }, list: 99, session: None });
    let acts = l.handle(LeaseInput::LockAcquired { previous }, at(992));
    assert!(acts.contains(&LeaseAction::Lock(LockOrder::Leave)), "{acts:?}");
    assert!(acts.iter().any(|a| matches!(a, LeaseAction::Journal { text } if text.contains("nodes file"))));
    // It tries again later.
    let acts = l.handle(LeaseInput::Tick, at(992 + 5001));
    assert!(acts.contains(&LeaseAction::Lock(LockOrder::Queue)), "{acts:?}");
}

#[test]
fn quorums_are_needed_in_both_lists_while_one_replaces_the_other() {
    let three = [Pnn(0), Pnn(1), Pnn(2)];
    let four = [Pnn(0), Pnn(1), Pnn(2), Pnn(3)];
    let mut l = Lists::new(1, &three);
    l.replace(2, &four, true);
    let of = |who: &'static [u32]| move |p: Pnn| who.contains(&p.0);
    assert!(!l.promise_quorum(of(&[0, 3]), true), "2 of 4, but 1 of 3");
    assert!(l.promise_quorum(of(&[0, 1]), true));
    assert!(!l.majority(of(&[0, 1])), "2 of 3, but 2 of 4");
    assert!(l.majority(of(&[0, 1, 3])));
    l.settle();
    assert!(l.promise_quorum(of(&[0, 3]), true));
    assert_eq!(l.rank_after(Pnn(0), Pnn(3)), 0);
    assert_eq!(l.rank_after(Pnn(3), Pnn(0)), 2);
}

#[test]
fn a_take_of_another_session_or_without_a_lease_is_refused() {
    let l = recmaster(1);
    let mut c = Command { take: true, epoch: l.epoch(), session: Session(1), number: 1, addr: addr() };
    assert!(l.accepts(&c, at(1500)));
    assert!(!l.accepts(&c, at(2000)), "the lease is over");
    c.session = Session(2);
    assert!(!l.accepts(&c, at(1500)), "d11");
    c = Command { session: Session(1), epoch: Epoch { number: 6, pnn: Pnn(1) }, ..c };
    assert!(!l.accepts(&c, at(1500)), "an older epoch");
}
