//! The director as one machine: checkers, services, drains and reloads. `ctdbd` performs what it asks for and tells it what came of it.
//!
//! It owns the configuration and one checker for each check (a virtual server of a group has one set of checkers, however many kernel
//! services it stands for). A reload keeps the checker of every check that did not change, with its history, and the health of every
//! real server that stays: nothing goes down or comes up because a file was read again (R1-4). Pure: time and the seed are arguments.

mod reload;
mod view;

pub use view::{CheckView, ServerView, ServiceView};

use crate::checker::{self, Checker, ProbeResult, RealState, combine};
use crate::config::check_types::Check;
use crate::config::{Config, VirtualServer};
use crate::drain::{Connections, Drain, Drains};
use crate::model::{DestId, DestSettings, ServiceId, Table};
use crate::service::{Event, ServiceState};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Number of a checker; never used twice while the director lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckerId(pub u64);

/// What the director is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Time has passed: due when [`Director::next_deadline`] is.
    Tick,
    /// A probe has ended.
    Result {
        /// Whose.
        checker: CheckerId,
        /// Its number.
        probe: u64,
        /// How.
        result: ProbeResult,
    },
    /// The task of a probe has ended without a result.
    Died {
        /// Whose.
        checker: CheckerId,
        /// Its number.
        probe: u64,
        /// Why.
        why: String,
    },
    /// The addresses that are on this node now, all of them (for `ha_suspend`).
    Addresses(BTreeSet<IpAddr>),
}

/// What the director wants done. After any [`Action::Log`] or [`Action::Happened`], after every reload and drain, and when a drain's
/// deadline has come: reconcile with [`Director::desired`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Probe.
    Probe {
        /// Comes back with the result.
        checker: CheckerId,
        /// Comes back with the result.
        probe: u64,
        /// What to do, with all its parameters.
        check: Box<Check>,
    },
    /// End a probe; its result is not wanted any more.
    Abort {
        /// Whose.
        checker: CheckerId,
        /// Its number.
        probe: u64,
    },
    /// A line for the log: a check's state has changed, or it failed and is tried again.
    Log {
        /// `virtual server 192.0.2.1 80, real server 10.0.0.1:80, TCP_CHECK`.
        object: String,
        /// In words.
        text: String,
    },
    /// A server or a quorum went up or down; run the operator's program, when there is one.
    Happened(Event),
}

/// A checker and where it belongs.
#[derive(Debug, Clone)]
struct Slot {
    checker: Checker,
    /// Index of the virtual server.
    vs: usize,
    /// Name of the real server.
    real: String,
    check: Check,
}

/// Checkers by virtual server and real server, in the order of the configuration.
type Layout = Vec<Vec<Vec<CheckerId>>>;

/// The machine.
#[derive(Debug, Clone)]
pub struct Director {
    config: Config,
    seed: u64,
    last_id: u64,
    slots: BTreeMap<CheckerId, Slot>,
    layout: Layout,
    /// One for each virtual server, in order.
    states: Vec<ServiceState>,
    addresses: Option<BTreeSet<IpAddr>>,
    drains: Drains,
    owned: BTreeSet<ServiceId>,
}

impl Director {
    /// A director at its start, with nothing configured; [`Director::reload`] gives it its configuration. `seed` scatters the first
    /// probes; `owned` are the services that an earlier director left in the kernel, which this one may remove.
    #[must_use]
    pub fn new(seed: u64, owned: BTreeSet<ServiceId>) -> Self {
        Self {
            config: Config::default(),
            seed,
            last_id: 0,
            slots: BTreeMap::new(),
            layout: Vec::new(),
            states: Vec::new(),
            addresses: None,
            drains: Drains::default(),
            owned,
        }
    }

    /// Takes a fact.
    pub fn handle(&mut self, fact: Fact, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        let (who, input) = match fact {
            Fact::Tick => {
                let due = |s: &Slot| s.checker.next_deadline().is_some_and(|t| t <= now);
                (self.slots.iter().filter(|(_, s)| due(s)).map(|(id, _)| *id).collect(), checker::Input::Tick)
            }
            Fact::Result { checker, probe, result } => {
                (vec![checker], checker::Input::Result { probe, result })
            }
            Fact::Died { checker, probe, why } => (vec![checker], checker::Input::Died { probe, why }),
            Fact::Addresses(addresses) => {
                self.addresses = Some(addresses);
                self.suspend(now, &mut actions);
                return actions;
            }
        };
        let mut touched = BTreeSet::new();
        for id in who {
            self.feed(id, input.clone(), now, &mut actions);
            touched.extend(self.slots.get(&id).map(|s| s.vs));
        }
        for vs in touched {
            self.settle(vs, &mut actions);
        }
        actions
    }

    /// `omega`: what to run when the director stops. Probes are ended by dropping their tasks.
    #[must_use]
    pub fn stop(&self) -> Vec<Action> {
        let all = self.config.virtual_servers.iter().zip(&self.states);
        all.flat_map(|(vs, state)| state.stop(vs)).map(Action::Happened).collect()
    }

    /// The table that is wanted now, drains laid over it. `actual` and `connections` are what the kernel has.
    pub fn desired(&mut self, actual: &Table, connections: &Connections, now: Duration) -> Table {
        let mut table = self.healthy();
        self.drains.lay_over(&mut table, actual, connections, now);
        // Ours is what we want and what we put there; once it is gone, one that appears under its name is another's.
        self.owned.retain(|id| actual.services.contains_key(id));
        self.owned.extend(table.services.keys());
        table
    }

    /// Services that are ours: for [`crate::diff::diff`], and to be remembered for the next start.
    #[must_use]
    pub fn owned(&self) -> &BTreeSet<ServiceId> {
        &self.owned
    }

    /// When it needs a tick, or when a drain ends; none when nothing is to happen by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.slots.values().filter_map(|s| s.checker.next_deadline()).chain(self.drains.next_deadline()).min()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// An operator drains a configured destination until `deadline`; false when no service has it.
    pub fn drain(&mut self, service: ServiceId, dest: DestId, deadline: Duration) -> bool {
        let Some(settings) = self.settings_of(service, dest) else { return false };
        self.drains.start(service, dest, settings, deadline);
        true
    }

    /// A drain that an earlier director had begun goes on, its deadline by this one's clock; false when there is nothing to drain any
    /// more: a server that an operator had drained is not configured now, or one that had left the configuration is back in it.
    pub fn restore_drain(&mut self, service: ServiceId, dest: DestId, drain: Drain) -> bool {
        let known = self.config.virtual_servers.iter().any(|vs| vs.services.contains_key(&service));
        let drain = match (self.settings_of(service, dest), drain.by_operator) {
            (Some(settings), true) => Drain { settings, ..drain },
            (None, false) if known => drain,
            (Some(_), false) | (None, _) => return false,
        };
        self.drains.restore(service, dest, drain);
        true
    }

    /// What a configured destination is drained with; none when no service has it.
    fn settings_of(&self, service: ServiceId, dest: DestId) -> Option<DestSettings> {
        let of = self.config.virtual_servers.iter().filter(|vs| vs.services.contains_key(&service));
        let real = of.flat_map(|vs| &vs.real_servers).find(|r| r.dest(&service) == dest)?;
        Some(DestSettings { weight: 0, forward: real.forward, upper: real.upper, lower: real.lower })
    }

    /// An operator takes a destination back into service; false when it was not drained.
    pub fn undrain(&mut self, service: ServiceId, dest: DestId) -> bool {
        self.drains.undrain(service, dest)
    }

    /// Destinations on their way out.
    #[must_use]
    pub fn drains(&self) -> &Drains {
        &self.drains
    }

    /// What health alone asks for.
    fn healthy(&self) -> Table {
        let all = self.config.virtual_servers.iter().enumerate().zip(&self.states);
        let services = all.flat_map(|((n, vs), state)| state.desired(vs, &self.health(n, vs))).collect();
        Table { services }
    }

    /// The health of the real servers of one virtual server.
    fn health(&self, vs: usize, of: &VirtualServer) -> Vec<RealState> {
        let real = of.real_servers.iter().zip(&self.layout[vs]);
        real.map(|(real, ids)| {
            combine(real.weight, ids.iter().filter_map(|id| self.slots.get(id)).map(|s| &s.checker))
        })
        .collect()
    }

    fn feed(&mut self, id: CheckerId, input: checker::Input, now: Duration, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        for output in slot.checker.handle(input, now) {
            let text = match output {
                checker::Output::Start { probe } => {
                    actions.push(Action::Probe { checker: id, probe, check: Box::new(slot.check.clone()) });
                    continue;
                }
                checker::Output::Abort { probe } => {
                    actions.push(Action::Abort { checker: id, probe });
                    continue;
                }
                checker::Output::Set { state, reason } => {
                    format!("{}: {reason}", format!("{state:?}").to_lowercase())
                }
                checker::Output::Failed { reason, times } => {
                    format!("failed {times} of {}: {reason}", slot.check.timing.retry + 1)
                }
            };
            let vs = &self.config.virtual_servers[slot.vs].name;
            let object =
                format!("virtual server {vs}, real server {}, {}", slot.real, slot.check.kind.name());
            actions.push(Action::Log { object, text });
        }
    }

    /// `ha_suspend`: checks rest while none of their service's addresses is here. Marks have no address and never rest.
    fn suspend(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let Some(here) = self.addresses.clone() else { return };
        let rests: Vec<bool> = self
            .config
            .virtual_servers
            .iter()
            .map(|vs| {
                vs.ha_suspend && vs.services.keys().all(|id| id.vip().is_some_and(|vip| !here.contains(&vip)))
            })
            .collect();
        let all: Vec<(CheckerId, bool)> = self.slots.iter().map(|(id, slot)| (*id, rests[slot.vs])).collect();
        for (id, rests) in all {
            self.feed(id, checker::Input::Suspend(rests), now, actions);
        }
    }

    /// After facts: what became of the servers and the quorum of one virtual server.
    fn settle(&mut self, vs: usize, actions: &mut Vec<Action>) {
        let health = self.health(vs, &self.config.virtual_servers[vs]);
        let events = self.states[vs].update(&self.config.virtual_servers[vs], &health);
        actions.extend(events.into_iter().map(Action::Happened));
    }
}
