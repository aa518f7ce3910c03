//! What becomes of a request that the kernel refuses: one object waits and is tried again, everything else goes on.
//!
//! Field report R0: one failed delete made a daemon shut the whole service down. Here a refusal concerns one service or one destination:
//! it is remembered with its errno (for `ctdb lvs status`), left out of the next passes until its back-off has run, and forgotten when
//! it succeeds or is not needed any more. A delete of what is not there is done. Time is an argument.

use crate::diff::{Change, diff};
use crate::model::{DestId, ServiceId, Table};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// First wait after a refusal; doubles with each further one.
pub const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest wait.
pub const LAST_RETRY: Duration = Duration::from_secs(60);

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EEXIST: i32 = 17;

/// The kernel's answer to a request that it refused (R0-6: the number with its name and text; the request stands beside it).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{name} (errno {errno}): {text}")]
pub struct KernelError {
    /// Number, positive.
    pub errno: i32,
    /// Name such as `EPERM`.
    pub name: String,
    /// What the kernel or the system's library says about it.
    pub text: String,
}

/// What a refused request concerns: a service, or one destination of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// Service.
    pub service: ServiceId,
    /// Destination; none for the service itself.
    pub dest: Option<DestId>,
}

impl Object {
    /// What a request concerns.
    #[must_use]
    pub fn of(change: &Change) -> Self {
        Self { service: change.service(), dest: change.dest() }
    }
}

/// A refusal that is waiting for its next try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The request in words.
    pub request: String,
    /// The answer.
    pub error: KernelError,
    /// How often it was refused in a row.
    pub times: u32,
    /// When it was refused first.
    pub since: Duration,
    /// Not tried again before.
    pub retry_at: Duration,
}

/// What to make of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Performed.
    Done,
    /// A delete of what was not there: done. To be logged with the request and the errno, once.
    AlreadyGone,
    /// Something is there that the last reading did not show (or the reverse): read the table again, it is no failure.
    Stale,
    /// Refused; `first` when it was not refused before in the same way, so that the log has it once.
    Refused {
        /// First of its kind.
        first: bool,
    },
}

/// Refusals by object. Lives as long as the director.
#[derive(Debug, Clone, Default)]
pub struct Reconciler {
    failures: BTreeMap<Object, Failure>,
}

impl Reconciler {
    /// The requests to send now: [`diff`] without the objects that are waiting. Failures of objects that need no request any more
    /// are forgotten.
    pub fn plan(
        &mut self,
        desired: &Table,
        actual: &Table,
        owned: &BTreeSet<ServiceId>,
        now: Duration,
    ) -> Vec<Change> {
        let changes = diff(desired, actual, owned);
        let needed: BTreeSet<Object> = changes.iter().map(Object::of).collect();
        self.failures.retain(|object, _| needed.contains(object));
        let waits = |o: &Object| self.failures.get(o).is_some_and(|f| f.retry_at > now);
        changes
            .into_iter()
            .filter(|change| {
                let absent = !actual.services.contains_key(&change.service());
                let parent = Object { service: change.service(), dest: None };
                !(waits(&Object::of(change)) || absent && waits(&parent))
            })
            .collect()
    }

    /// Takes the answer to one request.
    pub fn answered(&mut self, change: &Change, answer: Result<(), KernelError>, now: Duration) -> Verdict {
        let object = Object::of(change);
        let Err(error) = answer else {
            self.failures.remove(&object);
            return Verdict::Done;
        };
        if change.is_delete() && matches!(error.errno, ENOENT | ESRCH) {
            self.failures.remove(&object);
            return Verdict::AlreadyGone;
        }
        let stale = match change {
            Change::AddService { .. } => error.errno == EEXIST,
            Change::AddDest { .. } => matches!(error.errno, EEXIST | ESRCH),
            Change::EditService { .. } => error.errno == ESRCH,
            Change::EditDest { .. } => matches!(error.errno, ENOENT | ESRCH),
            Change::DelService { .. } | Change::DelDest { .. } => false,
        };
        let first = self.refused(object, change, error, now);
        // Said twice of the same table it is a refusal: no reading would ever bring an end.
        if let Some(failure) = self.failures.get_mut(&object).filter(|f| stale && f.times == 1) {
            failure.retry_at = now;
            return Verdict::Stale;
        }
        Verdict::Refused { first }
    }

    fn refused(&mut self, object: Object, change: &Change, error: KernelError, now: Duration) -> bool {
        let before = self.failures.get(&object);
        let first = before.is_none_or(|f| f.error != error);
        let times = before.map_or(0, |f| f.times).saturating_add(1);
        let since = before.map_or(now, |f| f.since);
        let wait = FIRST_RETRY.saturating_mul(1 << (times - 1).min(6)).min(LAST_RETRY);
        let failure = Failure { request: change.to_string(), error, times, since, retry_at: now + wait };
        self.failures.insert(object, failure);
        first
    }

    /// Refusals that wait, for the status and for [`crate::service`].
    #[must_use]
    pub fn failures(&self) -> &BTreeMap<Object, Failure> {
        &self.failures
    }

    /// When a refused request may be tried again; none when nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.failures.values().map(|f| f.retry_at).min()
    }
}
