//! How time passes in the unkind cluster: what happens next, who is fed with it, and how its actions are performed.

use super::cluster::{Cluster, Item, US, pair};
use crate::action::Action;
use crate::input::{Input, LockInput};
use crate::model::*;
use std::sync::Arc;
use std::time::Duration;

impl Cluster {
    /// Lets time pass.
    pub(super) fn run(&mut self, d: Duration) {
        let end = self.now + d;
        loop {
            let now = self.now;
            let tick = (0u32..)
                .zip(&self.hosts)
                .filter_map(|(n, h)| h.deadline.map(|t| (t.max(h.frozen).max(now), n)))
                .min();
            let queued = self.queue.keys().next().copied();
            match (queued, tick) {
                (Some(key), tick) if key.0 <= end && tick.is_none_or(|(t, _)| key.0 <= t) => {
                    self.now = key.0;
                    let Some((n, life, item)) = self.queue.remove(&key) else { continue };
                    self.happen(n, life, item);
                }
                (_, Some((t, n))) if t <= end => {
                    self.now = t;
                    self.feed(n, Input::Tick);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn happen(&mut self, n: u32, life: u64, item: Item) {
        let host = &mut self.hosts[n as usize];
        if host.life != life {
            return;
        }
        if host.frozen > self.now {
            let delay = host.frozen.since(self.now);
            // Scripts and kernel are not frozen.
            let item = match item {
                Item::EventEnd(op, event, outcome, true) => {
                    self.effect(n, &event);
                    Item::EventEnd(op, event, outcome, false)
                }
                item => item,
            };
            return self.push(n, delay, item);
        }
        match item {
            Item::Input(input) => self.feed(n, input),
            Item::PeerUp(p, link) => {
                host.links.insert(p, link);
                let session = self.hosts[p as usize].cfg.session;
                self.feed(n, Input::PeerUp { pnn: Pnn(p), session });
            }
            Item::PeerDown(p) => {
                if host.links.remove(&p).is_some() {
                    self.feed(n, Input::PeerDown { pnn: Pnn(p), why: "connection reset by peer".into() });
                }
            }
            Item::Msg(from, link, msg) => {
                if host.links.get(&from) == Some(&link) {
                    self.feed(n, Input::Peer { from: Pnn(from), msg });
                }
            }
            Item::Dump(asked_at) => {
                let state = Arc::new(host.kernel.clone());
                host.dumping = false;
                let again = std::mem::take(&mut host.dump_again);
                let delay = self.rng.time(US(50), self.delay);
                let input = Input::Kernel { state, asked_at: Some(asked_at), culprit: None };
                self.push(n, delay, Item::Input(input));
                if again {
                    self.perform(n, Action::Observe);
                }
            }
            Item::EventEnd(op, event, outcome, effect) => {
                if effect {
                    self.effect(n, &event);
                }
                if self.hosts[n as usize].events.remove(&op).is_some() {
                    self.feed(n, Input::EventDone { op, outcome });
                }
            }
            Item::Granted(ticket) => {
                if host.ticket == Some(ticket) && self.lock_holder == Some((n, ticket)) {
                    let previous = self.lock_record;
                    self.feed(n, Input::Lock(LockInput::Acquired { previous }));
                }
            }
            Item::Recorded(ticket, epoch) => {
                if host.ticket == Some(ticket) && self.lock_holder == Some((n, ticket)) {
                    self.lock_record = Some(epoch);
                    self.feed(n, Input::Lock(LockInput::Recorded { epoch }));
                }
            }
            Item::LockLost(ticket) => {
                if let Some(input) = self.lock_lost_seen(n, ticket) {
                    self.feed(n, input);
                }
            }
            Item::Sweep => self.kernel(n, |k| k.addrs.clear()),
        }
    }

    fn feed(&mut self, n: u32, input: Input) {
        let now = self.now;
        let Some(node) = &mut self.hosts[n as usize].node else { return };
        let told = self.trace.is_some().then(|| format!("{input:?}"));
        let actions = node.handle(input, now);
        let deadline = node.next_deadline();
        self.hosts[n as usize].deadline = deadline;
        if let Some(told) = told.filter(|t| !t.contains("Tick") && !t.contains("State(")) {
            self.note(|| format!("{n} <- {}", told.chars().take(400).collect::<String>()));
        }
        self.rules.fed(n, deadline, now);
        for action in actions {
            self.perform(n, action);
        }
        self.rules.leaders(n, self.hosts[n as usize].node.as_ref(), self.hosts[n as usize].life);
    }

    fn perform(&mut self, n: u32, action: Action) {
        match action {
            Action::Send { to, msg } => {
                let Some(&link) = self.hosts[n as usize].links.get(&to.0) else { return };
                if !self.cut.contains(&pair(n, to.0)) && self.hosts[to.index()].node.is_some() {
                    self.push_in_order(n, to.0, Item::Msg(n, link, msg));
                }
            }
            Action::DropPeer { pnn } => {
                self.hosts[n as usize].links.remove(&pnn.0);
                self.rules.disturbed(self.now);
                if !self.cut.contains(&pair(n, pnn.0)) && self.hosts[pnn.index()].node.is_some() {
                    self.push_in_order(n, pnn.0, Item::PeerDown(n));
                    self.dial(n, pnn.0);
                }
            }
            Action::RunEvent { op, event, timeout } => self.run_event(n, op, event, timeout),
            Action::Observe => {
                let delay = self.rng.time(US(100), self.delay);
                let host = &mut self.hosts[n as usize];
                if std::mem::replace(&mut host.dumping, true) {
                    host.dump_again = true;
                } else {
                    self.push(n, delay, Item::Dump(self.now));
                }
            }
            Action::Lock(lock) => self.on_lock(n, lock),
            Action::Lease(_) => {}
            Action::Reply { id, reply } => {
                self.note(|| format!("{n} reply {id}: {reply:?}"));
                self.rules.replied(id);
            }
            Action::Persist(p) => self.hosts[n as usize].cfg.persistent = p,
            Action::Journal(entry) => {
                self.note(|| format!("{n} journal: {}", entry.text));
                self.rules.journal(n, &entry, self.now);
            }
            Action::Log { text, .. } => self.note(|| format!("{n} log: {text}")),
            Action::Exit { code, why } => {
                self.note(|| format!("node {n} exits with {code}: {why}"));
                self.gone(n);
            }
            Action::Announce { .. }
            | Action::AskHolder { .. }
            | Action::StopAnnounce { .. }
            | Action::RunSeen(_)
            | Action::PublicAddresses { .. } => {}
        }
    }
}
