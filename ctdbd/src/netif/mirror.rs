//! The kernel's links and addresses as told by messages: pure bookkeeping, no socket.

use super::watch::Change;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, State};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use recoverd::model::{KernelAddr, KernelState, Link};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What the kernel said so far. The state is shared with whoever was given it and copied only when it changes meanwhile.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    names: HashMap<u32, String>,
    state: Arc<KernelState>,
}

impl Mirror {
    pub(super) fn state(&self) -> Arc<KernelState> {
        Arc::clone(&self.state)
    }

    pub(super) fn into_state(self) -> KernelState {
        Arc::unwrap_or_clone(self.state)
    }

    /// Takes in one message and notes what it changed. `false`: it speaks of a link that nobody announced, so that something
    /// was missed and everything has to be listed again.
    pub(super) fn apply(&mut self, message: &RouteNetlinkMessage, changes: &mut Vec<Change>) -> bool {
        match message {
            // Messages of the bridge family are about a link's life as a port: its end as a port is not its end.
            RouteNetlinkMessage::NewLink(m) | RouteNetlinkMessage::DelLink(m)
                if m.header.interface_family == AddressFamily::Bridge => {}
            RouteNetlinkMessage::NewLink(m) => self.link(m, changes),
            RouteNetlinkMessage::DelLink(m) => self.link_gone(m.header.index, changes),
            RouteNetlinkMessage::NewAddress(m) => return self.address(m, true, changes),
            RouteNetlinkMessage::DelAddress(m) => return self.address(m, false, changes),
            _ => {}
        }
        true
    }

    fn link(&mut self, message: &LinkMessage, changes: &mut Vec<Change>) {
        let index = message.header.index;
        let name = message.attributes.iter().find_map(|a| match a {
            LinkAttribute::IfName(name) => Some(name.as_str()),
            _ => None,
        });
        let Some(name) = name else { return };
        if self.names.get(&index).is_some_and(|old| old != name) {
            self.renamed(index, name, changes);
        }
        let operational = message.attributes.iter().all(|a| match a {
            LinkAttribute::OperState(state) => matches!(state, State::Up | State::Unknown),
            _ => true,
        });
        let flags = message.header.flags;
        let link = Link {
            index,
            admin_up: flags.contains(LinkFlags::Up),
            lower_up: flags.contains(LinkFlags::LowerUp) && operational,
        };
        self.names.insert(index, name.to_owned());
        if self.state.links.get(name) != Some(&link) {
            changes.push(Change::LinkChanged { iface: name.to_owned(), up: link.is_up() });
            Arc::make_mut(&mut self.state).links.insert(name.to_owned(), link);
        }
    }

    fn renamed(&mut self, index: u32, name: &str, changes: &mut Vec<Change>) {
        let Some(old) = self.names.insert(index, name.to_owned()) else { return };
        let state = Arc::make_mut(&mut self.state);
        state.links.remove(&old);
        changes.push(Change::LinkChanged { iface: old.clone(), up: false });
        for (addr, places) in &mut state.addrs {
            for place in places.iter_mut().filter(|p| p.iface == old) {
                place.iface = name.to_owned();
                let (addr, prefix) = (*addr, place.prefix);
                changes.push(Change::AddressRemoved { iface: old.clone(), addr, prefix });
                changes.push(Change::AddressAdded { iface: name.to_owned(), addr, prefix });
            }
        }
    }

    fn link_gone(&mut self, index: u32, changes: &mut Vec<Change>) {
        let Some(name) = self.names.remove(&index) else { return };
        let state = Arc::make_mut(&mut self.state);
        state.links.remove(&name);
        state.addrs.retain(|addr, places| {
            places.retain(|place| {
                let stays = place.iface != name;
                if !stays {
                    changes.push(Change::AddressRemoved {
                        iface: name.clone(),
                        addr: *addr,
                        prefix: place.prefix,
                    });
                }
                stays
            });
            !places.is_empty()
        });
        changes.push(Change::LinkChanged { iface: name, up: false });
    }

    fn address(&mut self, message: &AddressMessage, there: bool, changes: &mut Vec<Change>) -> bool {
        let Some(addr) = own_address(message) else { return true };
        let Some(iface) = self.names.get(&message.header.index) else {
            // The last word about an address may come after that about its link.
            return !there;
        };
        let place = KernelAddr { iface: iface.clone(), prefix: message.header.prefix_len };
        let known = self.state.places(addr).contains(&place);
        if known == there {
            return true;
        }
        let places = Arc::make_mut(&mut self.state).addrs.entry(addr).or_default();
        let KernelAddr { iface, prefix } = place.clone();
        if there {
            places.push(place);
            changes.push(Change::AddressAdded { iface, addr, prefix });
        } else {
            places.retain(|p| *p != place);
            if places.is_empty() {
                Arc::make_mut(&mut self.state).addrs.remove(&addr);
            }
            changes.push(Change::AddressRemoved { iface, addr, prefix });
        }
        true
    }

    /// Replaces all by a fresh listing and notes the differences.
    pub(super) fn replace(&mut self, fresh: Self, changes: &mut Vec<Change>) {
        let (old, new) = (&self.state, &fresh.state);
        for (addr, prefix, iface) in places(old).filter(|p| !has(new, p)) {
            changes.push(Change::AddressRemoved { iface: iface.to_owned(), addr, prefix });
        }
        for (iface, link) in new.links.iter().filter(|(name, link)| old.links.get(*name) != Some(link)) {
            changes.push(Change::LinkChanged { iface: iface.clone(), up: link.is_up() });
        }
        for iface in old.links.keys().filter(|name| !new.links.contains_key(*name)) {
            changes.push(Change::LinkChanged { iface: iface.clone(), up: false });
        }
        for (addr, prefix, iface) in places(new).filter(|p| !has(old, p)) {
            changes.push(Change::AddressAdded { iface: iface.to_owned(), addr, prefix });
        }
        *self = fresh;
    }
}

fn places(state: &KernelState) -> impl Iterator<Item = (IpAddr, u8, &str)> {
    state.addrs.iter().flat_map(|(addr, places)| places.iter().map(|p| (*addr, p.prefix, p.iface.as_str())))
}

fn has(state: &KernelState, (addr, prefix, iface): &(IpAddr, u8, &str)) -> bool {
    state.places(*addr).iter().any(|p| p.prefix == *prefix && p.iface == *iface)
}

/// The address that is ours: `IFA_LOCAL`, which for a point-to-point link differs from `IFA_ADDRESS`, the peer's.
pub(super) fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let mut addr = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(local) => return Some(*local),
            AddressAttribute::Address(a) => addr = Some(*a),
            _ => {}
        }
    }
    addr
}
