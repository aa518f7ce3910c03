//! Faults at work, and the calm after them.

use super::Sim;
use super::daemon::{Datagram, Event};
use super::faults::{Fault, Memory, Role};
use super::node::{ADDRESSES, Inbound, Kernel};
use super::setup::LockChoice;
use recoverd::lease::{LeaseInput, LeaseMsg};
use recoverd::model::Epoch;

impl Sim {
    fn leader(&mut self) -> usize {
        let leading = |n: &super::node::Node| {
            let lease = n.lease.as_ref()?;
            let clocks = n.clocks(self.now, self.plan.world);
            lease.leading(clocks).then(|| lease.epoch())
        };
        let best = (0..self.nodes.len()).filter_map(|i| Some((leading(&self.nodes[i])?, i))).max();
        match best {
            Some((_, i)) => i,
            None => self.p.below(self.nodes.len() as u64) as usize,
        }
    }

    pub(super) fn choose(&mut self, role: Role) -> usize {
        let n = self.nodes.len();
        let leader = self.leader();
        let any = self.p.below(n as u64) as usize;
        match role {
            Role::Any => any,
            Role::Leader => leader,
            Role::Holder => {
                let holders: Vec<usize> = (0..n)
                    .filter(|i| *i != leader && self.nodes[*i].serving(self.now, self.plan.world) != 0)
                    .collect();
                self.last_holder = self.p.pick(&holders).copied().unwrap_or(any);
                self.last_holder
            }
            Role::Third => {
                let last = self.last_holder;
                let third: Vec<usize> = (0..n).filter(|i| *i != leader && *i != last).collect();
                self.p.pick(&third).copied().unwrap_or(any)
            }
            Role::M => self.cast[0],
            Role::X => self.cast[1],
            Role::Y => self.cast[2],
            Role::P => self.cast[3],
            Role::Q => self.cast[4],
            Role::Node(i) => i,
        }
    }

    fn cut_both(&mut self, a: usize, b: usize) {
        self.cut[a][b] = true;
        self.cut[b][a] = true;
    }

    fn separate(&mut self, part: impl Fn(usize) -> bool) {
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if part(a) != part(b) {
                    self.cut[a][b] = true;
                }
            }
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        self.note(|| format!("FAULT {fault:?}"));
        let n = self.nodes.len();
        let any = |s: &mut Self| s.p.below(n as u64) as usize;
        match fault {
            Fault::Partition => {
                let mask = self.p.next();
                self.separate(|i| mask >> i & 1 != 0);
            }
            Fault::OneWay => {
                let (a, b) = (any(self), any(self));
                self.cut[a][b] = a != b;
            }
            Fault::Link => {
                let (a, b) = (any(self), any(self));
                if a != b {
                    self.cut_both(a, b);
                }
            }
            Fault::Deaf { to } => {
                let a = any(self);
                for b in (0..n).filter(|b| *b != a) {
                    if to {
                        self.cut[b][a] = true;
                    } else {
                        self.cut[a][b] = true;
                    }
                }
            }
            Fault::LeaderHolder { one_way } => {
                let (l, x) = (self.leader(), self.choose(Role::Holder));
                if l != x {
                    let out = self.p.percent(50);
                    self.cut[l][x] = !one_way || out;
                    self.cut[x][l] = !one_way || !out;
                }
            }
            Fault::LeaderAndOne => {
                let (l, x) = (self.leader(), any(self));
                self.separate(|i| i == l || i == x);
            }
            Fault::LeaderAlone => {
                let l = self.leader();
                self.separate(|i| i == l);
            }
            Fault::HealNet => self.heal_net(),
            Fault::Pause { who, long, parked } => {
                let i = self.choose(who);
                self.pause(i, long, parked);
            }
            Fault::Crash { who, guard, host, down, memory } => {
                let i = self.choose(who);
                self.crash(i, guard, host, down, memory);
            }
            Fault::Stop { who, down } => {
                let i = self.choose(who);
                self.stop(i, down);
            }
            Fault::LockLoss => self.lose_lock(None),
            Fault::LockHang { all, long } => {
                let one = any(self);
                for i in 0..n {
                    if all || i == one {
                        self.store.hangs_until[i] = self.now + long;
                    }
                }
            }
            Fault::Move => {
                let (l, a) = (self.leader(), self.p.below(ADDRESSES as u64) as usize);
                self.nodes[l].giver.move_address(a);
            }
            Fault::Capable { who, yes } => {
                let i = self.choose(who);
                self.feed(i, Inbound::Lease(LeaseInput::Capable { yes }));
            }
            Fault::SlowTo { who, long } => {
                let i = self.choose(who);
                self.slow_to[i] = self.now + long;
            }
            Fault::Cast => {
                let (m, x) = (self.choose(Role::Leader), self.choose(Role::Holder));
                let mut others = (0..n).filter(|i| *i != m && *i != x);
                self.cast = [m, x, x, x, x];
                self.cast[2..].iter_mut().zip(&mut others).for_each(|(role, other)| *role = other);
            }
            Fault::Cut(a, b) => {
                let (a, b) = (self.choose(a), self.choose(b));
                self.cut[a][b] = a != b;
            }
            Fault::Mend(a, b) => {
                let (a, b) = (self.choose(a), self.choose(b));
                self.cut[a][b] = false;
            }
            Fault::Isolate(who) => {
                let who = self.choose(who);
                self.separate(|i| i == who);
            }
            Fault::LockTo(who) => {
                let who = self.choose(who);
                if self.store.queue.contains(&who) {
                    self.lose_lock(Some(who));
                }
            }
            Fault::HangFor { who, long } => {
                let i = self.choose(who);
                self.store.hangs_until[i] = self.now + long;
            }
            Fault::Meddle(m) => self.meddle(m),
            Fault::File(who) => {
                let i = self.choose(who);
                self.second_list(i);
            }
            Fault::Newcomer => self.newcomer(),
            Fault::Bury { who, host } => {
                let i = self.choose(who);
                self.bury(i, host);
            }
        }
    }

    pub(super) fn pause(&mut self, i: usize, long: u64, parked: bool) {
        if self.nodes[i].paused || self.nodes[i].lease.is_none() {
            return;
        }
        if parked {
            self.nodes[i].park_next = Some(long);
            return;
        }
        self.note(|| format!("node {i} freezes"));
        let life = self.nodes[i].life;
        self.nodes[i].paused = true;
        self.later(long, Event::Resume { node: i, life });
    }

    /// The host, or only its daemon and guard, dies and does not come back.
    pub(super) fn bury(&mut self, i: usize, host: bool) {
        self.nodes[i].absent = true;
        self.crash(i, false, host, 0, Memory::All);
    }

    fn crash(&mut self, i: usize, guard: bool, host: bool, down: u64, memory: Memory) {
        self.note(|| format!("node {i} crashes (guard {guard}, host {host})"));
        let session = self.nodes[i].lease.as_ref().and_then(recoverd::lease::Lease::session);
        let alive = self.nodes[i].lease.is_some();
        self.end_daemon(i);
        let n = &mut self.nodes[i];
        match memory {
            Memory::All => {}
            Memory::AllButLast => n.stored = n.stored_before,
            Memory::Nothing => n.stored = Epoch::NONE,
        }
        if host {
            n.boots += 1;
            n.kernel = Kernel::default();
            n.guarding = false;
        } else if guard && alive {
            n.guarding = true;
            let boots = n.boots;
            let late = self.p.percent(20);
            let d = if late { self.p.range(1000, 2 * self.frame.t) } else { self.p.range(500, 20_000) };
            self.later(d, Event::GuardActs { node: i, boots, session });
        }
        self.later(down, Event::Start { node: i });
    }

    /// The daemon is gone; its lock is freed at once or late.
    fn end_daemon(&mut self, i: usize) {
        let n = &mut self.nodes[i];
        n.lease = None;
        n.life += 1;
        n.paused = false;
        n.park_next = None;
        n.parked = None;
        n.backlog.clear();
        n.start_due = true;
        n.taking = None;
        self.store.queue.remove(&i);
        if let Some(who) = self.store.holder.filter(|(h, _)| *h == i) {
            let d = if self.p.percent(60) { 500 } else { self.p.range(500, 5 * self.frame.t) };
            self.later(d, Event::FreeLock { who });
        }
    }

    /// A clean stop: drop everything, say so, end.
    fn stop(&mut self, i: usize, down: u64) {
        if self.nodes[i].lease.is_none() || self.nodes[i].paused {
            return;
        }
        self.nodes[i].kernel = Kernel::default();
        let clocks = self.nodes[i].clocks(self.now, self.plan.world);
        let acts = self.nodes[i].lease.as_mut().map(|l| l.handle(LeaseInput::Leaving, clocks));
        for act in acts.into_iter().flatten() {
            match act {
                recoverd::lease::LeaseAction::Send { to, msg: msg @ LeaseMsg::Bye { .. } } => {
                    self.transmit(i, to.index(), Datagram::Lease(msg));
                }
                recoverd::lease::LeaseAction::Lock(order) => self.order_lock(i, order),
                _ => {}
            }
        }
        self.end_daemon(i);
        self.later(down, Event::Start { node: i });
    }

    /// The store takes the lock from its holder without telling.
    fn lose_lock(&mut self, to: Option<usize>) {
        let Some(who) = self.store.holder.take() else { return };
        if self.plan.lock == LockChoice::Helper {
            let d = self.p.below(self.frame.loss_time);
            self.later(d, Event::Answer { who, input: LeaseInput::LockLost });
        }
        self.hand_over_to(to);
    }

    fn heal_net(&mut self) {
        for row in &mut self.cut {
            row.fill(false);
        }
    }

    /// All faults stop.
    pub(super) fn calm_down(&mut self) {
        self.note(|| "CALM".into());
        self.calm = true;
        self.lists_agree();
        self.heal_net();
        self.meddling.clear();
        for i in 0..self.nodes.len() {
            self.store.hangs_until[i] = 0;
            self.slow_to[i] = 0;
            self.nodes[i].park_next = None;
            self.resume(i);
            self.start(i);
            self.feed(i, Inbound::Lease(LeaseInput::Capable { yes: true }));
        }
    }
}
