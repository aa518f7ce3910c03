//! Other public addresses for a running node: `ctdb addip`, `ctdb delip`, `ctdb reloadips`.
//!
//! Decides what becomes of each address; which node has it afterwards is the business of the run that follows, and the command is
//! answered when that has ended. An address that goes is let go at once and forgotten when the kernel does not have it any more. Unlike in
//! CTDB an entry may change its interfaces and its mask: the address moves to another interface by `updateip`, and for another mask
//! it is let go and taken again here, without asking anybody (a silence of milliseconds). All others are not touched.

use super::ips::Entry;
use super::{Cx, Node};
use crate::action::{Action, Kind};
use crate::command::Reply;
use crate::model::PublicAddress;
use std::collections::BTreeMap;
use std::net::IpAddr;

impl Node {
    /// `ctdb addip`: until the daemon restarts or reads its file again.
    pub(super) fn add_ip(&mut self, id: u64, public: PublicAddress, cx: &mut Cx) {
        let addr = public.addr.to_canonical();
        if self.ips.map.get(&addr).is_some_and(|e| !e.leaving) {
            let reply = Reply::Error(format!("Node already knows about IP {addr}"));
            cx.actions.push(Action::Reply { id, reply });
            return;
        }
        self.operator(format!("addip {addr}/{} {}", public.prefix, public.ifaces.join(",")), cx);
        let at = cx.actions.len();
        self.requests.coming = true;
        self.configure(PublicAddress { addr, ..public }, cx);
        self.configured(id, "addip", at, cx);
    }

    /// `ctdb delip`: until the daemon restarts or reads its file again.
    pub(super) fn del_ip(&mut self, id: u64, addr: IpAddr, cx: &mut Cx) {
        let addr = addr.to_canonical();
        if self.ips.map.get(&addr).is_none_or(|e| e.leaving) {
            let reply = Reply::Error(format!("Node does not know about IP address {addr}"));
            cx.actions.push(Action::Reply { id, reply });
            return;
        }
        self.operator(format!("delip {addr}"), cx);
        let at = cx.actions.len();
        self.requests.coming = true;
        self.unconfigure(addr, cx);
        self.configured(id, "delip", at, cx);
    }

    /// `ctdb reloadips`: these and no others.
    pub(super) fn set_public_addresses(&mut self, id: u64, list: Vec<PublicAddress>, cx: &mut Cx) {
        let list: BTreeMap<IpAddr, PublicAddress> = list
            .into_iter()
            .map(|p| (p.addr.to_canonical(), PublicAddress { addr: p.addr.to_canonical(), ..p }))
            .collect();
        let gone: Vec<IpAddr> = self.ips.map.keys().filter(|a| !list.contains_key(a)).copied().collect();
        self.operator(format!("reloadips: {} public address(es)", list.len()), cx);
        let at = cx.actions.len();
        self.requests.coming = true;
        for addr in gone {
            self.unconfigure(addr, cx);
        }
        for public in list.into_values() {
            self.configure(public, cx);
        }
        self.configured(id, "reloadips", at, cx);
    }

    /// The entry is as wanted from now on.
    fn configure(&mut self, public: PublicAddress, cx: &mut Cx) {
        let addr = public.addr;
        let Some(entry) = self.ips.map.get_mut(&addr) else {
            let mut entry = Entry::new(public);
            entry.touched = cx.now;
            self.ips.map.insert(addr, entry);
            return;
        };
        let former = std::mem::replace(&mut entry.public, public);
        let mask = former.prefix != entry.public.prefix;
        entry.remask |= mask && !entry.leaving;
        entry.leaving = false;
        if former.ifaces != entry.public.ifaces {
            self.move_off_unconfigured(addr, cx);
        }
        self.renew_mask(addr, cx);
    }

    /// Where an address of ours is on an interface that the configuration does not name any more, it moves to one that it names.
    fn move_off_unconfigured(&mut self, addr: IpAddr, cx: &mut Cx) {
        let Some(entry) = self.ips.map.get(&addr).filter(|e| e.owner == Some(self.cfg.me) && !e.busy())
        else {
            // Not ours, or on its way: the local check looks at where it has come to.
            return;
        };
        if entry.remask {
            // It is taken anew anyway.
            return;
        }
        let Some(from) = self.ips.active_iface(entry).filter(|i| !entry.public.ifaces.iter().any(|n| n == i))
        else {
            return;
        };
        let refs = self.ips.references();
        let up = entry.public.ifaces.iter().filter(|i| self.ips.kernel.link_up(i));
        // With no link anywhere the run takes it to another node.
        if let Some(to) = up.min_by_key(|i| refs.get(*i).copied().unwrap_or(0)) {
            let (from, to) = (from.to_owned(), to.clone());
            self.update_ip(addr, &from, &to, cx);
        }
    }

    /// An address with another mask than wanted is let go; it is taken again when it is gone (`ips`).
    pub(super) fn renew_mask(&mut self, addr: IpAddr, cx: &mut Cx) {
        let places = self.ips.kernel.places(addr).to_vec();
        let Some(entry) = self.ips.map.get_mut(&addr).filter(|e| e.remask && !e.busy()) else { return };
        let ours = entry.owner == Some(self.cfg.me);
        let other = places.iter().any(|p| p.prefix != entry.public.prefix);
        if ours && (other || places.is_empty()) {
            self.release_ip(addr, Some(self.cfg.me), None, cx);
        }
        // What was not there at all needs nothing.
        if let Some(entry) = self.ips.map.get_mut(&addr).filter(|e| !e.busy()) {
            entry.remask = false;
        }
    }

    /// The address goes: nobody will be asked to take it here again.
    fn unconfigure(&mut self, addr: IpAddr, cx: &mut Cx) {
        let Some(entry) = self.ips.map.get_mut(&addr).filter(|e| !e.leaving) else { return };
        entry.leaving = true;
        entry.remask = false;
        self.let_go(addr, cx);
    }

    /// After the change: everybody must know, and the run that follows answers the command.
    /// Actions from `at` on are of the change: what holds packets back must know of it before they are done.
    fn configured(&mut self, id: u64, word: &str, at: usize, cx: &mut Cx) {
        cx.actions.insert(at, self.all_public_addresses());
        self.forget_gone(cx);
        self.hosting_changed(format!("other public addresses on node {}", self.cfg.me), cx);
        self.reallocate(id, word, cx);
    }

    /// Forgets what was taken out of the configuration and is gone.
    pub(super) fn forget_gone(&mut self, cx: &mut Cx) {
        let gone: Vec<IpAddr> = self
            .ips
            .map
            .values()
            .filter(|e| e.leaving && !e.busy() && self.ips.kernel.places(e.public.addr).is_empty())
            .map(|e| e.public.addr)
            .collect();
        if gone.is_empty() {
            return;
        }
        for addr in gone {
            self.ips.map.remove(&addr);
            cx.journal(Kind::Address, None, format!("{addr} is no public address of this node any more"));
        }
        self.availability_changed();
        cx.actions.push(self.all_public_addresses());
    }

    fn all_public_addresses(&self) -> Action {
        Action::PublicAddresses { list: self.ips.map.values().map(|e| e.public.clone()).collect() }
    }
}
