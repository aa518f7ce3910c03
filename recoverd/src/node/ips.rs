//! The node's own record of the public addresses, and the work on them: at most one operation per address at a time.
//!
//! Mirrors CTDB's node side of TAKEOVER_IP and RELEASE_IP (SEMANTICS B.4): which interface carries an address, when a release counts
//! as done (only when the kernel does not have the address any more), what an operation that finds another in its way does. Whether
//! an address should be here is decided by the recmaster's runs; what to do about the kernel disagreeing, by `verify`.

use super::links::Forced;
use super::{Cx, Node};
use crate::action::{Action, Kind, Level};
use crate::control::{IfaceLink, PublicIp, Unavailable};
use crate::model::{Event, EventOutcome, KernelState, Mono, NodeFlags, Pnn, PublicAddress, RunState};
use crate::msg::PeerMsg;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

/// What is being done to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    Take { iface: String, why: Why },
    Release,
    Update { to: String },
}

/// On whose wish an address is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Run,
    Repair,
}

/// An operation in flight.
#[derive(Debug)]
struct Op {
    id: u64,
    work: Work,
    /// The event has ended well; the kernel is asked whether the address is gone. Set to when that was decided.
    confirming: Option<Mono>,
    /// Recmasters that wait for the end: request number and node.
    waiters: Vec<(Pnn, u64)>,
}

/// What the notifications of the kernel have shown since the last operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing that is certainly newer than the operation.
    Unsure,
    Present,
    Absent,
}

/// One configured address.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) public: PublicAddress,
    /// Owner in our record; set at once when a run says so.
    pub(super) owner: Option<Pnn>,
    pub(super) seen: Seen,
    /// The interface that our last operation put it on, if it was not released since.
    put_on: Option<String>,
    /// When the record or the last operation changed: older dumps say nothing about it.
    pub(super) touched: Mono,
    /// Times of recent local repairs, to notice a fight with another manager.
    pub(super) repairs: VecDeque<Mono>,
    /// An operator took it out of the configuration; forgotten when it is gone.
    pub(super) leaving: bool,
    /// It is on the kernel with another mask than configured now: let go and taken again.
    pub(super) remask: bool,
    op: Option<Op>,
}

impl Entry {
    pub(super) fn new(public: PublicAddress) -> Self {
        Self {
            public,
            owner: None,
            seen: Seen::Unsure,
            put_on: None,
            touched: Mono(0),
            repairs: VecDeque::new(),
            leaving: false,
            remask: false,
            op: None,
        }
    }

    pub(super) fn busy(&self) -> bool {
        self.op.is_some()
    }

    pub(super) fn releasing(&self) -> bool {
        self.op.as_ref().is_some_and(|op| op.work == Work::Release)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct LocalIps {
    pub(super) map: BTreeMap<IpAddr, Entry>,
    /// As the kernel says, and an operator beside it (`links`).
    pub(super) kernel: Arc<KernelState>,
    pub(super) forced: Forced,
    ops: BTreeMap<u64, IpAddr>,
    /// Counts changes of what could be hosted, and the set that was counted last.
    availability: u64,
    hostable: Vec<IpAddr>,
}

impl LocalIps {
    pub(super) fn new(public: &[PublicAddress]) -> Self {
        Self {
            map: public.iter().map(|p| (p.addr, Entry::new(p.clone()))).collect(),
            kernel: Arc::default(),
            forced: Forced::default(),
            ops: BTreeMap::new(),
            availability: 0,
            hostable: Vec::new(),
        }
    }

    pub(super) fn availability(&self) -> u64 {
        self.availability
    }

    /// The first configured interface that carries the address, or else any interface that does.
    pub(super) fn active_iface<'a>(&'a self, entry: &'a Entry) -> Option<&'a str> {
        let places = self.kernel.places(entry.public.addr);
        let configured = entry.public.ifaces.iter().find(|i| places.iter().any(|p| p.iface == **i));
        configured.map(String::as_str).or_else(|| places.first().map(|p| p.iface.as_str()))
    }

    /// All interfaces that the configuration names, without repetition, in order of appearance.
    pub(super) fn ifaces(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for iface in self.map.values().flat_map(|e| &e.public.ifaces) {
            if !names.contains(&iface.as_str()) {
                names.push(iface);
            }
        }
        names
    }

    pub(super) fn partially_online(&self) -> bool {
        let ifaces = self.ifaces();
        let up = ifaces.iter().filter(|i| self.kernel.link_up(i)).count();
        up > 0 && up < ifaces.len()
    }

    /// Addresses on an interface or about to be, counted per interface. Looks at every address.
    pub(super) fn references(&self) -> BTreeMap<String, u32> {
        let mut refs: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in self.map.values() {
            let iface = match &entry.op {
                Some(Op { work: Work::Take { iface, .. } | Work::Update { to: iface }, .. }) => {
                    Some(iface.as_str())
                }
                Some(Op { work: Work::Release, .. }) => None,
                None => self.active_iface(entry),
            };
            if let Some(iface) = iface {
                *refs.entry(iface).or_default() += 1;
            }
        }
        refs.into_iter().map(|(iface, n)| (iface.to_owned(), n)).collect()
    }

    /// [`LocalIps::references`] for choosing among the interfaces of these addresses; empty where each has only one, so that an order for
    /// one of many addresses does not look at all of them.
    pub(super) fn references_for(&self, addrs: &[IpAddr]) -> BTreeMap<String, u32> {
        let chooses = |addr: &IpAddr| self.map.get(addr).is_some_and(|e| e.public.ifaces.len() > 1);
        if addrs.iter().any(chooses) { self.references() } else { BTreeMap::new() }
    }

    pub(super) fn forget_waiters(&mut self, pnn: Pnn) {
        for op in self.map.values_mut().filter_map(|e| e.op.as_mut()) {
            op.waiters.retain(|(w, _)| *w != pnn);
        }
    }

    /// Whether something is being done, or is still to be let go.
    pub(super) fn idle_and_empty(&self) -> bool {
        self.map.values().all(|e| e.op.is_none() && self.kernel.places(e.public.addr).is_empty())
    }
}

/// The interface with link and the fewest addresses; the first of equals in configuration order.
fn best_iface<'a>(
    public: &'a PublicAddress,
    kernel: &KernelState,
    refs: &BTreeMap<String, u32>,
) -> Option<(&'a str, u32)> {
    public
        .ifaces
        .iter()
        .filter(|i| kernel.link_up(i))
        .map(|i| (i.as_str(), refs.get(i).copied().unwrap_or(0)))
        .min_by_key(|(_, n)| *n)
}

impl Node {
    /// Why this node could not host the address now.
    pub(super) fn unavailable(&self, entry: &Entry) -> Option<Unavailable> {
        if entry.leaving {
            return Some(Unavailable::Removed);
        }
        if self.life.stopping() {
            return Some(Unavailable::Flags(self.flags | NodeFlags::STOPPED));
        }
        if self.runstate != RunState::Running {
            return Some(Unavailable::RunState(self.runstate));
        }
        if self.flags.is_out_of_service() {
            return Some(Unavailable::Flags(self.flags));
        }
        if entry.public.ifaces.iter().any(|i| self.ips.kernel.link_up(i)) {
            return None;
        }
        Some(Unavailable::NoLink(entry.public.ifaces.clone()))
    }

    /// What this node says about its addresses in a run.
    pub(super) fn public_ips(&self) -> Vec<PublicIp> {
        let entries = self.ips.map.values();
        entries
            .map(|e| PublicIp {
                addr: e.public.addr,
                owner: e.owner,
                // An address that is being released counts as held: nobody may take it before it has gone.
                held: e.releasing() || !self.ips.kernel.places(e.public.addr).is_empty(),
                unavailable: self.unavailable(e),
                ifaces: e
                    .public
                    .ifaces
                    .iter()
                    .map(|i| IfaceLink { name: i.clone(), up: self.ips.kernel.link_up(i) })
                    .collect(),
            })
            .collect()
    }

    /// Recomputes what could be hosted; a change is told to the recmaster with the next state.
    pub(super) fn availability_changed(&mut self) {
        let hostable: Vec<IpAddr> =
            self.ips.map.values().filter(|e| self.unavailable(e).is_none()).map(|e| e.public.addr).collect();
        if hostable != self.ips.hostable {
            self.ips.hostable = hostable;
            self.ips.availability += 1;
        }
    }

    /// Takes an address; `waiter` is answered at the end.
    pub(super) fn take_ip(&mut self, addr: IpAddr, why: Why, waiter: Option<(Pnn, u64)>, cx: &mut Cx) {
        let refs = self.ips.references_for(&[addr]);
        self.take_ip_with(addr, why, waiter, &refs, cx);
    }

    /// As `take_ip`, with `references_for` counted by the caller (once for many addresses). Returns the interface that will carry it,
    /// if there is anything to do.
    pub(super) fn take_ip_with(
        &mut self,
        addr: IpAddr,
        why: Why,
        waiter: Option<(Pnn, u64)>,
        refs: &BTreeMap<String, u32>,
        cx: &mut Cx,
    ) -> Option<String> {
        let me = self.cfg.me;
        let timeout = self.tunables.event_script_timeout();
        let announce = self.tunables.gratuitous_arp();
        let dropping = self.membership.dropping();
        let reason = self.ips.map.get(&addr).and_then(|e| self.unavailable(e));
        let ips = &mut self.ips;
        let kernel = Arc::clone(&ips.kernel);
        let active = ips.map.get(&addr).and_then(|e| ips.active_iface(e)).map(str::to_owned);
        let Some(entry) = ips.map.get_mut(&addr) else {
            // Not configured here: CTDB answers ok without doing anything.
            answer(waiter, addr, Ok(()), cx);
            return None;
        };
        if let Some(op) = &mut entry.op {
            if matches!(op.work, Work::Take { .. } | Work::Update { .. }) && reason.is_none() {
                entry.owner = Some(me);
                op.waiters.extend(waiter);
            } else if let Some(reason) = reason {
                answer(waiter, addr, Err(format!("cannot take {addr}: {reason}")), cx);
            } else {
                answer(waiter, addr, Err(format!("{addr} is just being released")), cx);
            }
            return None;
        }
        if dropping {
            answer(waiter, addr, Err(format!("cannot take {addr}: the lease has lapsed")), cx);
            return None;
        }
        if let Some(reason) = reason {
            answer(waiter, addr, Err(format!("cannot take {addr}: {reason}")), cx);
            return None;
        }
        let Some((best, best_refs)) = best_iface(&entry.public, &kernel, refs) else {
            answer(waiter, addr, Err(format!("cannot take {addr}: no interface has link")), cx);
            return None;
        };
        let best = best.to_owned();
        entry.owner = Some(me);
        entry.touched = cx.now;
        let (work, event) = match active {
            Some(iface) if entry.public.ifaces.contains(&iface) => {
                let here = refs.get(&iface).copied().unwrap_or(0);
                if kernel.link_up(&iface) && here <= best_refs + 1 {
                    // It is here and well. It is announced all the same: somebody else may have answered for it meanwhile.
                    cx.actions.push(announcement(&iface, addr, announce));
                    answer(waiter, addr, Ok(()), cx);
                    return None;
                }
                let event =
                    Event::UpdateIp { old: iface, new: best.clone(), addr, prefix: entry.public.prefix };
                (Work::Update { to: best.clone() }, event)
            }
            _ => {
                let event = Event::TakeIp { iface: best.clone(), addr, prefix: entry.public.prefix };
                (Work::Take { iface: best.clone(), why }, event)
            }
        };
        let id = cx.run_event(event, timeout);
        entry.seen = Seen::Unsure;
        entry.op = Some(Op { id, work, confirming: None, waiters: waiter.into_iter().collect() });
        ips.ops.insert(id, addr);
        Some(best)
    }

    /// Lets an address go and records who will have it.
    pub(super) fn release_ip(
        &mut self,
        addr: IpAddr,
        new_owner: Option<Pnn>,
        waiter: Option<(Pnn, u64)>,
        cx: &mut Cx,
    ) {
        let timeout = self.tunables.event_script_timeout();
        let iface = self.ips.map.get(&addr).and_then(|e| self.ips.active_iface(e)).map(str::to_owned);
        let places = self.ips.kernel.places(addr);
        // The mask that it has there, which may be of a former configuration.
        let prefix = places.iter().find(|p| Some(&p.iface) == iface.as_ref()).map(|p| p.prefix);
        let Some(entry) = self.ips.map.get_mut(&addr) else {
            answer(waiter, addr, Ok(()), cx);
            return;
        };
        // What we put there a moment ago may not have been told by the kernel yet.
        let iface = iface.or_else(|| entry.put_on.clone().filter(|_| entry.seen == Seen::Unsure));
        if let Some(op) = &mut entry.op {
            if op.work == Work::Release {
                entry.owner = new_owner;
                op.waiters.extend(waiter);
            } else {
                answer(waiter, addr, Err(format!("{addr} is just being taken")), cx);
            }
            return;
        }
        entry.owner = new_owner;
        entry.touched = cx.now;
        let Some(iface) = iface else {
            answer(waiter, addr, Ok(()), cx);
            return;
        };
        cx.actions.push(Action::StopAnnounce { addr });
        let prefix = prefix.unwrap_or(entry.public.prefix);
        let id = cx.run_event(Event::ReleaseIp { iface, addr, prefix }, timeout);
        entry.seen = Seen::Unsure;
        entry.op =
            Some(Op { id, work: Work::Release, confirming: None, waiters: waiter.into_iter().collect() });
        self.ips.ops.insert(id, addr);
    }

    /// Moves a held address to another interface of this node.
    pub(super) fn update_ip(&mut self, addr: IpAddr, from: &str, to: &str, cx: &mut Cx) {
        let timeout = self.tunables.event_script_timeout();
        let Some(entry) = self.ips.map.get_mut(&addr).filter(|e| e.op.is_none()) else { return };
        let (old, new) = (from.to_owned(), to.to_owned());
        let id = cx.run_event(Event::UpdateIp { old, new, addr, prefix: entry.public.prefix }, timeout);
        entry.touched = cx.now;
        entry.seen = Seen::Unsure;
        let work = Work::Update { to: to.to_owned() };
        entry.op = Some(Op { id, work, confirming: None, waiters: Vec::new() });
        self.ips.ops.insert(id, addr);
    }

    /// Everything that is here or counts as ours is let go, without waiting for a recmaster.
    pub(super) fn drop_all_ips(&mut self, why: &str, cx: &mut Cx) {
        let mine: Vec<IpAddr> = self
            .ips
            .map
            .values()
            .filter(|e| e.owner == Some(self.cfg.me) || !self.ips.kernel.places(e.public.addr).is_empty())
            .map(|e| e.public.addr)
            .collect();
        if mine.is_empty() {
            return;
        }
        cx.journal(Kind::Address, None, format!("dropping {} public address(es): {why}", mine.len()));
        for addr in mine {
            self.let_go(addr, cx);
        }
    }

    /// An address is let go without a recmaster's order, at once or when what is being done to it has ended.
    pub(super) fn let_go(&mut self, addr: IpAddr, cx: &mut Cx) {
        if let Some(entry) = self.ips.map.get_mut(&addr).filter(|e| e.busy()) {
            entry.owner = None;
        } else {
            self.release_ip(addr, None, None, cx);
        }
    }

    /// An event of an address ended. CTDB's rules: a hung takeip counts as success, a release is judged by the kernel alone.
    pub(super) fn on_ip_event(&mut self, op_id: u64, outcome: &EventOutcome, cx: &mut Cx) -> bool {
        let Some(addr) = self.ips.ops.remove(&op_id) else { return false };
        let announce = self.tunables.gratuitous_arp();
        let Some(entry) = self.ips.map.get_mut(&addr) else { return true };
        let Some(op) = entry.op.as_mut().filter(|op| op.id == op_id) else { return true };
        if !outcome.is_ok() {
            let text = format!("{addr}: {outcome}");
            cx.journal(Kind::Event, None, text.clone());
            cx.log(Level::Error, text);
        }
        entry.touched = cx.now;
        let result = match (&op.work, outcome) {
            (Work::Release, _) => {
                op.confirming = Some(cx.now);
                self.ips.ops.insert(op_id, addr);
                cx.actions.push(Action::Observe);
                return true;
            }
            (Work::Take { .. }, EventOutcome::Ok | EventOutcome::TimedOut { .. })
            | (Work::Update { .. }, EventOutcome::Ok) => Ok(()),
            (_, bad) => Err(format!("{addr}: {bad}")),
        };
        let Some(op) = entry.op.take() else { return true };
        let unwanted = entry.owner != Some(self.cfg.me);
        if let Work::Take { iface, .. } | Work::Update { to: iface } = &op.work {
            entry.put_on = Some(iface.clone());
        }
        if let (Work::Take { iface, .. } | Work::Update { to: iface }, Ok(()), false) =
            (&op.work, &result, unwanted)
        {
            cx.actions.push(announcement(iface, addr, announce));
        }
        let text = match (&op.work, &result) {
            (Work::Take { iface, why: Why::Run }, Ok(())) => Some(format!("took {addr} on {iface}")),
            (Work::Take { iface, why: Why::Repair }, Ok(())) => Some(format!("put {addr} back on {iface}")),
            (Work::Update { to }, Ok(())) => Some(format!("moved {addr} to {to}")),
            _ => None,
        };
        if let Some(text) = text {
            let repair = matches!(op.work, Work::Take { why: Why::Repair, .. });
            cx.journal(if repair { Kind::Repair } else { Kind::Address }, None, text);
        }
        let waiters = op.waiters;
        waiters.into_iter().for_each(|w| answer(Some(w), addr, result.clone(), cx));
        if unwanted {
            // It was dropped while it was being put there.
            let owner = self.ips.map.get(&addr).and_then(|e| e.owner);
            self.release_ip(addr, owner, None, cx);
        }
        self.renew_mask(addr, cx);
        true
    }

    /// A newer look at the kernel: releases whose event has ended are done, or have failed.
    pub(super) fn confirm_releases(&mut self, asked_at: Option<Mono>, cx: &mut Cx) {
        let kernel = Arc::clone(&self.ips.kernel);
        let mut done = Vec::new();
        // A notification may tell of the time before the operation: only a dump is proof.
        let working: BTreeSet<IpAddr> =
            if asked_at.is_some() { self.ips.ops.values().copied().collect() } else { BTreeSet::new() };
        for addr in &working {
            let Some(entry) = self.ips.map.get_mut(addr) else { continue };
            let Some(since) = entry.op.as_ref().and_then(|op| op.confirming) else { continue };
            if asked_at.is_none_or(|t| t < since) {
                continue;
            }
            let gone = kernel.places(*addr).is_empty();
            let Some(op) = entry.op.take() else { continue };
            self.ips.ops.remove(&op.id);
            entry.put_on = None;
            entry.touched = cx.now;
            let result = if gone {
                Ok(())
            } else {
                Err(format!("{addr} is still on {} after releaseip", kernel.places(*addr)[0].iface))
            };
            if gone {
                entry.remask &= entry.owner == Some(self.cfg.me);
            }
            done.push((*addr, op.waiters, result));
        }
        for (addr, waiters, result) in done {
            match &result {
                Ok(()) => cx.journal(Kind::Address, None, format!("released {addr}")),
                Err(e) => cx.log(Level::Error, e.clone()),
            }
            waiters.into_iter().for_each(|w| answer(Some(w), addr, result.clone(), cx));
            if result.is_ok() && self.ips.map.get_mut(&addr).is_some_and(|e| std::mem::take(&mut e.remask)) {
                self.take_ip(addr, Why::Run, None, cx);
            }
        }
        self.forget_gone(cx);
    }
}

fn answer(waiter: Option<(Pnn, u64)>, addr: IpAddr, result: Result<(), String>, cx: &mut Cx) {
    if let Some((to, req)) = waiter {
        cx.send(to, PeerMsg::IpAnswer { req, addr, result });
    }
}

fn announcement(iface: &str, addr: IpAddr, (count, interval): (u32, std::time::Duration)) -> Action {
    Action::Announce { iface: iface.to_owned(), addr, count, interval }
}
