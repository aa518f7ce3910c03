//! Whether what a destination is given gets through: the kernel's counters and list of connections, for [`lvs::blackhole`].

use super::Running;
use lvs::blackhole::{Seen, Turn};
use lvs::model::{DestId, Protocol, ServiceId};
use lvs::placement::Place;
use std::collections::BTreeSet;
use std::time::Duration;

/// For how long a destination that was seen to answer is taken to answer.
const PROOF: Duration = Duration::from_secs(15);

impl Running {
    /// Looks for black holes. Who has answered is known from the list of connections, which can be long: it is read with the next reading
    /// when a destination has connections and was not seen to answer of late.
    pub(super) fn watch(&mut self, answered: Option<&BTreeSet<DestId>>, now: Duration) {
        for dest in answered.into_iter().flatten() {
            self.proven.insert(*dest, now);
        }
        self.proven.retain(|_, seen| now.saturating_sub(*seen) < PROOF);
        let table = &self.reading.table;
        let weighs = |(s, d): &(ServiceId, DestId)| table.dest(s, d).is_some_and(|d| d.weight > 0);
        let active = |s: &ServiceId| self.places.get(s) == Some(&Place::Active);
        let tcp =
            |s: &ServiceId| !matches!(s, ServiceId::Addr { protocol: Protocol::Udp | Protocol::Sctp, .. });
        let watched = || self.reading.dests.iter().filter(|((s, _), _)| active(s) && tcp(s));
        // Without the list in this reading nobody knows: then no news is no accusation.
        let seen: Vec<((ServiceId, DestId), Seen)> = watched()
            .map(|(key, c)| {
                let remembered = c.active > 0 || c.inactive > 0;
                let known = self.proven.contains_key(&key.1);
                let answered = known || (answered.is_none() && remembered && !self.black.is_black(key));
                (*key, Seen { scheduled: c.stats.connections, answered, healthy: weighs(key) })
            })
            .collect();
        let unproven = |((_, d), c): (&(ServiceId, DestId), &lvs::ipvs::DestCounters)| {
            c.active + c.inactive > 0 && !self.proven.contains_key(d)
        };
        self.suspicious = watched().any(unproven);
        let turns = self.black.read(seen, now);
        self.suspicious |= self.black.any_black();
        for ((service, dest), turn) in turns {
            match turn {
                Turn::Black { connections } => self.trouble(format!(
                    "forwarding black hole: {dest} of {service} passes its checks, but none of the last {connections} connections \
                     became established; run ctdb lvs doctor"
                )),
                Turn::Clear => self.say(format!("{dest} of {service}: connections become established again")),
            }
        }
    }
}
