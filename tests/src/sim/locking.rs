//! The daemons and the lock store: orders, questions, answers, all of them late sometimes.

use super::Sim;
use super::daemon::Event;
use super::lock::{Holding, Question};
use super::node::Inbound;
use super::setup::LockChoice;
use recoverd::lease::{LeaseInput, LockOrder};

impl Sim {
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

    pub(super) fn store_answers(&mut self, i: usize, who: Holding, question: Question) {
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
        self.hand_over_to(None);
    }

    /// To that node, if it waits; else to any that does.
    pub(super) fn hand_over_to(&mut self, to: Option<usize>) {
        let p = &mut self.p;
        let wanted = |w: &[usize]| to.filter(|i| w.contains(i));
        let Some(who) = self.store.hand_over(|w| wanted(w).or_else(|| p.pick(w).copied())) else { return };
        self.nodes[who.0].taking = Some(who.1);
        let d = self.store_delay(who.0);
        self.later(d, Event::Acquire { who });
    }

    pub(super) fn acquired(&mut self, who: Holding) {
        let (i, helper) = (who.0, self.plan.lock == LockChoice::Helper);
        if self.nodes[i].taking != Some(who.1) {
            return;
        }
        let previous = if helper { None } else { self.store.record };
        self.feed(i, Inbound::Lease(LeaseInput::LockAcquired { previous }));
    }
}
