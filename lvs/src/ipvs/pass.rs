//! One pass: plan the requests, send them, and say for each what came of it. A refusal concerns its own object and nothing else.

use super::{Ipvs, Performed};
use crate::diff::Change;
use crate::model::{ServiceId, Table};
use crate::reconcile::{KernelError, Reconciler, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Performed.
    Done,
    /// What was to be added had been put there by others; it was given our settings.
    Adopted,
    /// What was to be deleted was not there any more (R0-3).
    AlreadyGone {
        /// The kernel's answer.
        error: KernelError,
    },
    /// The table is not any more as it was read: read it again.
    Stale {
        /// The kernel's answer.
        error: KernelError,
    },
    /// Refused; tried again later.
    Refused {
        /// The kernel's answer.
        error: KernelError,
        /// Whether this object was not refused in this way the last time: then it is worth a line in the log.
        first: bool,
    },
    /// Not sent: its service was refused in this pass.
    Skipped,
}

/// A request and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The request.
    pub change: Change,
    /// What came of it.
    pub outcome: Outcome,
}

impl Answer {
    /// Whether it is to be logged as something that went wrong: once, not with every try.
    #[must_use]
    pub fn is_news(&self) -> bool {
        match self.outcome {
            Outcome::Refused { first, .. } => first,
            Outcome::AlreadyGone { .. } | Outcome::Adopted => true,
            Outcome::Done | Outcome::Stale { .. } | Outcome::Skipped => false,
        }
    }
}

/// The line for the log: request, object, errno by name and number, text (R0-6).
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = &self.change;
        match &self.outcome {
            Outcome::Done => write!(f, "{change}: done"),
            Outcome::Adopted => write!(f, "{change}: others had put it there; it has our settings now"),
            Outcome::AlreadyGone { error } => {
                write!(f, "{change}: was not there any more, so it is done; {error}")
            }
            Outcome::Stale { error } => {
                write!(f, "{change}: the table has changed, reading it again; {error}")
            }
            Outcome::Refused { error, .. } => {
                write!(f, "{change}: refused: {error}; only this is affected, trying again")
            }
            Outcome::Skipped => write!(f, "{change}: not tried, its service was refused"),
        }
    }
}

/// Brings the table closer to `desired`. `actual` is what [`Ipvs::read`] has just said, `owned` as for [`crate::diff::diff`], `now`
/// monotonic. Read again and pass again when an answer is [`Outcome::Stale`]; and when [`Reconciler::next_deadline`] has come.
pub fn pass(
    ipvs: &mut dyn Ipvs,
    reconciler: &mut Reconciler,
    desired: &Table,
    actual: &Table,
    owned: &BTreeSet<ServiceId>,
    now: Duration,
) -> Vec<Answer> {
    let mut absent = BTreeSet::new();
    let mut answers = Vec::new();
    for change in reconciler.plan(desired, actual, owned, now) {
        let service = change.service();
        if absent.contains(&service) {
            answers.push(Answer { change, outcome: Outcome::Skipped });
            continue;
        }
        let result = ipvs.perform(&change);
        if result.is_err() && matches!(change, Change::AddService { .. }) {
            absent.insert(service);
        }
        let adopted = result == Ok(Performed::Adopted);
        let error = result.as_ref().err().cloned();
        let verdict = reconciler.answered(&change, result.map(drop), now);
        let outcome = match (verdict, error) {
            (Verdict::AlreadyGone, Some(error)) => Outcome::AlreadyGone { error },
            (Verdict::Stale, Some(error)) => Outcome::Stale { error },
            (Verdict::Refused { first }, Some(error)) => Outcome::Refused { error, first },
            _ if adopted => Outcome::Adopted,
            _ => Outcome::Done,
        };
        answers.push(Answer { change, outcome });
    }
    answers
}
