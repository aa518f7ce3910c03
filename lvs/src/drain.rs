//! Drain: a destination gets no new connections (weight 0) until its connections have ended or a deadline has come, then it goes.
//!
//! keepalived has no deadline (a weight of 0 stays until a person removes the server; its issues 1228 and 1757 tell how long that
//! took to settle). Two kinds here: an operator drains a destination that stays configured, which then stays out until `undrain`;
//! and a destination that left the configuration with a `drain_timeout` is kept until its drain ends.

use crate::model::{DestId, DestSettings, ServiceId, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Connections that the kernel counts, by destination: active and inactive ones together.
pub type Connections = BTreeMap<(ServiceId, DestId), u64>;

/// One destination on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// When it goes even with connections.
    pub deadline: Duration,
    /// Settings to keep while it drains, without the weight.
    pub settings: DestSettings,
    /// Asked for by an operator: it stays out until `undrain`, also when its drain has ended.
    pub by_operator: bool,
    /// Its connections have ended or its deadline has come.
    pub ended: bool,
}

/// Every drain. Lives as long as the director.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drains {
    drains: BTreeMap<(ServiceId, DestId), Drain>,
}

impl Drains {
    /// An operator takes a destination out of service: no new connections from now, gone at `deadline` at the latest.
    pub fn start(&mut self, service: ServiceId, dest: DestId, settings: DestSettings, deadline: Duration) {
        self.drains.insert((service, dest), Drain { deadline, settings, by_operator: true, ended: false });
    }

    /// A drain of an earlier life goes on.
    pub(crate) fn restore(&mut self, service: ServiceId, dest: DestId, drain: Drain) {
        self.drains.insert((service, dest), drain);
    }

    /// An operator takes it back. Whether there was anything to take back.
    pub fn undrain(&mut self, service: ServiceId, dest: DestId) -> bool {
        self.drains.remove(&(service, dest)).is_some()
    }

    /// Destinations of `before` that a new configuration does not have any more drain until `deadline` when their service stays.
    /// `all` is every destination that is configured now, up or down: one that is back is not drained any longer.
    pub fn left(
        &mut self,
        before: &Table,
        all: &BTreeMap<ServiceId, Vec<DestId>>,
        deadline: impl Fn(&ServiceId) -> Duration,
    ) {
        self.drains.retain(|(s, d), drain| {
            let configured = all.get(s).is_some_and(|dests| dests.contains(d));
            // Who leaves the configuration is nobody's to take back, and drains like others that leave.
            drain.by_operator &= configured;
            all.contains_key(s) && (drain.by_operator || !configured)
        });
        for (id, service) in &before.services {
            let Some(stays) = all.get(id) else { continue };
            for (dest, settings) in service.dests.iter().filter(|(d, _)| !stays.contains(d)) {
                let drain =
                    Drain { deadline: deadline(id), settings: *settings, by_operator: false, ended: false };
                self.drains.entry((*id, *dest)).or_insert(drain);
            }
        }
    }

    /// Lays the drains over the wanted table, which has been made without them, and ends those whose time has come. `actual` is what
    /// the kernel has: what is not there any more needs no drain.
    pub fn lay_over(
        &mut self,
        desired: &mut Table,
        actual: &Table,
        connections: &Connections,
        now: Duration,
    ) {
        for ((service, dest), drain) in &mut self.drains {
            let present = actual.dest(service, dest);
            // A weight that has not reached the kernel yet still lets connections in: no end before it has.
            let quiet =
                present.is_some_and(|s| s.weight == 0) && connections.get(&(*service, *dest)) == Some(&0);
            drain.ended |= present.is_none() || quiet || now >= drain.deadline;
            let Some(wanted) = desired.services.get_mut(service) else { continue };
            if drain.ended {
                wanted.dests.remove(dest);
            } else {
                wanted.dests.insert(*dest, DestSettings { weight: 0, ..drain.settings });
            }
        }
        self.drains.retain(|_, drain| drain.by_operator || !drain.ended);
    }

    /// When a drain ends at the latest; none when all have ended.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.drains.values().filter(|d| !d.ended).map(|d| d.deadline).min()
    }

    /// Every drain, for the status and the daemon's memory.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<(ServiceId, DestId), Drain> {
        &self.drains
    }
}
