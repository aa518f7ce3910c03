//! Daemons at work: inputs in, actions out, through a network that loses, doubles and delays.

use super::Sim;
use super::invariants;
use super::lock::{Holding, Question};
use super::node::{Inbound, index};
use recoverd::lease::{Clocks, Command, Lease, LeaseAction, LeaseInput, LeaseMsg};
use recoverd::model::{Epoch, Pnn, Session};

/// What is on the network.
#[derive(Debug, Clone)]
pub(super) enum Datagram {
    Lease(LeaseMsg),
    Command(Command),
    Taken(Command),
    Released(Command),
    Fenced(Session),
}

/// What happens next.
#[derive(Debug)]
pub(super) enum Event {
    Deliver {
        from: usize,
        to: usize,
        what: Datagram,
    },
    Wake {
        node: usize,
        life: u32,
    },
    Feed {
        node: usize,
        life: u32,
        input: LeaseInput,
    },
    Resume {
        node: usize,
        life: u32,
    },
    Drop {
        node: usize,
        life: u32,
    },
    /// A take or release script ends.
    Script {
        node: usize,
        boots: u32,
        life: u32,
        command: Command,
    },
    GuardActs {
        node: usize,
        boots: u32,
        session: Option<Session>,
    },
    Ask {
        who: Holding,
        question: Question,
    },
    Acquire {
        who: Holding,
    },
    /// The store, or the helper, tells the daemon of this taking.
    Answer {
        who: Holding,
        input: LeaseInput,
    },
    FreeLock {
        who: Holding,
    },
    Start {
        node: usize,
    },
    Strike {
        index: usize,
    },
    Calm,
}

impl Sim {
    pub(super) fn dispatch(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, what } => self.deliver(from, to, what),
            Event::Wake { node, life } => {
                if self.nodes[node].life == life && self.now >= self.nodes[node].wake_at {
                    self.nodes[node].wake_at = 0;
                    if !self.nodes[node].paused {
                        self.feed(node, Inbound::Lease(LeaseInput::Tick));
                    }
                }
            }
            Event::Feed { node, life, input } => {
                if self.nodes[node].life == life {
                    self.feed(node, Inbound::Lease(input));
                }
            }
            Event::Resume { node, life } => {
                if self.nodes[node].life == life {
                    self.resume(node);
                }
            }
            Event::Drop { node, life } => self.drop_done(node, life),
            Event::Script { node, boots, life, command } => self.script_ends(node, boots, life, command),
            Event::GuardActs { node, boots, session } => self.guard_acts(node, boots, session),
            Event::Ask { who, question } => self.store_answers(who.0, who, question),
            Event::Acquire { who } => self.acquired(who),
            Event::Answer { who, input } => {
                if self.nodes[who.0].taking == Some(who.1) {
                    self.feed(who.0, Inbound::Lease(input));
                }
            }
            Event::FreeLock { who } => {
                if self.store.holds(who) {
                    self.store.holder = None;
                    self.hand_over();
                }
            }
            Event::Start { node } => self.start(node),
            Event::Strike { index } => {
                if !self.calm {
                    let fault = self.schedule[index].1;
                    self.strike(fault);
                }
            }
            Event::Calm => self.calm_down(),
        }
    }

    pub(super) fn start(&mut self, i: usize) {
        let n = &self.nodes[i];
        if n.lease.is_some() || n.guarding || !n.start_due || n.absent {
            return;
        }
        let config = self.frame.config(i, n.file, self.plan.lock);
        let before = self.list_before(i);
        let n = &mut self.nodes[i];
        n.start_due = false;
        n.life += 1;
        n.lease = Some(Lease::with_rules(&config, self.plan.rules.clone()));
        n.epoch_seen = Epoch::NONE;
        n.giver = super::giver::Giver::default();
        n.wake_at = 0;
        let stored = n.stored;
        self.note(|| format!("node {i} starts"));
        self.feed(i, Inbound::Lease(LeaseInput::Start { stored, before }));
    }

    fn deliver(&mut self, from: usize, to: usize, what: Datagram) {
        if self.cut[from][to] {
            return;
        }
        let pnn = Pnn(from as u32);
        let input = match what {
            Datagram::Lease(msg) => LeaseInput::Msg { from: pnn, msg },
            Datagram::Command(c) => LeaseInput::Command(c),
            Datagram::Taken(command) => {
                self.feed(to, Inbound::Taken { from: pnn, command });
                return;
            }
            Datagram::Released(c) => LeaseInput::Released { from: pnn, command: c },
            Datagram::Fenced(session) => LeaseInput::GuardReport { pnn, session },
        };
        self.feed(to, Inbound::Lease(input));
    }

    pub(super) fn feed(&mut self, i: usize, input: Inbound) {
        if self.nodes[i].lease.is_none() {
            return;
        }
        if self.nodes[i].paused {
            self.nodes[i].backlog.push_back(input);
            return;
        }
        let clocks = self.nodes[i].clocks(self.now, self.plan.world);
        let acts = match input {
            Inbound::Lease(input) => {
                let Some(lease) = &mut self.nodes[i].lease else { return };
                lease.handle(input, clocks)
            }
            Inbound::Taken { from, command } => {
                self.nodes[i].giver.taken(from, &command, index(command.addr));
                return;
            }
        };
        if let Some(long) = self.nodes[i].park_next.take()
            && !acts.is_empty()
        {
            // Frozen between deciding and acting.
            let life = self.nodes[i].life;
            self.nodes[i].parked = Some((clocks, acts));
            self.nodes[i].paused = true;
            self.later(long, Event::Resume { node: i, life });
            return;
        }
        self.perform(i, acts, clocks);
        let r = invariants::epoch_rises(&mut self.nodes[i], i);
        self.broken(r);
        self.give(i, clocks);
        self.schedule_wake(i, clocks);
    }

    fn give(&mut self, i: usize, clocks: Clocks) {
        let (at, t, count) = (self.now, self.frame.t, self.nodes.len());
        let n = &mut self.nodes[i];
        let Some(lease) = &mut n.lease else { return };
        let wishes = n.giver.wishes(lease, clocks, at, t, count, &mut self.p);
        for w in wishes {
            let Some(lease) = &mut self.nodes[i].lease else { return };
            let acts = lease.handle(w, clocks);
            self.perform(i, acts, clocks);
        }
    }

    fn schedule_wake(&mut self, i: usize, clocks: Clocks) {
        let n = &self.nodes[i];
        let Some(lease) = &n.lease else { return };
        let fastest = n.rates.boot.max(n.rates.raw);
        let due = lease.due_in(clocks).saturating_mul(1_000_000) / fastest + 1;
        let at = self.now + due;
        if n.wake_at <= self.now || at < n.wake_at {
            let life = n.life;
            self.nodes[i].wake_at = at;
            self.later(due, Event::Wake { node: i, life });
        }
    }

    pub(super) fn resume(&mut self, i: usize) {
        if !self.nodes[i].paused {
            return;
        }
        self.note(|| format!("node {i} resumes"));
        self.nodes[i].paused = false;
        if let Some((clocks, acts)) = self.nodes[i].parked.take() {
            self.perform(i, acts, clocks);
            self.check();
        }
        let mut backlog = std::mem::take(&mut self.nodes[i].backlog);
        while let Some(input) = backlog.pop_front() {
            self.feed(i, input);
            self.check();
            if self.nodes[i].paused {
                self.nodes[i].backlog.append(&mut backlog);
            }
        }
        self.feed(i, Inbound::Lease(LeaseInput::Tick));
    }

    /// `decided`: when the machine decided; acting may come later.
    fn perform(&mut self, i: usize, acts: Vec<LeaseAction>, decided: Clocks) {
        for act in acts {
            if self.plan.trace && !matches!(act, LeaseAction::GateUntil { .. } | LeaseAction::Denied { .. }) {
                let text = format!("node {i} {act:?}");
                self.note(|| text);
            }
            match act {
                LeaseAction::Send { to, msg } => self.transmit(i, to.index(), Datagram::Lease(msg)),
                LeaseAction::GateUntil { deadline, .. } => {
                    let boot = self.nodes[i].boot(self.now);
                    let left = deadline.boot.0.saturating_sub(decided.boot.0);
                    let until = if self.plan.world.anchored { deadline.boot.0 } else { boot + left };
                    self.nodes[i].kernel.gate_until = until;
                    self.nodes[i].session = self.nodes[i].lease.as_ref().and_then(Lease::session);
                }
                LeaseAction::Lapsed { session } => self.lapsed(i, session),
                LeaseAction::Lock(order) => self.order_lock(i, order),
                LeaseAction::Remember { epoch } => {
                    let n = &mut self.nodes[i];
                    n.stored_before = std::mem::replace(&mut n.stored, epoch);
                }
                LeaseAction::Command { to, command } => {
                    let to = to.index();
                    let r = invariants::released_before(&self.nodes, to, &command, self.now, self.plan.world);
                    self.broken(r);
                    self.nodes[i].giver.sent(&command, index(command.addr));
                    self.transmit(i, to, Datagram::Command(command));
                    if !command.take && !self.plan.world.release_answered {
                        let (life, from) = (self.nodes[i].life, Pnn(to as u32));
                        let input = LeaseInput::Released { from, command };
                        self.later(1, Event::Feed { node: i, life, input });
                    }
                }
                LeaseAction::Take(c) => {
                    self.nodes[i].kernel.held |= 1 << index(c.addr);
                    self.script(i, c);
                }
                LeaseAction::Release(c) => self.script(i, c),
                LeaseAction::Leader { .. }
                | LeaseAction::Leading { .. }
                | LeaseAction::NotLeading { .. }
                | LeaseAction::Joined { .. }
                | LeaseAction::Out { .. }
                | LeaseAction::AllAccounted
                | LeaseAction::Denied { .. }
                | LeaseAction::Journal { .. } => {}
            }
        }
    }

    pub(super) fn transmit(&mut self, from: usize, to: usize, what: Datagram) {
        if from == to {
            let d = self.p.range(5, 50);
            self.later(d, Event::Deliver { from, to, what });
            return;
        }
        if self.cut[from][to] || (!self.calm && self.p.percent(self.frame.loss)) {
            return;
        }
        if self.meddled(from, to, &what) {
            return;
        }
        if !self.calm && self.p.percent(self.frame.dup) {
            let d = self.p.log_range(100, 3 * self.frame.t);
            self.later(d, Event::Deliver { from, to, what: what.clone() });
        }
        let slow = !self.calm && (self.p.percent(self.frame.slow) || self.slow_to[to] > self.now);
        let d = if slow { self.p.log_range(1000, 3 * self.frame.t) } else { self.p.range(100, 1500) };
        self.later(d, Event::Deliver { from, to, what });
    }
}
