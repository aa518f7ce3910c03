//! Lock `quorum`: what the word of the last recmaster's guard is worth (d29), and when a joined session is all of its node (d30).

use super::*;

const OLD: Epoch = Epoch { number: 6, pnn: Pnn(1) };
const S0: Session = Session(1);
/// Of node 1, with which it led.
const S1: Session = Session(77);
const S2: Session = Session(22);

fn from(pnn: u32, msg: LeaseMsg) -> LeaseInput {
    LeaseInput::Msg { from: Pnn(pnn), msg }
}

/// What node 0 sends to node 2.
fn sent(acts: Vec<LeaseAction>) -> Vec<LeaseMsg> {
    let to_2 = |a| match a {
        LeaseAction::Send { to: Pnn(2), msg } => Some(msg),
        _ => None,
    };
    acts.into_iter().filter_map(to_2).collect()
}

fn guard(session: Session) -> LeaseInput {
    LeaseInput::GuardReport { pnn: Pnn(1), session }
}

/// Node 0 of three. Node 1 led until `lived`, its guard reported at 20 ms after that, and node 0 begins an epoch with node 2's backing.
fn after_the_recmaster(lived: u64) -> (Lease, Epoch, u64) {
    let mut l = Lease::new(&LeaseConfig { lock: LockKind::Quorum { short_count: true }, ..config(3) });
    l.handle(LeaseInput::Start { stored: Epoch::NONE, before: None }, at(10));
    l.handle(LeaseInput::Dropped { session: S0 }, at(11));
    l.handle(from(1, LeaseMsg::Challenge { epoch: OLD, nonce: 1, list: 1 }), at(2999));
    l.handle(from(1, LeaseMsg::Welcome { epoch: OLD, session: S0, settled: true }), at(3000));
    for ms in (3000..=lived).step_by(100) {
        let ask = LeaseMsg::Ask { epoch: OLD, session: S1, round: ms, welcomed: true };
        for action in l.handle(from(1, ask), at(ms)) {
            if let LeaseAction::Send { to: Pnn(1), msg: LeaseMsg::Beat { seq, .. } } = action {
                let ack = LeaseMsg::Ack { epoch: OLD, session: S0, seq, age: 0, settled: true };
                l.handle(from(1, ack), at(ms + 1));
            }
        }
    }
    let mut now = lived + 20;
    let mut asked = sent(l.handle(guard(S1), at(now)));
    // The stagger of the second in line.
    for _ in 0..20 {
        now += 10;
        asked.extend(sent(l.handle(LeaseInput::Tick, at(now))));
    }
    let id = asked.iter().find_map(|m| if let LeaseMsg::Canvass { id, .. } = m { Some(*id) } else { None });
    let id = id.expect("the recmaster is fenced: node 0 stands long before T is over");
    l.handle(from(2, LeaseMsg::Would { id, hushed: false, heard: OLD }), at(now));
    let epoch = l.epoch();
    assert_eq!(epoch.pnn, Pnn(0), "it began an epoch");
    (l, epoch, now)
}

/// Node 2 joins; its last grant to node 1 went to this session.
fn joins(l: &mut Lease, epoch: Epoch, last: Session, now: u64) -> Vec<LeaseAction> {
    let knock = LeaseMsg::Knock { session: S2, list: 1, heard: epoch };
    let nonce = sent(l.handle(from(2, knock), at(now))).into_iter().find_map(|m| match m {
        LeaseMsg::Challenge { nonce, .. } => Some(nonce),
        _ => None,
    });
    let join = LeaseMsg::Join {
        epoch,
        session: S2,
        nonce: nonce.expect("a challenge"),
        addrs: vec![addr()],
        grants: vec![(Pnn(1), last, 100_000)],
        uptime: 60_000_000,
        supported: OLD,
    };
    l.handle(from(2, join), at(now + 1))
}

/// Node 2 grants every round that it was asked for.
fn grants(l: &mut Lease, epoch: Epoch, asked: Vec<LeaseAction>, now: u64) -> Vec<LeaseAction> {
    let mut out = Vec::new();
    for msg in sent(asked) {
        if let LeaseMsg::Ask { round, .. } = msg {
            let grant = LeaseMsg::Grant { epoch, session: S0, round, hushed: false };
            out.extend(l.handle(from(2, grant), at(now)));
        }
    }
    out
}

fn is_out(acts: &[LeaseAction], pnn: Pnn) -> bool {
    acts.iter().any(|a| matches!(a, LeaseAction::Out { pnn: p, how: OutHow::Guard, .. } if *p == pnn))
}

#[test]
fn the_guard_of_the_last_recmaster_is_believed() {
    let (mut l, epoch, now) = after_the_recmaster(4600);
    let acts = joins(&mut l, epoch, S1, now + 1);
    assert!(is_out(&acts, Pnn(1)), "{acts:?}");
    let acts = grants(&mut l, epoch, acts, now + 3);
    assert!(acts.contains(&LeaseAction::AllAccounted), "{acts:?}");
}

#[test]
fn not_if_it_was_granted_to_in_a_later_session() {
    let (mut l, epoch, now) = after_the_recmaster(4600);
    let acts = joins(&mut l, epoch, Session(78), now + 1);
    assert!(!is_out(&acts, Pnn(1)), "{acts:?}");
}

#[test]
fn not_if_an_older_recmaster_may_have_led_beside_it() {
    // W(T) = 1120 ms after its first acknowledgement it had not acknowledged anything.
    let (mut l, epoch, now) = after_the_recmaster(4000);
    let acts = joins(&mut l, epoch, S1, now + 1);
    assert!(!is_out(&acts, Pnn(1)), "{acts:?}");
}

#[test]
fn a_joined_session_is_all_of_its_node_after_a_round_of_all() {
    let (mut l, epoch, now) = after_the_recmaster(4600);
    let asked = joins(&mut l, epoch, S1, now + 1);
    // Seated, but its daemon may have died since and live with an older recmaster.
    let acts = l.handle(LeaseInput::GuardReport { pnn: Pnn(2), session: S2 }, at(now + 2));
    assert!(!is_out(&acts, Pnn(2)), "{acts:?}");
    assert!(l.may_give(addr(), at(now + 2)).is_err());
    let acts = grants(&mut l, epoch, asked, now + 3);
    assert!(is_out(&acts, Pnn(2)), "{acts:?}");
}
