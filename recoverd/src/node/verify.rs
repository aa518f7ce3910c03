//! The local address check: does the kernel carry what the record says, and nothing else?
//!
//! Two ways, as DESIGN section 4 wants: a notification of the kernel is acted on at once (local repair of an address that somebody
//! removed, removal of one that is not ours), and every RecoverInterval the kernel is dumped and compared; what is wrong then goes to
//! the recmaster as a takeover request, CTDB's classical path. The check is skipped while a run is in flight, and when a run began or
//! ended after the dump was asked for.

use super::ips::{Entry, Seen, Why};
use super::{Cx, Node};
use crate::action::{Action, Kind, Level};
use crate::model::{KernelState, Mono, RunState};
use crate::msg::RunRequest;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// So many local repairs of one address within [`FIGHT_WINDOW`] are a fight with another manager: leave it to the slow loop.
const FIGHT_LIMIT: usize = 10;
/// See [`FIGHT_LIMIT`].
const FIGHT_WINDOW: Duration = Duration::from_secs(10);

/// When the check is due and what it found last.
#[derive(Debug)]
pub(super) struct Verify {
    next: Mono,
    /// The dump for a check has been asked for.
    asked: bool,
    /// What the last check found, so that the log says it once and not every second.
    found: Vec<String>,
}

impl Verify {
    pub(super) fn new(now: Mono) -> Self {
        Self { next: now, asked: false, found: Vec::new() }
    }
}

impl Node {
    /// Inactive and stopping nodes look too: nothing may stay on them.
    fn verifies(&self) -> bool {
        self.runstate >= RunState::Running
    }

    pub(super) fn verify_deadline(&self) -> Option<Mono> {
        (self.verifies() && !self.verify.asked).then_some(self.verify.next)
    }

    pub(super) fn due_verify(&mut self, cx: &mut Cx) {
        if self.verify_deadline().is_some_and(|at| at <= cx.now) {
            self.verify.asked = true;
            cx.actions.push(Action::Observe);
        }
    }

    pub(super) fn on_kernel(
        &mut self,
        state: Arc<KernelState>,
        asked_at: Option<Mono>,
        culprit: Option<&str>,
        cx: &mut Cx,
    ) {
        let state = self.ips.forced.apply(state);
        self.kernel_is(state, asked_at, culprit, cx);
    }

    /// What is known of the kernel now.
    pub(super) fn kernel_is(
        &mut self,
        state: Arc<KernelState>,
        asked_at: Option<Mono>,
        culprit: Option<&str>,
        cx: &mut Cx,
    ) {
        let old = std::mem::replace(&mut self.ips.kernel, state);
        self.confirm_releases(asked_at, cx);
        self.links_changed(&old, cx);
        self.react(asked_at, culprit, cx);
        if let Some(asked_at) = asked_at.filter(|_| self.verify.asked) {
            self.verify.asked = false;
            self.verify.next = cx.now + self.tunables.recover_interval();
            if self.verifies() && !self.controls.run_touches(asked_at) {
                self.check_local_ips(asked_at, cx);
            }
        }
        self.shutdown_progress(cx);
    }

    /// Links that came or went: other addresses can be hosted, held ones move to another interface of this node where one has link.
    fn links_changed(&mut self, old: &KernelState, cx: &mut Cx) {
        let names: Vec<String> = self.ips.ifaces().into_iter().map(str::to_owned).collect();
        let changed: Vec<&String> =
            names.iter().filter(|i| old.link_up(i) != self.ips.kernel.link_up(i)).collect();
        if changed.is_empty() {
            return;
        }
        for iface in &changed {
            let now = if self.ips.kernel.link_up(iface) { "has link" } else { "has lost its link" };
            cx.journal(Kind::Link, None, format!("interface {iface} {now}"));
            cx.log(Level::Notice, format!("interface {iface} {now}"));
        }
        let mut refs = self.ips.references();
        let mut moves = Vec::new();
        for entry in self.ips.map.values().filter(|e| e.owner == Some(self.cfg.me) && !e.busy()) {
            let Some(at) = self.ips.active_iface(entry).filter(|i| !self.ips.kernel.link_up(i)) else {
                continue;
            };
            let up = entry.public.ifaces.iter().filter(|i| self.ips.kernel.link_up(i));
            if let Some(to) = up.min_by_key(|i| refs.get(*i).copied().unwrap_or(0)) {
                *refs.entry(to.clone()).or_default() += 1;
                moves.push((entry.public.addr, at.to_owned(), to.clone()));
            }
        }
        for (addr, from, to) in moves {
            self.update_ip(addr, &from, &to, cx);
        }
        self.health.check_now(cx.now);
        self.hosting_changed(format!("a link of node {} changed", self.cfg.me), cx);
    }

    /// Acts at once on what changed against the record. Only changes that are certainly newer than our own last operation count: a
    /// notification may have been under way while we worked.
    fn react(&mut self, asked_at: Option<Mono>, culprit: Option<&str>, cx: &mut Cx) {
        let kernel = Arc::clone(&self.ips.kernel);
        let (mut missing, mut strays) = (Vec::new(), Vec::new());
        for (addr, entry) in &mut self.ips.map {
            let present = !kernel.places(*addr).is_empty();
            if entry.busy() {
                // The effect of our own work: what differs from it later is somebody else's.
                if present != entry.releasing() {
                    entry.seen = if present { Seen::Present } else { Seen::Absent };
                }
                continue;
            }
            let ours = entry.owner == Some(self.cfg.me);
            let fresh = asked_at.is_some_and(|t| t > entry.touched);
            let before = entry.seen;
            match (fresh, before, present == ours) {
                // As it should be: from here on every change is somebody else's.
                (_, _, true) => entry.seen = if present { Seen::Present } else { Seen::Absent },
                (false, Seen::Unsure, false) => {}
                _ => {
                    entry.seen = if present { Seen::Present } else { Seen::Absent };
                    if ours && !present && (before == Seen::Present) {
                        missing.push(*addr);
                    } else if !ours && present {
                        strays.push(*addr);
                    }
                }
            }
        }
        self.remove_strays(strays, culprit, cx);
        if self.tunables.local_repair() {
            self.repair(missing, culprit, cx);
        }
    }

    fn remove_strays(&mut self, strays: Vec<IpAddr>, culprit: Option<&str>, cx: &mut Cx) {
        for addr in strays {
            let Some(entry) = self.ips.map.get(&addr) else { continue };
            let owner = entry.owner;
            let iface = self.ips.active_iface(entry).unwrap_or("?").to_owned();
            let assigned = owner.map_or("to nobody".to_owned(), |o| format!("to node {o}"));
            let by = culprit.map_or(String::new(), |c| format!(", put there by {c}"));
            let text = format!(
                "public address {addr} is assigned {assigned} but is on {iface} here{by}: removing it"
            );
            cx.journal(Kind::Stray, None, text.clone());
            cx.log(Level::Warning, text);
            cx.actions.push(Action::AskHolder { iface, addr });
            self.release_ip(addr, owner, None, cx);
        }
    }

    fn repair(&mut self, missing: Vec<IpAddr>, culprit: Option<&str>, cx: &mut Cx) {
        for addr in missing {
            let Some(entry) = self.ips.map.get_mut(&addr) else { continue };
            while entry.repairs.front().is_some_and(|t| cx.now.since(*t) > FIGHT_WINDOW) {
                entry.repairs.pop_front();
            }
            if entry.repairs.len() >= FIGHT_LIMIT {
                cx.log(
                    Level::Error,
                    format!(
                        "public address {addr} was removed {FIGHT_LIMIT} times within {} s: another program manages \
                         it; from now on it is put back by takeover runs only",
                        FIGHT_WINDOW.as_secs()
                    ),
                );
                continue;
            }
            entry.repairs.push_back(cx.now);
            let entry = &self.ips.map[&addr];
            if self.unavailable(entry).is_some() {
                continue;
            }
            let by = culprit.map_or(String::new(), |c| format!(" by {c}"));
            let text = format!("public address {addr} was removed{by}: putting it back");
            cx.journal(Kind::Repair, None, text.clone());
            cx.log(Level::Warning, text);
            self.take_ip(addr, Why::Repair, None, cx);
        }
    }

    /// An address of ours that is on an interface where it should not be: one without link or not configured, or a second one.
    /// Returns that interface and the one where it should be.
    fn misplaced(&self, entry: &Entry) -> Option<(IpAddr, String, String)> {
        let (addr, kernel) = (entry.public.addr, &self.ips.kernel);
        let places = kernel.places(addr);
        let is_on = |i: &str| places.iter().any(|p| p.iface == i);
        if let ([place], true) = (places, entry.public.ifaces.len() == 1)
            && is_on(&entry.public.ifaces[0])
            && kernel.link_up(&place.iface)
        {
            return None;
        }
        let refs = self.ips.references();
        let good = entry.public.ifaces.iter().filter(|i| kernel.link_up(i));
        let to = good.min_by_key(|i| (!is_on(i), refs.get(*i).copied().unwrap_or(0)))?;
        let from = places.iter().find(|p| p.iface != *to)?;
        Some((addr, from.iface.clone(), to.clone()))
    }

    /// The check of the recovery loop, on a dump.
    fn check_local_ips(&mut self, asked_at: Mono, cx: &mut Cx) {
        let mut found = Vec::new();
        let (mut strays, mut misplaced) = (Vec::new(), Vec::new());
        for (addr, entry) in &self.ips.map {
            if entry.busy() || entry.touched >= asked_at {
                continue;
            }
            let present = !self.ips.kernel.places(*addr).is_empty();
            let can = self.unavailable(entry).is_none();
            match entry.owner {
                Some(owner) if owner == self.cfg.me && !present && can => {
                    found.push(format!("Public address {addr} is missing and we should serve this ip"));
                }
                Some(owner) if owner == self.cfg.me => misplaced.extend(self.misplaced(entry)),
                _ if present => strays.push(*addr),
                // Before the first run of an epoch has told who owns what, nothing follows from not knowing it.
                None if can && self.leader.first_run_done && !self.tunables.no_ip_takeover() => {
                    found.push(format!("Public address {addr} is not assigned and we could serve this ip"));
                }
                _ => {}
            }
        }
        self.remove_strays(strays, None, cx);
        for (addr, from, to) in misplaced {
            self.update_ip(addr, &from, &to, cx);
        }
        if found.is_empty() {
            self.verify.found.clear();
            return;
        }
        if found != self.verify.found {
            for text in &found {
                cx.log(Level::Notice, text.clone());
            }
            self.verify.found.clone_from(&found);
        }
        if !self.requests.verify_pending() {
            let more =
                if found.len() > 1 { format!(" (and {} more)", found.len() - 1) } else { String::new() };
            let cause = format!("node {}: {}{more}", self.cfg.me, found[0]);
            self.request_verify_run(RunRequest { cause, ..RunRequest::default() }, cx);
        }
    }
}
