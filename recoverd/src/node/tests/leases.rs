//! The node machine on top of the lease layer, which is played by hand: who leads, what is obeyed, what a lapse does.

use super::bench::{Bench, PEER};
use super::world::IFACE;
use crate::action::{Action, LeaseWish};
use crate::control::{Answer, Control};
use crate::input::Input;
use crate::model::*;
use crate::msg::PeerMsg;
use crate::view::{LeaseView, Seat};

const MINE: Session = Session(500);
const PEERS: Session = Session(600);

fn view(epoch: Epoch) -> LeaseView {
    LeaseView { epoch, leading: false, session: Some(MINE), extended: true, lapses: 1, seats: Vec::new() }
}

/// Runs and is well, in the epoch of its peer, with a lease.
fn follower() -> Bench {
    let mut b = Bench::new(|c| c.leases = true);
    let actions = b.feed(Input::Lease(LeaseView { session: None, extended: false, ..view(Epoch::NONE) }));
    assert!(wishes(&actions).is_empty(), "`init` takes off what a former life left, first");
    b.peer_up();
    assert_eq!(wishes(&b.end("init", EventOutcome::Ok)), [LeaseWish::Dropped]);
    b.feed(Input::Lease(view(b.epoch)));
    b.state(true);
    for event in ["setup", "startrecovery", "recovered", "startup", "monitor"] {
        b.end(event, EventOutcome::Ok);
    }
    assert_eq!(b.node.runstate(), RunState::Running);
    b
}

fn wishes(actions: &[Action]) -> Vec<LeaseWish> {
    let wish = |a: &Action| match a {
        Action::Lease(w) if !matches!(w, LeaseWish::Capable { .. }) => Some(*w),
        _ => None,
    };
    actions.iter().filter_map(wish).collect()
}

fn take(b: &mut Bench, epoch: Epoch, session: Session) -> Vec<Action> {
    let run = RunId { epoch, count: 2 };
    let control = Control::TakeoverIp { run, addrs: vec![b.addr()] };
    b.peer(PeerMsg::Control { req: 5, epoch, session: Some(session), control })
}

fn refused(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|a| matches!(a, Action::Send { msg: PeerMsg::Answer { answer: Answer::Failed(_), .. }, .. }))
}

fn taking(b: &Bench) -> bool {
    b.running.keys().any(|k| k.starts_with("takeip"))
}

#[test]
fn a_lapse_drops_everything_and_only_then_asks_for_a_new_session() {
    let mut b = follower();
    let epoch = b.epoch;
    take(&mut b, epoch, MINE);
    b.put(&[IFACE]);
    b.end("takeip", EventOutcome::Ok);
    b.notify();
    let lapsed = LeaseView { session: None, extended: false, lapses: 2, ..view(epoch) };
    let actions = b.feed(Input::Lease(lapsed));
    assert!(wishes(&actions).is_empty(), "the address is still up: {actions:?}");
    assert!(b.running.keys().any(|k| k.starts_with("releaseip")));
    assert!(refused(&take(&mut b, epoch, MINE)), "nothing of the old session counts");
    b.put(&[]);
    b.end("releaseip", EventOutcome::Ok);
    assert_eq!(wishes(&b.dump()), [LeaseWish::Dropped]);
    b.feed(Input::Lease(LeaseView { session: Some(Session(501)), lapses: 2, ..view(epoch) }));
    take(&mut b, epoch, Session(501));
    assert!(taking(&b));
}

#[test]
fn a_control_for_another_session_or_a_left_epoch_is_refused() {
    let mut b = follower();
    let epoch = b.epoch;
    assert!(refused(&take(&mut b, epoch, PEERS)));
    // The lease layer has moved on; the machine has not heard of the new recmaster yet.
    b.feed(Input::Lease(view(Epoch { number: epoch.number + 1, pnn: Pnn(7) })));
    assert!(refused(&take(&mut b, epoch, MINE)));
    assert!(!taking(&b));
}

#[test]
fn a_take_waits_for_the_first_extension_of_its_session() {
    let mut b = follower();
    let epoch = b.epoch;
    let young = |session| LeaseView { session: Some(session), extended: false, ..view(epoch) };
    b.feed(Input::Lease(young(Session(501))));
    assert!(!refused(&take(&mut b, epoch, Session(501))));
    assert!(!taking(&b), "a session without a lease cannot lapse (docs/leases.md d13b)");
    b.feed(Input::Lease(LeaseView { session: Some(Session(501)), ..view(epoch) }));
    assert!(taking(&b));

    let mut b = follower();
    b.feed(Input::Lease(young(Session(501))));
    take(&mut b, epoch, Session(501));
    assert!(refused(&b.feed(Input::Lease(young(Session(502))))), "that session is over");
    assert!(!taking(&b));
}

/// Leads by the word of the lease layer, with its peer in this seat.
fn leading(seat: Seat) -> (Bench, Vec<Action>) {
    let mut b = follower();
    let epoch = Epoch { number: b.epoch.number + 1, pnn: Pnn(1) };
    let seats = vec![(PEER, seat)];
    let actions = b.feed(Input::Lease(LeaseView { leading: true, seats, ..view(epoch) }));
    (b, actions)
}

fn asked(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Send { to: PEER, msg: PeerMsg::Control { .. } }))
}

fn ran(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Journal(e) if e.run.is_some())) || asked(actions)
}

#[test]
fn a_run_begins_only_when_every_node_is_accounted_for() {
    let (mut b, actions) = leading(Seat::Unheard);
    assert!(b.node.status().leader == Some(Pnn(1)) && !ran(&actions), "an unheard node may hold anything");
    let epoch = b.node.epoch();
    let seats = |seat| LeaseView { leading: true, seats: vec![(PEER, seat)], ..view(epoch) };
    let actions = b.feed(Input::Lease(seats(Seat::Joined(PEERS))));
    assert!(asked(&actions), "it is joined and linked: {actions:?}");
    let sessions = actions.iter().filter_map(|a| match a {
        Action::Send { msg: PeerMsg::Control { session, .. }, .. } => Some(*session),
        _ => None,
    });
    assert!(sessions.into_iter().all(|s| s == Some(PEERS)), "controls name the session they are meant for");
}

#[test]
fn a_joined_node_without_a_link_is_waited_for_until_it_is_out() {
    let (mut b, _) = leading(Seat::Unheard);
    b.feed(Input::PeerDown { pnn: PEER, why: "reset".into() });
    let epoch = b.node.epoch();
    let seats = |seat| LeaseView { leading: true, seats: vec![(PEER, seat)], ..view(epoch) };
    assert!(!ran(&b.feed(Input::Lease(seats(Seat::Joined(PEERS))))), "it may hold addresses");
    b.feed(Input::Lease(seats(Seat::Out("evicted".into()))));
    assert!(b.running.keys().any(|k| k.starts_with("startipreallocate") || k.starts_with("ipreallocated")));
}

#[test]
fn a_node_that_is_out_counts_as_disconnected_whatever_its_link_says() {
    let (b, actions) = leading(Seat::Out("evicted".into()));
    assert!(!asked(&actions), "it is not asked: {actions:?}");
    assert!(b.node.status().nodes[0].flags.intersects(NodeFlags::DISCONNECTED));
}

#[test]
fn leading_ends_by_the_word_of_the_lease_layer() {
    let (mut b, _) = leading(Seat::Joined(PEERS));
    let epoch = b.node.epoch();
    let actions = b.feed(Input::Lease(view(epoch)));
    assert_eq!(b.node.status().leader, None);
    assert!(
        !actions.iter().any(|a| matches!(a, Action::Lock(_))),
        "the lock is the lease layer's: {actions:?}"
    );
}

#[test]
fn a_run_does_not_wait_for_a_node_that_is_out_though_its_link_looks_well() {
    let (mut b, actions) = leading(Seat::Joined(PEERS));
    assert!(asked(&actions), "the run waits for the peer: {actions:?}");
    let seats = vec![(PEER, Seat::Out("evicted".into()))];
    let epoch = b.node.epoch();
    let actions = b.feed(Input::Lease(LeaseView { leading: true, seats, ..view(epoch) }));
    let over = |a: &Action| matches!(a, Action::Journal(e) if e.report.is_some());
    assert!(actions.iter().any(over), "or it waits for as long as the link looks well: {actions:?}");
}
