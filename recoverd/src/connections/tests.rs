//! Rules one by one, and a small cluster in which everything is heard by everybody in the end.

use super::*;
use crate::model::{Epoch, Mono};
use proptest::prelude::*;
use std::time::Duration;

const A: &str = "10.0.0.31";
const B: &str = "fd00::31";
const ME: Pnn = Pnn(0);
const PEER: Pnn = Pnn(1);
const OTHER: Pnn = Pnn(2);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Client number `n` of an address.
fn client(to: &str, n: u16) -> Connection {
    let addr = ip(to);
    let client = if addr.is_ipv4() { ip("10.0.0.9") } else { ip("fd00::9") };
    Connection { client: SocketAddr::new(client, n), server: SocketAddr::new(addr, 445) }
}

fn at(ms: u64) -> Mono {
    Mono(0) + Duration::from_millis(ms)
}

fn everybody() -> BTreeSet<Pnn> {
    [ME, PEER, OTHER].into()
}

fn epoch(number: u64) -> Epoch {
    Epoch { number, pnn: PEER }
}

/// A table that has said all it has to say.
fn settled(recmaster: Pnn) -> Connections {
    let mut table = Connections::new(ME);
    table.taken(ip(A), at(0));
    table.share(Some(recmaster), epoch(1), &everybody());
    assert!(table.share(Some(recmaster), epoch(1), &everybody()).is_empty(), "nothing is said twice");
    table
}

fn said(messages: &[(Pnn, Vec<ConnectionUpdate>)], to: Pnn) -> Vec<&ConnectionUpdate> {
    messages.iter().filter(|(p, _)| *p == to).flat_map(|(_, u)| u).collect()
}

fn update(addr: &str, server: Pnn, reset: bool, add: &[Connection]) -> ConnectionUpdate {
    ConnectionUpdate { addr: ip(addr), server, reset, add: add.to_vec(), remove: Vec::new() }
}

#[test]
fn only_differences_go_and_only_to_the_recmaster() {
    let mut table = settled(PEER);
    table.seen(at(1), &[client(A, 1), client(A, 2), client(B, 7)]);
    let messages = table.share(Some(PEER), epoch(1), &everybody());
    assert_eq!(said(&messages, PEER), [&update(A, ME, false, &[client(A, 1), client(A, 2)])]);
    assert_eq!(messages.len(), 1, "no other peer, and nothing about an address that is not served here");
    table.seen(at(2), &[client(A, 2)]);
    // Comes and goes before anybody is told.
    table.seen(at(3), &[client(A, 2), client(A, 3)]);
    table.seen(at(4), &[client(A, 2)]);
    let messages = table.share(Some(PEER), epoch(1), &everybody());
    let gone = ConnectionUpdate { remove: vec![client(A, 1)], add: Vec::new(), ..update(A, ME, false, &[]) };
    assert_eq!(said(&messages, PEER), [&gone]);
    table.seen(at(5), &[client(A, 2)]);
    assert!(table.share(Some(PEER), epoch(1), &everybody()).is_empty(), "nothing has changed");
}

#[test]
fn new_hearers_are_told_everything() {
    let mut table = settled(PEER);
    table.seen(at(1), &[client(A, 1)]);
    table.share(Some(PEER), epoch(1), &everybody());
    table.peer_changed(PEER);
    let whole = update(A, ME, true, &[client(A, 1)]);
    assert_eq!(said(&table.share(Some(PEER), epoch(1), &everybody()), PEER), [&whole], "its link is new");
    assert_eq!(said(&table.share(Some(OTHER), epoch(1), &everybody()), OTHER), [&whole], "another recmaster");
    assert!(table.share(None, epoch(1), &everybody()).is_empty());
    assert_eq!(said(&table.share(Some(OTHER), epoch(1), &everybody()), OTHER), [&whole]);
    assert!(table.share(Some(OTHER), epoch(1), &[ME, PEER].into()).is_empty(), "not connected");
    assert_eq!(said(&table.share(Some(OTHER), epoch(1), &everybody()), OTHER), [&whole]);
}

#[test]
fn the_recmaster_passes_on_to_all_but_who_said_it() {
    let mut table = settled(ME);
    let news = update(B, PEER, true, &[client(B, 1)]);
    assert!(table.heard(PEER, Some(ME), std::slice::from_ref(&news)).is_empty() && table.has_news());
    let messages = table.share(Some(ME), epoch(1), &everybody());
    assert_eq!(said(&messages, OTHER), [&news]);
    assert!(said(&messages, PEER).is_empty() && said(&messages, ME).is_empty());
    let more = update(B, PEER, false, &[client(B, 2)]);
    table.heard(PEER, Some(ME), std::slice::from_ref(&more));
    assert_eq!(said(&table.share(Some(ME), epoch(1), &everybody()), OTHER), [&more]);
}

#[test]
fn whoever_takes_wakes_those_it_heard_of_and_keeps_them_until_they_were_called_often_enough() {
    let mut table = settled(PEER);
    table.heard(PEER, Some(PEER), &[update(B, PEER, true, &[client(B, 1), client(B, 2)])]);
    assert_eq!(table.to(ip(B)), [client(B, 1), client(B, 2)]);
    assert_eq!(table.taken(ip(B), at(3300)), [client(B, 1), client(B, 2)]);
    // One has connected anew, from another port.
    table.seen(at(2000), &[client(B, 3)]);
    assert_eq!(table.to(ip(B)), [client(B, 1), client(B, 2), client(B, 3)]);
    assert_eq!(table.taken(ip(B), at(9999)), [client(B, 1), client(B, 2)], "who is connected is not woken");
    let whole = update(B, ME, true, &[client(B, 1), client(B, 2), client(B, 3)]);
    assert_eq!(
        said(&table.share(Some(PEER), epoch(1), &everybody()), PEER),
        [&whole],
        "should we die now as well"
    );
    table.seen(at(3300), &[client(B, 3)]);
    assert_eq!(table.to(ip(B)), [client(B, 3)]);
}

#[test]
fn a_list_stays_until_another_node_serves_the_address() {
    let mut table = settled(PEER);
    table.seen(at(1), &[client(A, 1)]);
    table.released(ip(A));
    table.seen(at(2), &[]);
    assert_eq!(table.to(ip(A)), [client(A, 1)]);
    assert!(!table.serves(ip(A)));
    table.heard(PEER, Some(PEER), &[update(A, OTHER, false, &[client(A, 5)])]);
    assert_eq!(table.to(ip(A)), [client(A, 1)], "half a list of a server that we have not heard from");
    table.heard(PEER, Some(PEER), &[update(A, OTHER, true, &[client(A, 6)])]);
    assert_eq!(table.to(ip(A)), [client(A, 6)]);
}

#[test]
fn who_contradicts_the_server_is_told_anew() {
    let mut table = settled(PEER);
    table.seen(at(1), &[client(A, 1)]);
    table.share(Some(PEER), epoch(1), &everybody());
    assert_eq!(table.heard(PEER, Some(PEER), &[update(A, OTHER, true, &[client(A, 9)])]), [client(A, 9)]);
    assert_eq!(table.to(ip(A)), [client(A, 1)]);
    let whole = update(A, ME, true, &[client(A, 1)]);
    assert_eq!(said(&table.share(Some(PEER), epoch(1), &everybody()), PEER), [&whole]);
    // Our own word coming back is nothing new.
    assert!(table.heard(PEER, Some(PEER), &[whole]).is_empty() && !table.has_news());
}

#[test]
fn clients_that_connected_while_the_address_was_let_go_are_woken_too() {
    let mut table = settled(PEER);
    table.heard(PEER, Some(PEER), &[update(B, PEER, true, &[client(B, 1)])]);
    // Told in time, and too late for the take; the kernel has one of them here by now.
    let left = |n| update(B, PEER, false, &[client(B, n)]);
    assert!(table.heard(PEER, Some(OTHER), &[left(2)]).is_empty());
    assert_eq!(table.taken(ip(B), at(3300)), [client(B, 1), client(B, 2)]);
    table.seen(at(1), &[client(B, 3)]);
    assert_eq!(table.heard(PEER, Some(OTHER), &[left(3), left(4)]), [client(B, 4)]);
    assert!(table.heard(OTHER, Some(ME), &[left(5)]).is_empty(), "hearsay of somebody who does not lead");
}

#[test]
fn what_operators_tell_stays_until_they_take_it_back_or_the_kernel_sees_its_end() {
    let mut table = settled(PEER);
    table.told(client(A, 1)).unwrap();
    table.told(client(A, 2)).unwrap();
    table.seen(at(1), &[client(A, 2)]);
    table.seen(at(2), &[]);
    assert_eq!(table.to(ip(A)), [client(A, 1)], "the other was seen, and has ended");
    assert!(table.untold(client(A, 1)));
    assert!(!table.untold(client(A, 1)));
    assert!(table.to(ip(A)).is_empty());
    // To an address of another node: for the case that it comes here.
    table.told(client(B, 4)).unwrap();
    assert_eq!(table.taken(ip(B), at(9)), [client(B, 4)]);
}

#[test]
fn mapped_addresses_are_ipv4() {
    let mut table = settled(PEER);
    let mapped = |text: &str, port| SocketAddr::new(ip(text), port);
    table.seen(
        at(1),
        &[Connection { client: mapped("::ffff:10.0.0.9", 1), server: mapped("::ffff:10.0.0.31", 445) }],
    );
    assert_eq!(table.to(ip("::ffff:10.0.0.31")), [client(A, 1)]);
}

#[test]
fn memory_is_bounded_and_the_log_hears_of_it_once() {
    let mut table = settled(PEER);
    let many: Vec<Connection> = (0..=u16::MAX).map(|n| client(A, n)).collect();
    assert_eq!(table.seen(at(1), &many), [ip(A)]);
    assert_eq!(table.len(), PER_ADDRESS);
    assert!(table.seen(at(2), &many).is_empty(), "once");
    assert_eq!(table.told(client(A, 9999)), Err(Refused::Full(ip(A))));
    table.told(client(A, 1)).unwrap();
    table.seen(at(3), &many[..5]);
    assert_eq!(table.seen(at(4), &many), [ip(A)], "again full");
    for n in 0..20 {
        let addr = ip(&format!("10.1.0.{n}"));
        let to = |c: &Connection| Connection { server: SocketAddr::new(addr, 445), ..*c };
        let reset = ConnectionUpdate { addr, server: PEER, reset: true, add: Vec::new(), remove: Vec::new() };
        table.heard(PEER, Some(PEER), &[ConnectionUpdate { add: many.iter().map(to).collect(), ..reset }]);
        assert!(table.len() <= IN_ALL, "{}", table.len());
    }
    assert_eq!(table.len(), IN_ALL);
    let messages = table.share(Some(ME), epoch(1), &everybody());
    for (_, updates) in &messages {
        let size: usize = updates.iter().map(|u| 1 + u.add.len() + u.remove.len()).sum();
        assert!(size <= PER_MESSAGE + 1, "{size}");
    }
}

/// What can happen to three nodes and two addresses.
#[derive(Debug, Clone)]
enum Step {
    /// A node takes an address from whoever has it.
    Move(usize, usize),
    /// These clients are connected to the server of the address.
    Clients(usize, Vec<u16>),
    /// A node looks at its kernel and says what is new; what it says arrives.
    Tick(usize),
    /// Another recmaster.
    Leads(usize),
    /// A link breaks and comes back.
    Flap(usize, usize),
    /// What a node says is lost with the link.
    Lost(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..3_usize;
    prop_oneof![
        (node(), 0..2_usize).prop_map(|(n, a)| Step::Move(n, a)),
        (0..2_usize, proptest::collection::vec(0..6_u16, 0..4)).prop_map(|(a, c)| Step::Clients(a, c)),
        node().prop_map(Step::Tick),
        node().prop_map(Step::Leads),
        (node(), node()).prop_map(|(a, b)| Step::Flap(a, b)),
        node().prop_map(Step::Lost),
    ]
}

struct World {
    tables: Vec<Connections>,
    leader: usize,
    epoch: u64,
    owner: [Option<usize>; 2],
    clients: [Vec<u16>; 2],
    now: u64,
}

impl World {
    fn tick(&mut self, node: usize, arrives: bool) -> usize {
        self.now += 1;
        let kernel: Vec<Connection> = (0..2)
            .filter(|a| self.owner[*a] == Some(node))
            .flat_map(|a| self.clients[a].iter().map(move |n| client([A, B][a], *n)))
            .collect();
        self.tables[node].seen(at(self.now), &kernel);
        let leader = Pnn(u32::try_from(self.leader).unwrap());
        let from = Pnn(u32::try_from(node).unwrap());
        let messages = self.tables[node].share(Some(leader), epoch(self.epoch), &everybody());
        for (to, updates) in &messages {
            if arrives {
                self.tables[to.index()].heard(from, Some(leader), updates);
            } else {
                self.flap(node, to.index());
            }
        }
        messages.len()
    }

    fn flap(&mut self, a: usize, b: usize) {
        self.tables[a].peer_changed(Pnn(u32::try_from(b).unwrap()));
        self.tables[b].peer_changed(Pnn(u32::try_from(a).unwrap()));
    }
}

proptest! {
    /// Whatever happened: when it is quiet, everybody knows the clients of every served address within three rounds, and then nothing is
    /// said any more.
    #[test]
    fn all_nodes_agree_with_the_kernels_in_the_end(steps in proptest::collection::vec(step(), 0..60)) {
        let tables = (0..3).map(|n| Connections::new(Pnn(n))).collect();
        let mut w = World { tables, leader: 0, epoch: 1, owner: [None; 2], clients: [Vec::new(), Vec::new()], now: 0 };
        for step in steps {
            match step {
                Step::Move(node, a) => {
                    if let Some(old) = w.owner[a].replace(node).filter(|old| *old != node) {
                        w.tables[old].released(ip([A, B][a]));
                        w.clients[a].clear();
                    }
                    w.tables[node].taken(ip([A, B][a]), at(w.now));
                }
                Step::Clients(a, clients) if w.owner[a].is_some() => w.clients[a] = clients,
                Step::Clients(..) => {}
                Step::Tick(node) => drop(w.tick(node, true)),
                Step::Leads(node) => {
                    w.leader = node;
                    w.epoch += 1;
                }
                Step::Flap(a, b) => w.flap(a, b),
                Step::Lost(node) => drop(w.tick(node, false)),
            }
        }
        for _round in 0..3 {
            for node in 0..3 {
                w.tick(node, true);
            }
        }
        for node in 0..3 {
            prop_assert_eq!(w.tick(node, true), 0, "node {} still talks", node);
        }
        for a in 0..2 {
            let Some(owner) = w.owner[a] else { continue };
            let want: BTreeSet<Connection> = w.clients[a].iter().map(|n| client([A, B][a], *n)).collect();
            for (n, table) in w.tables.iter().enumerate() {
                let has: BTreeSet<Connection> = table.to(ip([A, B][a])).into_iter().collect();
                prop_assert_eq!(&has, &want, "node {} about an address of node {}", n, owner);
            }
        }
    }
}
