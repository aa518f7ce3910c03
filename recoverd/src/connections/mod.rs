//! The connections of clients to public addresses that this node knows, and what of them to tell the peers.
//!
//! Mirrors CTDB's tickle lists: whoever takes an address wakes its clients by tickle ACKs, so that their stacks notice at once that
//! the server is another one. CTDB learns connections from `addtickle` only and sends whole lists from everybody to everybody. Here
//! they are also read from the kernel, and only differences travel, through the recmaster: a node tells it about the addresses that
//! it serves, it tells all others, in at most one burst a period. What was said to a peer is not kept: a peer that has heard everything so far
//! gets the changes since, every other one the whole lists.
//!
//! A list stays until the address is served elsewhere: also when the node that served it is gone. It is then the new server's, who
//! keeps the clients that were there before until it has announced the address often enough.
//!
//! Reads no kernel, sends nothing, knows no clock: `ctdbd` feeds what it sees and performs what comes out.

mod list;
mod share;
#[cfg(test)]
mod tests;

use crate::model::{Connection, Epoch, Mono, Pnn};
use list::{List, Why};
use serde::{Deserialize, Serialize};
use share::Shared;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Connections kept for one address; later ones are not learned.
pub const PER_ADDRESS: usize = 4096;
/// Connections kept for all addresses together, for a bound of memory (about 100 bytes each) and of what one peer is sent at once.
pub const IN_ALL: usize = 65_536;
/// Connections in one message to a peer.
pub const PER_MESSAGE: usize = 2048;

/// What a node says about the connections to one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionUpdate {
    /// The public address.
    pub addr: IpAddr,
    /// The node that serves it and knows its connections; the recmaster passes its word on.
    pub server: Pnn,
    /// Forget what was said before.
    pub reset: bool,
    /// Connections that are new.
    pub add: Vec<Connection>,
    /// Connections that have ended.
    pub remove: Vec<Connection>,
}

/// Why a connection that somebody told of is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A bound of memory.
    #[error("{0} has too many connections: at most {PER_ADDRESS} are kept for an address, {IN_ALL} in all")]
    Full(IpAddr),
}

/// How long one list may become when all others together have so many members.
fn limit(others: usize) -> usize {
    PER_ADDRESS.min(IN_ALL.saturating_sub(others))
}

/// See the module.
#[derive(Debug)]
pub struct Connections {
    me: Pnn,
    lists: BTreeMap<IpAddr, List>,
    shared: Shared,
}

/// The same connection with IPv4-mapped addresses as IPv4 and without scope: a dual-stack server sees them so.
#[must_use]
pub fn canonical(connection: Connection) -> Connection {
    let end = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    Connection { client: end(connection.client), server: end(connection.server) }
}

impl Connections {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(me: Pnn) -> Self {
        Self { me, lists: BTreeMap::new(), shared: Shared::default() }
    }

    /// How many connections are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lists.values().map(|l| l.members.len()).sum()
    }

    /// Whether there is nothing to look after: no address served here, no connection known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.values().all(|l| l.members.is_empty() && l.kept_until.is_none())
    }

    /// The connections to an address, in order.
    #[must_use]
    pub fn to(&self, addr: IpAddr) -> Vec<Connection> {
        self.lists.get(&addr.to_canonical()).map(|l| l.members.keys().copied().collect()).unwrap_or_default()
    }

    /// Whether the address is served here.
    #[must_use]
    pub fn serves(&self, addr: IpAddr) -> bool {
        self.lists.get(&addr.to_canonical()).is_some_and(|l| l.kept_until.is_some())
    }

    /// The address is served here from now on, and announced until `until`: so long the clients that others knew are kept. Returns
    /// whom to wake with each announcement: those that are not known to be connected to this node itself.
    pub fn taken(&mut self, addr: IpAddr, until: Mono) -> Vec<Connection> {
        let addr = addr.to_canonical();
        let list = self.lists.entry(addr).or_default();
        if list.kept_until.is_none() {
            list.kept_until = Some(until);
            list.server = Some(self.me);
            self.shared.whole(addr);
        }
        list.members.iter().filter(|(_, why)| !why.contains(Why::HERE)).map(|(c, _)| *c).collect()
    }

    /// The address is not served here any more. Who was connected stays known until another node serves it.
    pub fn released(&mut self, addr: IpAddr) {
        if let Some(list) = self.lists.get_mut(&addr.to_canonical()) {
            list.kept_until = None;
            for why in list.members.values_mut().filter(|why| why.contains(Why::HERE)) {
                *why = why.without(Why::HERE).with(Why::BEFORE);
            }
        }
    }

    /// All connections of the kernel to addresses that are served here, as seen now. Returns the addresses that have become full with
    /// it, each once, for a line in the log.
    pub fn seen(&mut self, now: Mono, all: &[Connection]) -> Vec<IpAddr> {
        let mut by_addr: BTreeMap<IpAddr, BTreeSet<Connection>> = BTreeMap::new();
        for connection in all.iter().map(|c| canonical(*c)) {
            by_addr.entry(connection.server.ip()).or_default().insert(connection);
        }
        let mut in_all = self.len();
        let mut filled = Vec::new();
        let none = BTreeSet::new();
        for (addr, list) in &mut self.lists {
            let Some(until) = list.kept_until else { continue };
            let others = in_all - list.members.len();
            let here = by_addr.get(addr).unwrap_or(&none);
            let full = list.observe(here, now >= until, limit(others), |connection, on| {
                self.shared.changed(*addr, connection, on);
            });
            in_all = others + list.members.len();
            if full && !list.full {
                filled.push(*addr);
            }
            list.full = full;
        }
        filled
    }

    /// `addtickle`: an operator, or a service, tells of a connection.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn told(&mut self, connection: Connection) -> Result<(), Refused> {
        let connection = canonical(connection);
        let addr = connection.server.ip();
        let in_all = self.len();
        let list = self.lists.entry(addr).or_default();
        let shared = &mut self.shared;
        let limit = limit(in_all - list.members.len());
        if list.set(connection, Why::TOLD, limit, |c, on| shared.changed(addr, c, on)) {
            Ok(())
        } else {
            Err(Refused::Full(addr))
        }
    }

    /// `deltickle`: the connection has ended; whether it was known. One that the kernel has is found again.
    pub fn untold(&mut self, connection: Connection) -> bool {
        let connection = canonical(connection);
        let addr = connection.server.ip();
        let Some(list) = self.lists.get_mut(&addr) else { return false };
        let known = list.members.remove(&connection).is_some();
        if known {
            self.shared.changed(addr, connection, false);
        }
        known
    }

    /// A peer tells, for itself or as the recmaster for others. Of an address that is served here nobody knows better; whoever
    /// contradicts is told anew; but who let it go a moment ago may still tell of clients that connected while it did. Returns whom
    /// to wake because of that.
    pub fn heard(
        &mut self,
        from: Pnn,
        recmaster: Option<Pnn>,
        updates: &[ConnectionUpdate],
    ) -> Vec<Connection> {
        let mut wake = Vec::new();
        for update in updates.iter().filter(|u| u.server == from || recmaster == Some(from)) {
            let addr = update.addr.to_canonical();
            let in_all = self.len();
            let list = self.lists.entry(addr).or_default();
            let limit = limit(in_all - list.members.len());
            if list.kept_until.is_some() {
                if update.server != self.me {
                    self.shared.whole(addr);
                    let left = update.add.iter().map(|c| canonical(*c)).filter(|c| c.server.ip() == addr);
                    wake.extend(left.filter(|c| !list.members.contains_key(c)));
                }
                continue;
            }
            if update.server == self.me || (!update.reset && list.server != Some(update.server)) {
                continue;
            }
            let shared = &mut self.shared;
            if update.reset {
                // Passed on also when it changes nothing here: a former server may not have heard of any other since.
                shared.whole(addr);
                list.server = Some(update.server);
                list.clear(|c, on| shared.changed(addr, c, on));
            }
            for connection in update.remove.iter().map(|c| canonical(*c)) {
                list.unset(connection, Why::BEFORE, |c, on| shared.changed(addr, c, on));
            }
            let add = update.add.iter().map(|c| canonical(*c)).filter(|c| c.server.ip() == addr);
            for connection in add {
                // What the server keeps, this node keeps, unless it knows of more addresses.
                list.set(connection, Why::BEFORE, limit, |c, on| shared.changed(addr, c, on));
            }
        }
        wake
    }

    /// Whether there is something to say or to pass on.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.shared.is_waiting()
    }

    /// The link to a peer is new, or gone: what it has heard does not count.
    pub fn peer_changed(&mut self, pnn: Pnn) {
        self.shared.peer_changed(pnn);
    }

    /// What to say now: to the recmaster about what is served here, or, being the recmaster, to all connected peers about everything.
    /// Nothing that has been said is said again, unless there is another recmaster or the same in another epoch: what was passed on
    /// meanwhile may have been older.
    pub fn share(
        &mut self,
        recmaster: Option<Pnn>,
        epoch: Epoch,
        connected: &BTreeSet<Pnn>,
    ) -> Vec<(Pnn, Vec<ConnectionUpdate>)> {
        self.shared.share(self.me, recmaster, epoch, connected, &self.lists)
    }
}
