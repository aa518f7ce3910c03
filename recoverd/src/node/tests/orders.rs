//! Faults that random histories found, each told once in the exact order of inputs that shows it.

use super::bench::{Bench, PEER, begun, ip_answers};
use super::world::IFACE;
use crate::action::{Action, LockAction};
use crate::command::Command;
use crate::control::{Answer, Control};
use crate::input::{Input, LockInput};
use crate::model::*;
use crate::msg::{PeerMsg, RunRequest};
use std::time::Duration;

const OK: EventOutcome = EventOutcome::Ok;

fn command(id: u64, command: Command) -> Input {
    Input::Command { id, command }
}

#[test]
fn what_is_being_released_counts_as_held() {
    let mut b = Bench::holding();
    b.feed(command(1, Command::Stop));
    assert!(b.running.contains_key("releaseip bond0 10.0.0.31 24"), "{:?}", b.running);
    let actions = b.control(Control::GetPublicIps { available_only: false });
    let held = actions.iter().find_map(|a| match a {
        Action::Send { msg: PeerMsg::Answer { answer: Answer::PublicIps(ips), .. }, .. } => Some(ips[0].held),
        _ => None,
    });
    assert_eq!(held, Some(true), "or another node takes it before it is gone");
}

#[test]
fn an_address_whose_take_ends_after_a_stop_is_let_go() {
    let mut b = Bench::serving();
    b.take();
    b.feed(command(1, Command::Stop));
    assert_eq!(begun(&b.end("takeip", OK)), ["releaseip bond0 10.0.0.31 24"]);
}

#[test]
fn an_address_that_is_wanted_again_before_its_take_has_ended_stays() {
    let mut b = Bench::serving();
    b.take();
    b.feed(command(1, Command::Stop));
    b.feed(command(2, Command::Continue));
    b.take();
    let actions = b.end("takeip", OK);
    assert_eq!((begun(&actions), ip_answers(&actions)), (vec![], vec![true, true]));
}

#[test]
fn an_inactive_node_refuses_to_take_what_it_is_taking() {
    let mut b = Bench::serving();
    b.take();
    b.feed(command(1, Command::Stop));
    assert_eq!(ip_answers(&b.take()), [false]);
}

#[test]
fn a_release_right_behind_a_take_does_not_believe_a_kernel_that_tells_late() {
    let mut b = Bench::serving();
    b.take();
    b.end("takeip", OK);
    let actions = b.release();
    assert_eq!(ip_answers(&actions), [true; 0], "it may well be there");
    assert_eq!(begun(&actions), ["releaseip bond0 10.0.0.31 24"]);
}

#[test]
fn only_a_dump_proves_a_release() {
    let mut b = Bench::holding();
    b.release();
    b.end("releaseip", EventOutcome::TimedOut { script: "10.interface".into() });
    b.put(&[]);
    assert_eq!(ip_answers(&b.notify()), [true; 0], "this may be of the time before the take");
    b.put(&[IFACE]);
    assert_eq!(ip_answers(&b.dump()), [false], "it is still there");
    b.release();
    b.end("releaseip", OK);
    b.put(&[]);
    assert_eq!(ip_answers(&b.dump()), [true]);
}

#[test]
fn the_record_follows_a_run_that_ends_while_an_address_is_being_dropped() {
    let mut b = Bench::holding();
    b.feed(command(1, Command::Stop));
    let run = RunId { epoch: b.epoch, count: 4 };
    b.control(Control::Ipreallocated { run, owners: vec![(b.addr(), Some(PEER))], nodes: vec![] });
    assert_eq!(b.node.ip_rows()[0].owner, Some(PEER));
}

#[test]
fn a_peer_that_is_told_to_be_up_twice_is_still_well() {
    let mut b = Bench::serving();
    b.peer_up();
    let status = b.node.status();
    assert_eq!((status.nodes[0].flags, status.leader), (NodeFlags::NONE, Some(PEER)));
}

#[test]
fn what_arrives_behind_the_end_of_a_link_is_lost() {
    let mut b = Bench::serving();
    b.feed(Input::PeerDown { pnn: PEER, why: "reset".into() });
    let actions = b.take();
    assert_eq!((begun(&actions), b.node.status().leader), (vec![], None));
}

#[test]
fn a_stopped_node_lets_nothing_lie_about() {
    let mut b = Bench::serving();
    b.feed(command(1, Command::Stop));
    b.put(&[IFACE]);
    let asked = b.later(Duration::from_secs(2));
    assert!(asked.iter().any(|a| matches!(a, Action::Observe)), "{asked:?}");
    assert_eq!(begun(&b.dump()), ["releaseip bond0 10.0.0.31 24"]);
}

#[test]
fn an_address_on_a_second_interface_is_taken_off_it() {
    let mut b = Bench::holding();
    b.put(&[IFACE, "eth7"]);
    b.later(Duration::from_secs(2));
    assert_eq!(begun(&b.dump()), ["updateip eth7 bond0 10.0.0.31 24"]);
}

/// Node 1 leads by the cluster lock, its peer follows, and a run waits for the peer's answer.
fn leading() -> Bench {
    let mut b = Bench::serving();
    // It has not said how it is: the first run waits a moment for it.
    b.feed(Input::PeerDown { pnn: PEER, why: "reset".into() });
    b.peer_up();
    b.feed(Input::Lock(LockInput::Acquired { previous: None }));
    let epoch = Epoch { number: 2, pnn: Pnn(1) };
    b.feed(Input::Lock(LockInput::Recorded { epoch }));
    b.epoch = epoch;
    assert_eq!(b.node.status().leader, Some(Pnn(1)));
    b
}

#[test]
fn a_run_that_is_called_off_answers_nobody() {
    let mut b = leading();
    b.peer(PeerMsg::RunRequest {
        req: 9,
        request: RunRequest { cause: "test".into(), ..RunRequest::default() },
    });
    b.feed(command(1, Command::IpReallocate));
    b.later(Duration::from_secs(1));
    let actions = b.feed(Input::Lock(LockInput::Lost { why: "test".into() }));
    let answers =
        |a: &Action| matches!(a, Action::Reply { .. } | Action::Send { msg: PeerMsg::RunAnswer { .. }, .. });
    assert!(!actions.iter().any(answers), "the next recmaster will: {actions:?}");
    assert!(actions.iter().any(|a| matches!(a, Action::Lock(LockAction::Acquire))));
}

#[test]
fn a_new_life_of_a_node_is_not_answered_what_the_old_one_asked() {
    let mut b = leading();
    b.peer(PeerMsg::RunRequest {
        req: 9,
        request: RunRequest { cause: "test".into(), ..RunRequest::default() },
    });
    b.later(Duration::from_secs(1));
    let actions = b.feed(Input::PeerDown { pnn: PEER, why: "reset".into() });
    let answered = |a: &Action| matches!(a, Action::Send { msg: PeerMsg::RunAnswer { .. }, .. });
    assert!(!actions.iter().any(answered), "{actions:?}");
}

#[test]
fn two_recmasters_without_a_lock_do_not_outbid_each_other_without_end() {
    let mut b = Bench::new(|c| c.has_lock = false);
    b.peer_up();
    b.state(false);
    b.end("init", OK);
    b.end("setup", OK);
    b.later(Duration::from_secs(4));
    assert_eq!(b.node.status().leader, Some(Pnn(1)));
    let mut led = 0;
    for number in (10..1000).step_by(10) {
        b.epoch = Epoch { number, pnn: Pnn(9) };
        b.state(false);
        led += u32::from(b.node.epoch().number > number);
    }
    assert_eq!(led, 1, "once it goes above what it hears, then it yields for ElectionTimeout");
    b.later(Duration::from_secs(4));
    assert_eq!(b.node.status().leader, Some(Pnn(1)));
}

#[test]
fn a_recmaster_that_is_stopped_leads_no_more() {
    let mut b = leading();
    let actions = b.feed(command(1, Command::Stop));
    assert!(actions.iter().any(|a| matches!(a, Action::Lock(LockAction::Release))), "{actions:?}");
    assert_eq!(b.node.status().leader, None);
}

#[test]
fn a_recmaster_that_bans_itself_does_not_obey_its_own_last_orders() {
    let mut b = leading();
    b.later(Duration::from_secs(1));
    b.feed(Input::PeerDown { pnn: PEER, why: "reset".into() });
    for _ in 0..40 {
        // Its own `ipreallocated` fails in every run.
        while let Some(event) = b.running.keys().find(|k| *k != "monitor").cloned() {
            let script = "50.test".to_owned();
            let bad = EventOutcome::Failed { script, message: "no".into() };
            b.end(&event, if event == "ipreallocated" { bad } else { OK });
        }
        b.dump();
        b.later(Duration::from_millis(600));
    }
    let status = b.node.status();
    assert!(status.nodes[1].flags.intersects(NodeFlags::BANNED), "{status:?}");
    assert_eq!(status.leader, None);
}
