//! What the peers have not heard yet.
//!
//! One record of changes for all peers: they are cut at the same moment, so every peer that has heard all cuts so far needs the same.

use super::list::List;
use super::{ConnectionUpdate, PER_MESSAGE};
use crate::model::{Connection, Epoch, Pnn};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Changes of one list since the last cut.
#[derive(Debug, Default)]
struct Change {
    /// Everything is to be said anew.
    whole: bool,
    add: BTreeSet<Connection>,
    remove: BTreeSet<Connection>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shared {
    recmaster: Option<(Pnn, Epoch)>,
    /// Peers that have heard everything up to the last cut.
    up_to_date: BTreeSet<Pnn>,
    waiting: BTreeMap<IpAddr, Change>,
}

impl Shared {
    /// A connection is new (`on`) or gone. What comes and goes between two cuts is never said.
    pub(super) fn changed(&mut self, addr: IpAddr, connection: Connection, on: bool) {
        let change = self.waiting.entry(addr).or_default();
        let (to, from) =
            if on { (&mut change.add, &mut change.remove) } else { (&mut change.remove, &mut change.add) };
        if !from.remove(&connection) {
            to.insert(connection);
        }
        if !change.whole && change.add.is_empty() && change.remove.is_empty() {
            self.waiting.remove(&addr);
        }
    }

    /// The list has another server: it is said as a whole.
    pub(super) fn whole(&mut self, addr: IpAddr) {
        self.waiting.entry(addr).or_default().whole = true;
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn peer_changed(&mut self, pnn: Pnn) {
        self.up_to_date.remove(&pnn);
    }

    /// See [`super::Connections::share`].
    pub(super) fn share(
        &mut self,
        me: Pnn,
        recmaster: Option<Pnn>,
        epoch: Epoch,
        connected: &BTreeSet<Pnn>,
        lists: &BTreeMap<IpAddr, List>,
    ) -> Vec<(Pnn, Vec<ConnectionUpdate>)> {
        let whose = recmaster.map(|pnn| (pnn, epoch));
        if self.recmaster != whose {
            self.recmaster = whose;
            self.up_to_date.clear();
        }
        let leads = recmaster == Some(me);
        let hearers: BTreeSet<Pnn> =
            connected.iter().copied().filter(|p| *p != me && (leads || recmaster == Some(*p))).collect();
        self.up_to_date.retain(|p| hearers.contains(p));
        let waiting = std::mem::take(&mut self.waiting);
        let mut messages = Vec::new();
        for hearer in &hearers {
            let mut parcel = Parcel::default();
            for (addr, list) in lists {
                // Nobody needs to be told what it told; a list without a server is an operator's word to this node only.
                let Some(server) = list.server.filter(|s| s != hearer) else { continue };
                if !leads && list.kept_until.is_none() {
                    continue;
                }
                match waiting.get(addr) {
                    _ if !self.up_to_date.contains(hearer) => parcel.whole(*addr, server, list),
                    Some(Change { whole: true, .. }) => parcel.whole(*addr, server, list),
                    Some(change) => parcel.change(*addr, server, change),
                    None => {}
                }
            }
            messages.extend(parcel.messages().into_iter().map(|m| (*hearer, m)));
        }
        self.up_to_date = hearers;
        messages
    }
}

/// Updates for one peer, cut into messages of bearable size.
#[derive(Default)]
struct Parcel {
    done: Vec<Vec<ConnectionUpdate>>,
    open: Vec<ConnectionUpdate>,
    size: usize,
}

impl Parcel {
    fn whole(&mut self, addr: IpAddr, server: Pnn, list: &List) {
        self.put(ConnectionUpdate { addr, server, reset: true, add: Vec::new(), remove: Vec::new() });
        for connection in list.members.keys() {
            self.entry(addr, server).add.push(*connection);
        }
    }

    fn change(&mut self, addr: IpAddr, server: Pnn, change: &Change) {
        for connection in &change.remove {
            self.entry(addr, server).remove.push(*connection);
        }
        for connection in &change.add {
            self.entry(addr, server).add.push(*connection);
        }
    }

    /// The update of this address to which one more connection may be added.
    fn entry(&mut self, addr: IpAddr, server: Pnn) -> &mut ConnectionUpdate {
        if self.size >= PER_MESSAGE {
            self.close();
        }
        self.size += 1;
        if self.open.last().is_none_or(|u| u.addr != addr) {
            self.open.push(ConnectionUpdate {
                addr,
                server,
                reset: false,
                add: Vec::new(),
                remove: Vec::new(),
            });
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// An update without connections counts as one, so that many of them make several messages too.
    fn put(&mut self, update: ConnectionUpdate) {
        if self.size >= PER_MESSAGE {
            self.close();
        }
        self.size += 1;
        self.open.push(update);
    }

    fn close(&mut self) {
        self.size = 0;
        let open = std::mem::take(&mut self.open);
        if !open.is_empty() {
            self.done.push(open);
        }
    }

    fn messages(mut self) -> Vec<Vec<ConnectionUpdate>> {
        self.close();
        self.done
    }
}
