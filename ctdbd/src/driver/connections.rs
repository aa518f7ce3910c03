//! The driver's side of the connections of clients: when to look for them, what the peers say of them, whom to wake, what operators ask.

use super::{Driver, clock};
use crate::conn::{Ender, Waker, find};
use crate::packet::Series;
use recoverd::command::DaemonReply;
use recoverd::connections::{ConnectionUpdate, Connections, PER_ADDRESS};
use recoverd::input::Input;
use recoverd::model::{Connection, Event, Mono, Pnn, Tunables};
use recoverd::msg::PeerMsg;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// News are passed on after this part of TickleUpdateInterval, together with what else has come by then: in an interval no peer is sent
/// more than this many bursts, however many nodes have news.
const PART: u32 = 10;

/// What tasks have found in the kernel.
pub(super) enum Seen {
    /// All connections there are, or why that cannot be known.
    All(Result<Vec<Connection>, String>),
    /// Clients that connected to an address while it was let go: nobody else can know of them.
    Left(IpAddr, Vec<Connection>),
}

/// Ends connections to addresses that are released.
pub(super) struct Releasing {
    ender: Ender,
    seen: mpsc::UnboundedSender<Seen>,
}

/// An address that is being released, if one is.
pub(super) struct Leaving {
    ending: Option<(IpAddr, Releasing)>,
}

impl Releasing {
    /// Before the event; only a release does anything.
    pub(super) async fn before(self, event: &Event) -> Leaving {
        let Event::ReleaseIp { addr, .. } = event else { return Leaving { ending: None } };
        let ended = self.ender.end(*addr).await;
        // Without clients there is nobody who could be quick enough.
        Leaving { ending: (!ended.is_empty()).then_some((*addr, self)) }
    }
}

impl Leaving {
    /// After the event: a client that got its RST may have connected anew before the address was gone. Its connection is ended too, but
    /// the RST cannot leave any more: the next server must wake it.
    pub(super) async fn after(self) {
        let Some((addr, by)) = self.ending else { return };
        let left = by.ender.end(addr).await;
        if !left.is_empty() {
            // The driver is gone only when the daemon has ended.
            let _ = by.seen.send(Seen::Left(addr, left));
        }
    }
}

/// See the module.
pub(super) struct ClientLink {
    table: Connections,
    ender: Ender,
    waker: Waker,
    seen: mpsc::UnboundedSender<Seen>,
    /// A look is under way.
    looking: bool,
    /// When the last look began.
    looked: Mono,
    /// An earlier look or share is wanted by then.
    soon: Option<Mono>,
    /// The last look failed: said once.
    blind: bool,
}

impl ClientLink {
    pub(super) fn new(me: Pnn, seen: mpsc::UnboundedSender<Seen>, now: Mono) -> Self {
        Self {
            table: Connections::new(me),
            ender: Ender::default(),
            waker: Waker::default(),
            seen,
            looking: false,
            looked: now,
            // What a former life has left half open is ended at once.
            soon: Some(now),
            blind: false,
        }
    }

    pub(super) fn releasing(&self) -> Releasing {
        Releasing { ender: self.ender.clone(), seen: self.seen.clone() }
    }

    fn within(&mut self, at: Mono) {
        self.soon = Some(self.soon.map_or(at, |soon| soon.min(at)));
    }
}

impl Driver {
    /// When connections are next looked for or told of; `None` while there is nothing to look after.
    pub(super) fn clients_deadline(&self) -> Option<Mono> {
        let period = self.node.tunables().tickle_update_interval()?;
        let regular = (!self.clients.table.is_empty()).then(|| self.clients.looked + period);
        [regular, self.clients.soon].into_iter().flatten().min().filter(|_| !self.clients.looking)
    }

    pub(super) fn clients_on_time(&mut self, now: Mono) {
        if self.clients_deadline().is_none_or(|at| at > now) {
            return;
        }
        self.clients.soon = None;
        self.clients.looking = true;
        self.clients.looked = now;
        let absent = self.node.absent_ips();
        let seen = self.clients.seen.clone();
        tokio::spawn(async move {
            // The driver is gone only when the daemon has ended.
            let _ = seen.send(Seen::All(find(absent).await));
        });
    }

    pub(super) fn on_clients_seen(&mut self, seen: Seen) {
        let all = match seen {
            Seen::All(all) => all,
            Seen::Left(addr, left) => return self.tell_of_left(addr, left),
        };
        self.clients.looking = false;
        match all {
            Ok(connections) => {
                self.clients.blind = false;
                for addr in self.clients.table.seen(clock::mono(), &connections) {
                    tracing::warn!(
                        "{addr} has more clients than are remembered ({PER_ADDRESS}): the others notice a fail-over by themselves"
                    );
                }
            }
            Err(e) => {
                if !std::mem::replace(&mut self.clients.blind, true) {
                    tracing::warn!("clients are known from addtickle only: {e}");
                }
            }
        }
        self.share_clients();
    }

    /// Tells all peers at once: whichever has the address next wakes these clients.
    fn tell_of_left(&mut self, addr: IpAddr, left: Vec<Connection>) {
        let update =
            ConnectionUpdate { addr, server: self.node.pnn(), reset: false, add: left, remove: Vec::new() };
        for to in self.connected() {
            self.send_clients(to, vec![update.clone()]);
        }
    }

    fn connected(&self) -> BTreeSet<Pnn> {
        self.dialers.keys().copied().filter(|p| self.links.client(*p).is_some()).collect()
    }

    fn send_clients(&mut self, to: Pnn, updates: Vec<ConnectionUpdate>) {
        let msg = PeerMsg::Connections(updates);
        self.statistics.sent(&msg);
        self.links.send(to, msg).into_iter().for_each(|input| self.feed(input));
    }

    fn share_clients(&mut self) {
        let connected = self.connected();
        for (to, updates) in self.clients.table.share(self.node.recmaster(), self.node.epoch(), &connected) {
            self.send_clients(to, updates);
        }
    }

    /// What comes over the links: connections are kept here, everything else is the machine's.
    pub(super) fn hear(&mut self, input: Input) {
        match input {
            Input::Peer { from, msg: PeerMsg::Connections(updates) } => self.heard_of_clients(from, &updates),
            other => {
                if let Input::PeerUp { pnn, .. } | Input::PeerDown { pnn, .. } = &other {
                    self.clients.table.peer_changed(*pnn);
                    self.soon();
                }
                self.feed(other);
            }
        }
    }

    fn heard_of_clients(&mut self, from: Pnn, updates: &[ConnectionUpdate]) {
        let wake = self.clients.table.heard(from, self.node.recmaster(), updates);
        self.clients.waker.wake(&wake.into());
        if self.clients.table.has_news() {
            self.soon();
        }
    }

    /// A part of the period from now on, unless something is due earlier.
    fn soon(&mut self) {
        if let Some(period) = self.node.tunables().tickle_update_interval()
            && !self.clients.table.is_empty()
        {
            self.clients.within(clock::mono() + period / PART);
        }
    }

    /// Announces an address, and wakes its clients after each announcement if it is served here.
    pub(super) fn announce(&mut self, iface: &str, addr: IpAddr, count: u32, interval: Duration) {
        let clients: Arc<[Connection]> = if self.node.serves(addr) {
            let clients = self.clients.table.taken(addr, clock::mono() + interval * count);
            self.soon();
            clients.into()
        } else {
            Arc::default()
        };
        let waker = self.clients.waker.clone();
        if let Some(a) = &self.announcements {
            let how = Series { count, every: interval, ..announced(self.node.tunables()) };
            a.start(iface, addr, how, move || waker.wake(&clients));
        }
    }

    pub(super) fn clients_released(&mut self, addr: IpAddr) {
        self.clients.table.released(addr);
    }

    /// `ctdb gettickles`.
    pub(super) fn tickles(&self, addr: IpAddr, port: Option<u16>) -> DaemonReply {
        if let Err(why) = self.public(addr) {
            return DaemonReply::Error(why);
        }
        let mut connections = self.clients.table.to(addr);
        connections.retain(|c| port.is_none_or(|p| c.server.port() == p));
        DaemonReply::Connections(connections)
    }

    /// `ctdb addtickle`.
    pub(super) fn add_tickles(&mut self, connections: &[Connection]) -> DaemonReply {
        let mut refused = Vec::new();
        for connection in connections {
            let known = self.public(connection.server.ip());
            let added = known.and_then(|()| self.clients.table.told(*connection).map_err(|e| e.to_string()));
            refused.extend(added.err());
        }
        self.soon();
        outcome("add", &refused)
    }

    /// `ctdb deltickle`. One that is not known is a success: it is as was asked.
    pub(super) fn del_tickles(&mut self, connections: &[Connection]) -> DaemonReply {
        let mut refused = Vec::new();
        for connection in connections {
            match self.public(connection.server.ip()) {
                Ok(()) => drop(self.clients.table.untold(*connection)),
                Err(why) => refused.push(why),
            }
        }
        self.soon();
        outcome("remove", &refused)
    }

    fn public(&self, addr: IpAddr) -> Result<(), String> {
        if self.node.is_public(addr) {
            return Ok(());
        }
        let pnn = self.node.pnn();
        Err(format!("{addr} is not a public address of node {pnn}: see `ctdb ip`"))
    }
}

/// CTDB's words, and the first reason.
fn outcome(verb: &str, refused: &[String]) -> DaemonReply {
    match refused {
        [] => DaemonReply::Ok,
        [first, ..] => DaemonReply::Error(format!("Failed to {verb} {} tickles\n{first}", refused.len())),
    }
}

/// How an address is announced that was just taken.
pub(super) fn announced(tunables: &Tunables) -> Series {
    let (count, every) = tunables.gratuitous_arp();
    Series { count, every, rate: tunables.gratuitous_arp_rate() }
}
