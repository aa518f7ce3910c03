//! What the unkind cluster offers to its daemons besides links and kernels: an event runner and the cluster lock.

use super::cluster::{Cluster, Item, MS, US};
use crate::action::LockAction;
use crate::input::{Input, LockInput};
use crate::model::*;
use std::time::Duration;

impl Cluster {
    pub(super) fn run_event(&mut self, n: u32, op: u64, event: Event, timeout: Duration) {
        self.note(|| format!("{n} event {op}: {event}"));
        let mut rules = std::mem::take(&mut self.rules);
        rules.event(n, self, op, &event);
        self.rules = rules;
        if event != Event::Monitor {
            let running = &self.hosts[n as usize].events;
            let monitors: Vec<u64> =
                running.iter().filter(|(_, e)| **e == Event::Monitor).map(|(o, _)| *o).collect();
            for monitor in monitors {
                self.hosts[n as usize].events.remove(&monitor);
                self.push(n, US(10), Item::Input(Input::EventCancelled { op: monitor }));
            }
        }
        self.hosts[n as usize].events.insert(op, event.clone());
        let (fail, hang, slow) = self.trouble.get(event.name()).copied().unwrap_or((0, 0, MS(2)));
        let script = "50.test".to_owned();
        let (outcome, effect, time) = if self.rng.percent(hang) {
            (EventOutcome::TimedOut { script }, self.rng.percent(50), timeout)
        } else if self.rng.percent(fail) {
            let time = self.rng.time(MS(1), slow);
            (EventOutcome::Failed { script, message: "no".into() }, self.rng.percent(50), time)
        } else {
            (EventOutcome::Ok, true, self.rng.time(MS(1), slow))
        };
        if event.addr().is_some() && !outcome.is_ok() {
            self.rules.trouble(self.now + time);
        }
        self.push(n, time, Item::EventEnd(op, event, outcome, effect));
    }

    /// What a script does to the kernel.
    pub(super) fn effect(&mut self, n: u32, event: &Event) {
        let put = |k: &mut KernelState, addr, iface: &str, prefix| {
            let places = k.addrs.entry(addr).or_default();
            if !places.iter().any(|p| p.iface == iface) {
                places.push(KernelAddr { iface: iface.to_owned(), prefix });
            }
        };
        match event.clone() {
            Event::TakeIp { iface, addr, prefix } => {
                self.kernel(n, |k| put(k, addr, &iface, prefix));
            }
            Event::ReleaseIp { iface, addr, .. } => {
                self.kernel(n, |k| k.addrs.entry(addr).or_default().retain(|p| p.iface != iface));
            }
            Event::UpdateIp { old, new, addr, prefix } => self.kernel(n, |k| {
                k.addrs.entry(addr).or_default().retain(|p| p.iface != old);
                put(k, addr, &new, prefix);
            }),
            _ => {}
        }
    }

    pub(super) fn on_lock(&mut self, n: u32, lock: LockAction) {
        self.note(|| format!("{n} lock: {lock:?}"));
        match lock {
            LockAction::Acquire => {
                let ticket = self.number();
                self.hosts[n as usize].ticket = Some(ticket);
                self.lock_queue.push((n, ticket));
                self.lock_grant();
            }
            LockAction::Release => {
                self.hosts[n as usize].ticket = None;
                self.lock_leave(n);
            }
            LockAction::Record(epoch) => {
                if let Some(ticket) = self.hosts[n as usize].ticket {
                    let delay = self.rng.time(US(100), MS(20));
                    self.push(n, delay, Item::Recorded(ticket, epoch));
                }
            }
        }
    }

    pub(super) fn lock_leave(&mut self, n: u32) {
        self.lock_queue.retain(|(x, _)| *x != n);
        if self.lock_holder.is_some_and(|(x, _)| x == n) {
            self.lock_holder = None;
        }
        self.lock_grant();
    }

    /// Somebody takes the lock away from its holder.
    pub(super) fn lock_lost(&mut self) {
        let Some((n, ticket)) = self.lock_holder.take() else { return };
        self.note(|| format!("{n} loses the lock"));
        self.push(n, MS(1), Item::LockLost(ticket));
        self.lock_grant();
    }

    fn lock_grant(&mut self) {
        if self.lock_holder.is_none() && !self.lock_queue.is_empty() {
            let i = self.rng.below(self.lock_queue.len() as u64) as usize;
            let (n, ticket) = self.lock_queue.remove(i);
            self.lock_holder = Some((n, ticket));
            let delay = if self.rng.percent(20) { MS(2000) } else { MS(10) };
            let delay = self.rng.time(US(500), delay);
            self.push(n, delay, Item::Granted(ticket));
        }
    }

    pub(super) fn lock_lost_seen(&mut self, n: u32, ticket: u64) -> Option<Input> {
        let ours = self.hosts[n as usize].ticket == Some(ticket);
        ours.then(|| Input::Lock(LockInput::Lost { why: "the lock file was replaced".into() }))
    }
}
