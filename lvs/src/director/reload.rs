//! A new configuration in place of the old one, with as little change as possible.

use super::{Action, CheckerId, Director, Slot};
use crate::checker::{self, Checker, State};
use crate::config::check_types::Check;
use crate::config::{Config, VirtualServer};
use crate::model::{DestId, ServiceId, Table};
use crate::service::ServiceState;
use std::collections::BTreeMap;
use std::time::Duration;

impl Director {
    /// Puts a configuration into force. Checks that are the same keep their checker; real servers that stay keep their health; those
    /// that leave a service which stays are drained when it has a `drain_timeout`.
    pub fn reload(&mut self, config: Config, now: Duration) -> Vec<Action> {
        let before = self.healthy();
        let mut old_slots = std::mem::take(&mut self.slots);
        let old_states = std::mem::take(&mut self.states);
        let old_layout = std::mem::take(&mut self.layout);
        let old = std::mem::replace(&mut self.config, config);
        let was = |vs: &VirtualServer| {
            let n = old.virtual_servers.iter().position(|o| o.name == vs.name)?;
            Some((n, &old.virtual_servers[n], &old_states[n]))
        };
        let mut actions = Vec::new();
        for (n, vs) in self.config.virtual_servers.iter().enumerate() {
            let was = was(vs);
            let mut up = Vec::new();
            let mut layout = vec![Vec::new(); vs.real_servers.len()];
            for (m, real) in vs.real_servers.iter().enumerate() {
                let was_real = was.and_then(|(o, old, state)| {
                    let r = old.real_servers.iter().position(|r| r.name() == real.name())?;
                    Some((o, r, *state.up.get(r)?))
                });
                up.push(was_real.map(|(_, _, up)| up));
                for check in &real.checks {
                    let kept =
                        was_real.and_then(|(o, r, _)| take_same(&mut old_slots, &old_layout[o][r], check));
                    let (id, checker) = kept.unwrap_or_else(|| {
                        self.last_id += 1;
                        let seed = self.seed.wrapping_add(self.last_id);
                        let checker = match was_real {
                            Some((_, _, up)) => Checker::after(check, up, seed, now),
                            None => Checker::new(check, seed, now),
                        };
                        (CheckerId(self.last_id), checker)
                    });
                    layout[m].push(id);
                    self.slots.insert(id, Slot { checker, vs: n, real: real.name(), check: check.clone() });
                }
            }
            self.layout.push(layout);
            let health = self.health(n, vs);
            let state = match was {
                None => {
                    let (state, events) = ServiceState::start(vs, &health);
                    actions.extend(events.into_iter().map(Action::Happened));
                    state
                }
                Some((_, _, old)) => {
                    let up =
                        up.iter().zip(&health).map(|(up, h)| up.unwrap_or(h.state == State::Up)).collect();
                    ServiceState { quorum: old.quorum, up }
                }
            };
            self.states.push(state);
        }
        for (id, mut slot) in old_slots {
            for output in slot.checker.handle(checker::Input::Suspend(true), now) {
                if let checker::Output::Abort { probe } = output {
                    actions.push(Action::Abort { checker: id, probe });
                }
            }
        }
        self.leave(&before, now);
        self.suspend(now, &mut actions);
        for vs in 0..self.states.len() {
            self.settle(vs, &mut actions);
        }
        actions
    }

    /// Drains what the new configuration does not have any more.
    fn leave(&mut self, before: &Table, now: Duration) {
        let mut all: BTreeMap<ServiceId, Vec<DestId>> = BTreeMap::new();
        let mut deadlines: BTreeMap<ServiceId, Duration> = BTreeMap::new();
        for vs in &self.config.virtual_servers {
            for id in vs.services.keys() {
                let sorry = vs.sorry.iter().map(|s| s.dest(id));
                all.insert(*id, vs.real_servers.iter().map(|r| r.dest(id)).chain(sorry).collect());
                deadlines.insert(*id, now + vs.drain_timeout);
            }
        }
        self.drains.left(before, &all, |id| deadlines.get(id).copied().unwrap_or(now));
    }
}

/// Takes the checker of the same check out of those of its real server, wherever it stood in the file.
fn take_same(
    slots: &mut BTreeMap<CheckerId, Slot>,
    of: &[CheckerId],
    check: &Check,
) -> Option<(CheckerId, Checker)> {
    let same = |s: &Slot| Check { at: check.at.clone(), ..s.check.clone() } == *check;
    let id = *of.iter().find(|id| slots.get(id).is_some_and(same))?;
    Some((id, slots.remove(&id)?.checker))
}
