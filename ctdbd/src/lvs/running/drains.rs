//! Drains: begun and taken back by an operator, written down, and gone on with by the next daemon.
//!
//! The services of the LVS group come and go with its leader, its destinations with the health of nodes; the file's configuration is there
//! before the group says anything. So an operator's drain of the group waits until what it is about is there, in this life or a later one:
//! until it is taken back, or the group has another address.

use super::super::drained::{self, Kept};
use super::super::kernel::Job;
use super::Running;
use lvs::drain::Drain;
use lvs::model::{DestId, ServiceId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

type Under = BTreeMap<(ServiceId, DestId), Drain>;

/// What is remembered of drains beside those that the director has.
pub(super) struct Drains {
    file: PathBuf,
    /// Of an earlier life until there is a configuration, and what waits for the group.
    waiting: Vec<Kept>,
    /// What was last written down, without deadlines that only another clock has; none before the first time.
    written: Option<(Under, Vec<Kept>)>,
}

impl Drains {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), waiting: drained::read(file), written: None }
    }
}

impl Running {
    fn of_group(&self, service: &ServiceId) -> bool {
        self.group.is_some_and(|group| group.contains(service))
    }

    /// What an operator drained of the group and the new configuration does not have waits. `before`: the drains before it.
    pub(super) fn keep_drains(&mut self, before: &Under) {
        let (now, wall) = (self.now(), drained::wall());
        let still = |key| self.director.drains().all().get(key).is_some_and(|drain| drain.by_operator);
        let gone: Under = before
            .iter()
            .filter(|(key, drain)| drain.by_operator && self.of_group(&key.0) && !still(key))
            .map(|(key, drain)| (*key, drain.clone()))
            .collect();
        self.drains.waiting.extend(drained::kept(&gone, now, wall, |_| true));
    }

    /// Drains that wait go on when what they are about is there.
    pub(super) fn restore_drains(&mut self) {
        let (now, wall) = (self.now(), drained::wall());
        for kept in std::mem::take(&mut self.drains.waiting) {
            let (service, dest) = (kept.service, kept.dest);
            if self.director.restore_drain(service, dest, kept.drain(now, wall)) {
                self.say(format!("{dest} of {service} is drained on, as before"));
            } else if kept.group && self.group.is_none_or(|group| group.contains(&service)) {
                self.drains.waiting.push(kept);
            } else {
                self.say(format!(
                    "{dest} of {service} was drained before; the configuration has changed, and the drain is dropped"
                ));
            }
        }
    }

    /// What is drained is written down when it has changed.
    pub(super) fn remember_drains(&mut self) {
        let (drains, waiting) = (self.director.drains().all(), &self.drains.waiting);
        if self.drains.written.as_ref().is_some_and(|(d, w)| d == drains && w == waiting) {
            return;
        }
        let written = (drains.clone(), waiting.clone());
        let mut all = drained::kept(drains, self.now(), drained::wall(), |service| self.of_group(service));
        // What waits for its operator's sake may still be on its way out: the operator's word counts.
        all.retain(|one| !waiting.iter().any(|w| (w.service, w.dest) == (one.service, one.dest)));
        all.extend(waiting.iter().cloned());
        self.drains.written = Some(written);
        self.link.send(Job::Remember { file: self.drains.file.clone(), drains: all });
    }

    /// An operator takes a destination out of service, for `limit` at most; false when no service has it.
    pub(in super::super) fn drain(&mut self, service: ServiceId, dest: DestId, limit: Duration) -> bool {
        let done = self.director.drain(service, dest, self.now() + limit);
        if done {
            self.say(format!("{dest} of {service} is drained, for {} s at most", limit.as_secs()));
            self.dirty = true;
        }
        done
    }

    /// Takes a drain back; false when there is none.
    pub(in super::super) fn undrain(&mut self, service: ServiceId, dest: DestId) -> bool {
        let waiting = self.drains.waiting.len();
        self.drains.waiting.retain(|kept| (kept.service, kept.dest) != (service, dest));
        let done = self.director.undrain(service, dest) || self.drains.waiting.len() < waiting;
        if done {
            self.say(format!("{dest} of {service} is taken back"));
            self.dirty = true;
        }
        done
    }
}
