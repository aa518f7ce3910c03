//! Changes of a running node: other addresses, other interfaces, other links, other nodes, another recmaster; and how many runs they cost.

use super::bench::{Bench, begun};
use super::world::{IFACE, World};
use crate::action::{Action, Kind, LockAction};
use crate::command::{Command, Reply};
use crate::input::{Input, LockInput};
use crate::model::*;
use crate::node::NodeConfig;
use std::net::IpAddr;
use std::time::Duration;

const ADDRS: [&str; 6] = ["10.0.0.31", "10.0.0.32", "10.0.0.33", "10.0.0.34", "10.0.0.35", "10.0.0.36"];
const OK: EventOutcome = EventOutcome::Ok;

fn public(addr: &str, prefix: u8, ifaces: &[&str]) -> PublicAddress {
    let ifaces = ifaces.iter().map(|i| (*i).to_owned()).collect();
    PublicAddress { addr: addr.parse().unwrap(), prefix, ifaces }
}

fn file(addrs: &[&str]) -> Vec<PublicAddress> {
    addrs.iter().map(|a| public(a, 24, &[IFACE])).collect()
}

/// The nodes whose kernels have an address.
fn on(w: &World, addr: &str) -> Vec<usize> {
    let addr: IpAddr = addr.parse().unwrap();
    (0..w.hosts.len()).filter(|n| w.hosts[*n].kernel.addrs.contains_key(&addr)).collect()
}

fn known(w: &World, node: usize) -> usize {
    w.hosts[node].node.as_ref().unwrap().ip_rows().len()
}

/// Everything that was done to addresses but to these.
fn work_on_others(w: &World, spared: &[&str]) -> Vec<String> {
    let events = w.hosts.iter().flat_map(|h| &h.events);
    let of_addresses =
        events.filter(|e| ["takeip", "releaseip", "updateip"].iter().any(|n| e.starts_with(n)));
    of_addresses.filter(|e| !spared.iter().any(|a| e.contains(a))).cloned().collect()
}

fn runs(w: &World) -> usize {
    w.hosts.iter().flat_map(|h| &h.journal).filter(|e| e.kind == Kind::Run).count()
}

fn leader(w: &World) -> u32 {
    let leaders: Vec<u32> = (0u32..)
        .zip(&w.hosts)
        .filter(|(n, h)| h.node.as_ref().is_some_and(|x| x.status().leader == Some(Pnn(*n))))
        .map(|(n, _)| n)
        .collect();
    assert_eq!(leaders.len(), 1, "{}", w.describe());
    leaders[0]
}

fn quiet(w: &mut World) {
    w.hosts.iter_mut().for_each(|h| h.events.clear());
}

#[test]
fn an_address_more_is_served_when_the_command_returns_and_nothing_else_is_touched() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    for (n, runs_wanted) in [(1, 1), (leader(&w), 1)] {
        quiet(&mut w);
        let before = runs(&w);
        let command = Command::AddIp { public: public("10.0.0.99", 24, &[IFACE]) };
        let known_before = known(&w, n as usize);
        assert_eq!(w.ask(n, command.clone()), Reply::Ok);
        assert_eq!(known(&w, n as usize), known_before + 1);
        assert_eq!(on(&w, "10.0.0.99").len(), 1, "{}", w.describe());
        assert_eq!(work_on_others(&w, &["10.0.0.99"]), [] as [String; 0]);
        assert_eq!(runs(&w) - before, runs_wanted, "{}", w.describe());
        assert_eq!(w.ask(n, command), Reply::Error("Node already knows about IP 10.0.0.99".into()));
    }
}

#[test]
fn an_address_less_goes_to_a_node_that_still_knows_it_and_is_gone_with_the_last() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    quiet(&mut w);
    let addr: IpAddr = ADDRS[2].parse().unwrap();
    for left in [2, 1, 0] {
        let holder = on(&w, ADDRS[2])[0];
        let before = runs(&w);
        assert_eq!(w.ask(holder as u32, Command::DelIp { addr }), Reply::Ok);
        assert_eq!(on(&w, ADDRS[2]).len(), usize::from(left > 0), "{}", w.describe());
        assert_eq!(known(&w, holder), 5);
        assert_eq!(runs(&w) - before, 1, "{}", w.describe());
        assert_eq!(
            w.ask(holder as u32, Command::DelIp { addr }),
            Reply::Error(format!("Node does not know about IP address {addr}"))
        );
    }
    assert_eq!(work_on_others(&w, &[ADDRS[2]]), [] as [String; 0]);
}

#[test]
fn what_holds_packets_back_knows_an_address_before_it_is_taken_and_until_it_is_gone() {
    let mut b = Bench::holding();
    let told = |actions: &[Action]| {
        let list = |a: &Action| match a {
            Action::PublicAddresses { list } => Some(list.len()),
            _ => None,
        };
        actions.iter().filter_map(list).collect::<Vec<_>>()
    };
    let add = Command::AddIp { public: public("10.0.0.33", 24, &[IFACE]) };
    assert_eq!(told(&b.feed(Input::Command { id: 1, command: add })), [3]);
    let addr = b.addr();
    let actions = b.feed(Input::Command { id: 2, command: Command::DelIp { addr } });
    assert_eq!((told(&actions), begun(&actions)), (vec![3], vec!["releaseip bond0 10.0.0.31 24".to_owned()]));
    assert_eq!(told(&b.end("releaseip", OK)), [0; 0], "only the kernel knows that it is gone");
    b.put(&[]);
    assert_eq!(told(&b.dump()), [2]);
    assert_eq!(b.node.ip_rows().len(), 2);
}

#[test]
fn an_address_that_does_not_go_is_not_forgotten() {
    let mut b = Bench::holding();
    let addr = b.addr();
    b.feed(Input::Command { id: 1, command: Command::DelIp { addr } });
    b.end("releaseip", OK);
    b.dump();
    assert_eq!(b.node.ip_rows().len(), 2, "it is still on the kernel");
    b.later(Duration::from_secs(2));
    assert_eq!(begun(&b.dump()), ["releaseip bond0 10.0.0.31 24"], "and again");
    b.end("releaseip", OK);
    b.put(&[]);
    b.dump();
    assert_eq!(b.node.ip_rows().len(), 1);
}

#[test]
fn an_address_that_is_just_being_taken_goes_when_the_take_has_ended() {
    let mut b = Bench::serving();
    b.take();
    let addr = b.addr();
    b.feed(Input::Command { id: 1, command: Command::DelIp { addr } });
    assert_eq!(begun(&b.take()), [] as [&str; 0]);
    assert_eq!(begun(&b.end("takeip", OK)), ["releaseip bond0 10.0.0.31 24"]);
}

#[test]
fn a_new_file_changes_what_differs_and_nothing_else() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    for n in 0..3 {
        let link = Link { index: 3, admin_up: true, lower_up: true };
        w.hosts[n].kernel.links.insert("eth7".into(), link);
    }
    // One gone, one new, one with another mask, one on another interface.
    let mut list = file(&[ADDRS[0], ADDRS[1], ADDRS[2], "10.0.0.41"]);
    list.push(public(ADDRS[3], 25, &[IFACE]));
    list.push(public(ADDRS[4], 24, &["eth7"]));
    quiet(&mut w);
    w.run(Duration::from_secs(2));
    for n in 0..3 {
        assert_eq!(w.ask(n, Command::SetPublicAddresses { list: list.clone() }), Reply::Ok);
    }
    w.run(Duration::from_secs(2));
    assert_eq!(on(&w, ADDRS[5]), [] as [usize; 0]);
    assert_eq!(on(&w, "10.0.0.41").len(), 1);
    let place = |addr: &str| {
        let n = on(&w, addr)[0];
        w.hosts[n].kernel.places(addr.parse().unwrap())[0].clone()
    };
    assert_eq!(place(ADDRS[4]).iface, "eth7", "{}", w.describe());
    let changed = [ADDRS[3], ADDRS[4], ADDRS[5], "10.0.0.41"];
    assert_eq!(work_on_others(&w, &changed), [] as [String; 0]);
    let events: Vec<&String> = w.hosts.iter().flat_map(|h| &h.events).collect();
    assert!(events.iter().any(|e| **e == format!("updateip bond0 eth7 {} 24", ADDRS[4])), "{events:?}");
    let mask: Vec<&str> = events.iter().filter(|e| e.contains(ADDRS[3])).map(|e| e.as_str()).collect();
    assert_eq!(mask, ["releaseip bond0 10.0.0.34 24", "takeip bond0 10.0.0.34 25"]);
    // The same again changes nothing.
    quiet(&mut w);
    assert_eq!(w.ask(1, Command::SetPublicAddresses { list }), Reply::Ok);
    assert_eq!(work_on_others(&w, &[]), [] as [String; 0]);
}

#[test]
fn a_link_that_an_operator_sets_down_is_down_until_the_kernel_says_something_else() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    let down = |iface: &str, up| Command::SetIfaceLink { iface: iface.into(), up };
    assert_eq!(w.ask(1, down(IFACE, false)), Reply::Ok);
    w.run(Duration::from_secs(2));
    assert_eq!(w.counts(), [3, 0, 3], "{}", w.describe());
    assert_eq!(w.ask(1, down(IFACE, true)), Reply::Ok);
    w.run(Duration::from_secs(2));
    assert_eq!(w.counts(), [2, 2, 2]);
    assert_eq!(w.ask(1, down(IFACE, false)), Reply::Ok);
    w.run(Duration::from_secs(2));
    // The kernel's link goes, and comes back: its word counts again.
    w.set_link(1, false);
    w.run(Duration::from_secs(1));
    assert_eq!(w.counts(), [3, 0, 3]);
    w.set_link(1, true);
    w.run(Duration::from_secs(2));
    assert_eq!(w.counts(), [2, 2, 2], "{}", w.describe());
    assert_eq!(w.ask(1, down("eth9", true)), Reply::Error("Interface eth9 not configured on node 1".into()));
}

#[test]
fn only_what_is_here_is_announced() {
    let mut b = Bench::holding();
    let mut ask = |addr: &str, iface: &str| {
        let command = Command::GratArp { addr: addr.parse().unwrap(), iface: iface.into() };
        let actions = b.feed(Input::Command { id: 1, command });
        let count = actions.iter().find_map(|a| match a {
            Action::Announce { count, .. } => Some(*count),
            _ => None,
        });
        let reply = actions.iter().find_map(|a| match a {
            Action::Reply { reply, .. } => Some(reply.clone()),
            _ => None,
        });
        (count, reply.unwrap())
    };
    assert_eq!(ask("10.0.0.31", IFACE), (Some(1), Reply::Ok));
    assert_eq!(ask("10.9.9.9", IFACE), (Some(1), Reply::Ok), "the address of natgw is no public one");
    assert!(
        matches!(ask("10.0.0.32", IFACE), (None, Reply::Error(e)) if e.contains("does not serve 10.0.0.32"))
    );
    assert!(matches!(ask("10.0.0.31", "eth9"), (None, Reply::Error(e)) if e.contains("eth9 does not exist")));
}

#[test]
fn a_recmaster_without_the_role_gives_it_up_and_keeps_its_addresses() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    let first = leader(&w);
    quiet(&mut w);
    assert_eq!(w.ask(first, Command::SetLeaderRole { on: false }), Reply::Ok);
    w.run(Duration::from_secs(2));
    let second = leader(&w);
    assert_ne!(second, first);
    assert_eq!(work_on_others(&w, &[]), [] as [String; 0]);
    assert!(!w.hosts[first as usize].node.as_ref().unwrap().leader_capable());
    assert_eq!(w.ask(first, Command::SetLeaderRole { on: true }), Reply::Ok);
    for n in [second, 3 - first - second] {
        assert_eq!(w.ask(n, Command::SetLeaderRole { on: false }), Reply::Ok);
    }
    w.run(Duration::from_secs(2));
    assert_eq!(leader(&w), first, "it may again");
}

#[test]
fn a_change_of_flags_by_an_operator_makes_one_run() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    let first = leader(&w);
    for n in [first, (first + 1) % 3] {
        for command in [Command::Disable, Command::Enable] {
            let before = runs(&w);
            assert_eq!(w.ask(n, command.clone()), Reply::Ok);
            assert_eq!(runs(&w) - before, 1, "{command:?} on node {n}\n{}", w.describe());
        }
    }
    let n = (first + 1) % 3;
    for command in [Command::Stop, Command::Continue, Command::Ban { seconds: 300 }, Command::Unban] {
        let before = runs(&w);
        assert_eq!(w.ask(n, command.clone()), Reply::Ok);
        assert_eq!(runs(&w) - before, 1, "{command:?}\n{}", w.describe());
    }
}

#[test]
fn a_recmaster_that_is_stopped_hands_over_first() {
    let mut w = World::serving(3, &ADDRS, |_| {});
    let first = leader(&w);
    quiet(&mut w);
    let id = w.command(first, Command::Stop);
    while !w.replies.contains_key(&id) {
        w.run(Duration::from_micros(100));
        let stopped = w.hosts[first as usize].node.as_ref().unwrap().flags.intersects(NodeFlags::STOPPED);
        let served = w.holders().iter().filter(|h| h.is_some_and(|h| h != first)).count();
        assert!(
            !stopped || served == ADDRS.len(),
            "it stopped with {served} addresses taken\n{}",
            w.describe()
        );
    }
    assert_eq!(w.replies[&id], Reply::Ok);
    w.run(Duration::from_secs(2));
    assert_ne!(leader(&w), first);
    assert_eq!(w.counts()[first as usize], 0);
    assert_eq!(w.ask(first, Command::Continue), Reply::Ok);
    w.run(Duration::from_secs(2));
    assert_eq!(w.counts(), [2, 2, 2]);
}

#[test]
fn a_recmaster_stops_in_the_end_when_nobody_answers() {
    let mut b = Bench::holding();
    b.feed(Input::PeerDown { pnn: super::bench::PEER, why: "reset".into() });
    b.feed(Input::Lock(LockInput::Acquired { previous: None }));
    b.feed(Input::Lock(LockInput::Recorded { epoch: Epoch { number: 2, pnn: Pnn(1) } }));
    b.feed(Input::Command { id: 7, command: Command::Stop });
    let actions = b.later(Duration::from_secs(11));
    let left = |a: &Action| matches!(a, Action::Lock(LockAction::Release));
    assert!(actions.iter().any(left), "{actions:?}");
}

#[test]
fn a_node_more_and_a_node_less() {
    let mut w = World::new(4, &ADDRS, |c| c.nodes.truncate(3));
    (0..3).for_each(|n| w.start(n));
    w.run(Duration::from_secs(1));
    let count = |w: &World, n: usize| w.hosts[n].node.as_ref().unwrap().status().nodes.len();
    assert_eq!((count(&w, 0), w.counts()), (3, vec![2, 2, 2, 0]));
    let nodes: Vec<NodeConfig> =
        (0..4u8).map(|n| NodeConfig { addr: IpAddr::from([192, 168, 20, 41 + n]), deleted: false }).collect();
    let tell = |w: &mut World, nodes: &[NodeConfig], to: &[u32]| {
        for n in to {
            w.push(*n, Duration::ZERO, Input::Nodes(nodes.to_vec()));
        }
        w.run(Duration::from_secs(1));
    };
    quiet(&mut w);
    tell(&mut w, &nodes, &[0, 1, 2]);
    assert_eq!(count(&w, 0), 4);
    assert_eq!(work_on_others(&w, &[]), [] as [String; 0], "{}", w.describe());
    assert!(w.journal_has(1, "Node 3 is NEW"));
    w.cfg.nodes = nodes.clone();
    w.start(3);
    w.run(Duration::from_secs(3));
    assert!(w.counts().iter().all(|c| *c > 0), "{}", w.describe());
    w.kill(1);
    w.run(Duration::from_secs(2));
    let mut fewer = nodes.clone();
    fewer[1] = NodeConfig { addr: IpAddr::from([0, 0, 0, 0]), deleted: true };
    quiet(&mut w);
    tell(&mut w, &fewer, &[0, 2, 3]);
    assert!(w.journal_has(0, "Node 1 is DELETED"));
    let status = w.hosts[0].node.as_ref().unwrap().status();
    assert_eq!(status.nodes[1].flags, NodeFlags::DELETED);
    assert_eq!(work_on_others(&w, &[]), [] as [String; 0]);
    tell(&mut w, &nodes, &[0, 2, 3]);
    assert!(w.journal_has(0, "Node 1 is UNDELETED"));
    w.start(1);
    w.run(Duration::from_secs(3));
    assert!(w.counts().iter().all(|c| *c > 0), "{}", w.describe());
}
