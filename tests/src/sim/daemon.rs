//! Daemons at work: inputs in, actions out, through a network that loses, doubles and delays, and scripts that finish late.

use super::Sim;
use super::invariants;
use super::lock::{Holding, Question};
use super::node::{Inbound, Kernel, index};
use super::setup::LockChoice;
use recoverd::lease::{Clocks, Command, Lease, LeaseAction, LeaseInput, LeaseMsg, LockOrder};
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
        if self.nodes[i].lease.is_some() || self.nodes[i].guarding || !self.nodes[i].start_due {
            return;
        }
        let config = self.frame.config(i, self.plan.lock);
        let n = &mut self.nodes[i];
        n.start_due = false;
        n.life += 1;
        n.lease = Some(Lease::with_rules(&config, self.plan.rules.clone()));
        n.epoch_seen = Epoch::NONE;
        n.giver = super::giver::Giver::default();
        n.wake_at = 0;
        let stored = n.stored;
        self.note(|| format!("node {i} starts"));
        self.feed(i, Inbound::Lease(LeaseInput::Start { stored, before: None }));
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
                LeaseAction::Remember { epoch } => self.nodes[i].stored = epoch,
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
        if !self.calm && self.p.percent(self.frame.dup) {
            let d = self.p.log_range(100, 3 * self.frame.t);
            self.later(d, Event::Deliver { from, to, what: what.clone() });
        }
        let slow = !self.calm && (self.p.percent(self.frame.slow) || self.slow_to[to] > self.now);
        let d = if slow { self.p.log_range(1000, 3 * self.frame.t) } else { self.p.range(100, 1500) };
        self.later(d, Event::Deliver { from, to, what });
    }

    fn lapsed(&mut self, i: usize, session: Option<Session>) {
        let n = &mut self.nodes[i];
        // The lease thread shuts the gate; the main thread drops the addresses and says so.
        n.kernel.gate_until = 0;
        n.kernel.held = 0;
        n.session = None;
        let life = n.life;
        if session.is_some() {
            self.lapses += 1;
        }
        let d = if self.p.percent(90) || self.calm {
            self.p.range(100, 5000)
        } else {
            self.p.range(100, self.frame.t)
        };
        self.later(d, Event::Drop { node: i, life });
    }

    fn drop_done(&mut self, i: usize, life: u32) {
        if self.nodes[i].life != life || self.nodes[i].lease.is_none() {
            return;
        }
        self.nodes[i].kernel.configured = 0;
        self.sessions += 1;
        let session = Session(self.sessions);
        self.feed(i, Inbound::Lease(LeaseInput::Dropped { session }));
    }

    fn script(&mut self, i: usize, command: Command) {
        let (boots, life) = (self.nodes[i].boots, self.nodes[i].life);
        let late = !self.calm && self.p.percent(self.frame.slow_scripts);
        let d = if late { self.p.log_range(1000, 6 * self.frame.t) } else { self.p.range(200, 5000) };
        self.later(d, Event::Script { node: i, boots, life, command });
    }

    /// A script ends, perhaps long after the session or the daemon that began it.
    fn script_ends(&mut self, i: usize, boots: u32, life: u32, c: Command) {
        let n = &mut self.nodes[i];
        if n.boots != boots {
            return;
        }
        let bit = 1 << index(c.addr);
        if c.take {
            n.kernel.configured |= bit;
        }
        let alive = n.life == life && !n.paused;
        let Some(lease) = n.lease.as_ref().filter(|l| alive && l.session() == Some(c.session)) else {
            return;
        };
        // A newer command for the address overtook this one: its end says nothing.
        let newest = !lease.newer_than(&c);
        if !newest || lease.epoch() != c.epoch && c.take {
            return;
        }
        let recmaster = c.epoch.pnn.index();
        if c.take {
            self.transmit(i, recmaster, Datagram::Taken(c));
        } else {
            // Late releases do no harm here: the upper layer looks at the kernel and repairs what they broke.
            self.nodes[i].kernel.held &= !bit;
            self.nodes[i].kernel.configured &= !bit;
            self.feed(i, Inbound::Lease(LeaseInput::LetGo { addr: c.addr }));
            self.transmit(i, recmaster, Datagram::Released(c));
        }
    }

    fn guard_acts(&mut self, i: usize, boots: u32, session: Option<Session>) {
        let n = &mut self.nodes[i];
        n.guarding = false;
        if n.boots == boots {
            n.kernel = Kernel::default();
            if let Some(s) = session {
                for to in 0..self.nodes.len() {
                    for _ in 0..3 {
                        if to != i {
                            self.transmit(i, to, Datagram::Fenced(s));
                        }
                    }
                }
            }
        }
        self.later(1000, Event::Start { node: i });
    }

    pub(super) fn order_lock(&mut self, i: usize, order: LockOrder) {
        let world = self.plan.world;
        // The taking that this daemon believes in; the store may have lost it.
        let taking = self.nodes[i].taking.map(|gen_no| (i, gen_no));
        let held = taking.filter(|who| self.store.holds(*who));
        match order {
            LockOrder::Queue => {
                // A daemon that queues anew closes its old descriptor, or ends its old helper.
                if held.is_some() {
                    self.store.holder = None;
                }
                self.nodes[i].taking = None;
                self.store.queue.insert(i);
                self.hand_over();
            }
            LockOrder::Leave => {
                self.store.queue.remove(&i);
                self.nodes[i].taking = None;
                if let Some(who) = held {
                    let d = self.p.range(100, 2000);
                    self.later(d, Event::FreeLock { who });
                }
            }
            LockOrder::Prove { at } => {
                let helper = self.plan.lock == LockChoice::Helper;
                let Some(who) = taking else { return };
                if helper {
                    // Alive counts as proof, until the helper notices.
                    let (life, input) = (self.nodes[i].life, LeaseInput::LockProved { asked_at: at });
                    self.later(100, Event::Feed { node: i, life, input });
                    return;
                }
                if !world.no_retake && self.store.holder.is_none() {
                    self.store.holder = Some(who);
                    self.store.queue.remove(&i);
                }
                self.ask_store(i, who, Question::Prove(at));
            }
            LockOrder::Record(record) => {
                if let Some(who) = taking {
                    self.ask_store(i, who, Question::Record(record));
                }
            }
        }
    }

    fn store_delay(&mut self, i: usize) -> u64 {
        let hang = self.store.hangs_until[i].saturating_sub(self.now);
        let slow = !self.calm && self.p.percent(self.frame.slow);
        hang + if slow { self.p.log_range(500, 2 * self.frame.t) } else { self.p.range(100, 2500) }
    }

    fn ask_store(&mut self, i: usize, who: Holding, question: Question) {
        let d = self.store_delay(i);
        self.later(d, Event::Ask { who, question });
    }

    fn store_answers(&mut self, i: usize, who: Holding, question: Question) {
        let mine = self.store.holds(who);
        let input = match question {
            Question::Prove(asked_at) if mine => LeaseInput::LockProved { asked_at },
            Question::Record(r) if mine || self.plan.lock == LockChoice::Helper => {
                if self.plan.lock != LockChoice::Helper {
                    self.store.record = Some(r);
                }
                LeaseInput::LockRecorded { epoch: r.epoch }
            }
            _ => LeaseInput::LockLost,
        };
        let d = self.store_delay(i);
        self.later(d, Event::Answer { who, input });
    }

    pub(super) fn hand_over(&mut self) {
        let p = &mut self.p;
        let Some(who) = self.store.hand_over(|w| p.pick(w).copied()) else { return };
        self.nodes[who.0].taking = Some(who.1);
        let d = self.store_delay(who.0);
        self.later(d, Event::Acquire { who });
    }

    fn acquired(&mut self, who: Holding) {
        let (i, helper) = (who.0, self.plan.lock == LockChoice::Helper);
        if self.nodes[i].taking != Some(who.1) {
            return;
        }
        let previous = if helper { None } else { self.store.record };
        self.feed(i, Inbound::Lease(LeaseInput::LockAcquired { previous }));
    }
}
