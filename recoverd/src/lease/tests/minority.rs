//! L5 on one machine: when a recmaster offers the lock, and what it makes of getting it back.

use super::*;

const OURS: Epoch = Epoch { number: 7, pnn: Pnn(0) };

fn offered(acts: &[LeaseAction]) -> bool {
    acts.contains(&LeaseAction::Lock(LockOrder::Leave))
}

/// Proofs every 100 ms, and beats of node 1 that acknowledge what `answered` says; when the lock was offered.
fn until_offered(l: &mut Lease, to: u64, answered: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    for (i, ms) in (1100..to).step_by(100).enumerate() {
        let seq = i as u64 + 1;
        if let Some(answered) = answered(seq) {
            let msg = LeaseMsg::Beat { epoch: OURS, session: Session(9), seq, answered };
            if offered(&l.handle(LeaseInput::Msg { from: Pnn(1), msg }, at(ms))) {
                return Some(ms);
            }
        }
        if offered(&l.handle(LeaseInput::LockProved { asked_at: at(ms) }, at(ms + 1))) {
            return Some(ms + 1);
        }
    }
    None
}

/// A recmaster of three, node 1 joined.
fn with_a_follower() -> Lease {
    let mut l = recmaster(3);
    let from = |msg| LeaseInput::Msg { from: Pnn(1), msg };
    let session = Session(9);
    let acts = l.handle(from(LeaseMsg::Knock { session, list: 1, heard: Epoch::NONE }), at(1020));
    let nonce = acts.iter().find_map(|a| match a {
        LeaseAction::Send { msg: LeaseMsg::Challenge { nonce, .. }, .. } => Some(*nonce),
        _ => None,
    });
    let join = LeaseMsg::Join {
        epoch: OURS,
        session,
        nonce: nonce.expect("a challenge"),
        addrs: Vec::new(),
        grants: Vec::new(),
        uptime: 20_000,
        supported: Epoch::NONE,
    };
    l.handle(from(join), at(1021));
    assert_eq!(l.session_of(Pnn(1)), Some(session));
    l
}

#[test]
fn a_lone_recmaster_takes_the_offered_lock_back_and_goes_on() {
    let mut l = recmaster(3);
    let when = until_offered(&mut l, 9000, |_| None).expect("an offer");
    assert!((3000..3200).contains(&when), "2 T after the epoch began, not at {when}");
    assert!(l.leading(at(when + 200)), "within T of its last proof");
    let acts = l.handle(LeaseInput::Tick, at(when + 250));
    assert!(acts.contains(&LeaseAction::Lock(LockOrder::Queue)), "{acts:?}");
    let ours = LockRecord { epoch: OURS, list: 1, session: Some(Session(1)) };
    let acts = l.handle(LeaseInput::LockAcquired { previous: Some(ours) }, at(when + 260));
    assert!(acts.contains(&LeaseAction::Lock(LockOrder::Record(ours))), "{acts:?}");
    assert_eq!((l.epoch(), l.session()), (OURS, Some(Session(1))));
    // The lease never ended.
    l.handle(LeaseInput::LockRecorded { epoch: OURS }, at(when + 270));
    l.handle(LeaseInput::LockProved { asked_at: at(when + 270) }, at(when + 280));
    assert!(l.may_serve(at(when + 1200)) && l.leading(at(when + 1200)));
    // The next offer is 2 T later, the one after it 4 T.
    let again = (when + 300..when + 9000).step_by(100).find(|ms| {
        let gone = offered(&l.handle(LeaseInput::LockProved { asked_at: at(*ms) }, at(ms + 1)));
        assert!(l.may_serve(at(ms + 1)));
        gone
    });
    assert!(again.is_some_and(|ms| (when + 2000..when + 2200).contains(&ms)), "{again:?} after {when}");
}

#[test]
fn a_recmaster_whose_offer_was_taken_begins_a_new_epoch() {
    let mut l = recmaster(3);
    let when = until_offered(&mut l, 9000, |_| None).expect("an offer");
    l.handle(LeaseInput::Tick, at(when + 250));
    let theirs = LockRecord { epoch: Epoch { number: 8, pnn: Pnn(2) }, list: 1, session: Some(Session(5)) };
    l.handle(LeaseInput::LockAcquired { previous: Some(theirs) }, at(when + 260));
    assert_eq!(l.epoch(), Epoch { number: 9, pnn: Pnn(0) });
    assert!(!l.leading(at(when + 260)));
}

#[test]
fn an_offer_that_lasts_too_long_ends_leading() {
    let mut l = recmaster(3);
    let when = until_offered(&mut l, 9000, |_| None).expect("an offer");
    l.handle(LeaseInput::Tick, at(when + 250));
    let acts = l.handle(LeaseInput::Tick, at(when + 1000));
    assert!(acts.contains(&LeaseAction::NotLeading { epoch: OURS }), "{acts:?}");
    let ours = LockRecord { epoch: OURS, list: 1, session: Some(Session(1)) };
    l.handle(LeaseInput::LockAcquired { previous: Some(ours) }, at(when + 1010));
    assert_eq!(l.epoch(), Epoch { number: 8, pnn: Pnn(0) }, "what it knew is over (d26)");
}

#[test]
fn only_who_answers_counts_as_a_follower() {
    assert_eq!(until_offered(&mut with_a_follower(), 9000, |seq| Some(seq - 1)), None, "it hears us");
    let when = until_offered(&mut with_a_follower(), 9000, |_| Some(0));
    assert!(when.is_some_and(|ms| ms < 3300), "heard, but it never had an acknowledgement: {when:?}");
}
