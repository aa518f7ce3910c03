//! Several checks of one real server taken together.

use super::{Checker, State};
use serde::{Deserialize, Serialize};

/// What is known of one real server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealState {
    /// Down when any check says so; else unknown when any does not work; else up.
    pub state: State,
    /// The reasons of the checks that decided it.
    pub reason: String,
    /// Weight after `misc_dynamic`, 0 to 65535.
    pub weight: u32,
}

impl RealState {
    /// A real server without checks.
    #[must_use]
    pub fn unchecked(weight: u32) -> Self {
        Self { state: State::Up, reason: "no checks".to_owned(), weight }
    }
}

/// All checks must pass. Each dynamic one moves the weight by (exit status - 2 - configured weight) (keepalived.conf(5)), so that a single
/// one sets it to two less than its exit status.
#[must_use]
pub fn combine<'a>(weight: u32, checks: impl IntoIterator<Item = &'a Checker>) -> RealState {
    let checks: Vec<&Checker> = checks.into_iter().collect();
    if checks.is_empty() {
        return RealState::unchecked(weight);
    }
    let any = |state| checks.iter().any(|c| c.state() == state);
    let state = [State::Down, State::Unknown].into_iter().find(|s| any(*s)).unwrap_or(State::Up);
    let mut reasons: Vec<&str> = checks.iter().filter(|c| c.state() == state).map(|c| c.reason()).collect();
    reasons.dedup();
    let base = i64::from(weight);
    let moved: i64 = checks.iter().filter_map(|c| c.status()).map(|s| i64::from(s) - 2 - base).sum();
    let weight = u32::try_from((base + moved).clamp(0, 65535)).unwrap_or(0);
    RealState { state, reason: reasons.join("; "), weight }
}
