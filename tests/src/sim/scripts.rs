//! What a host does beside its daemon: dropping, take and release scripts that finish late, the guard.

use super::Sim;
use super::daemon::{Datagram, Event};
use super::node::{Inbound, Kernel, index};
use recoverd::lease::{Command, LeaseInput};
use recoverd::model::Session;

impl Sim {
    pub(super) fn lapsed(&mut self, i: usize, session: Option<Session>) {
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

    pub(super) fn drop_done(&mut self, i: usize, life: u32) {
        if self.nodes[i].life != life || self.nodes[i].lease.is_none() {
            return;
        }
        self.nodes[i].kernel.configured = 0;
        self.sessions += 1;
        let session = Session(self.sessions);
        self.feed(i, Inbound::Lease(LeaseInput::Dropped { session }));
    }

    pub(super) fn script(&mut self, i: usize, command: Command) {
        let (boots, life) = (self.nodes[i].boots, self.nodes[i].life);
        let late = !self.calm && self.p.percent(self.frame.slow_scripts);
        let d = if late { self.p.log_range(1000, 6 * self.frame.t) } else { self.p.range(200, 5000) };
        self.later(d, Event::Script { node: i, boots, life, command });
    }

    /// A script ends, perhaps long after the session or the daemon that began it.
    pub(super) fn script_ends(&mut self, i: usize, boots: u32, life: u32, c: Command) {
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

    pub(super) fn guard_acts(&mut self, i: usize, boots: u32, session: Option<Session>) {
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
}
