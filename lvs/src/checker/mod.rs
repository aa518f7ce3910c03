//! One checker of one real server: when it probes, and what the results mean. Probing itself is done elsewhere.
//!
//! Pure: time is an argument (monotonic, since whatever), chance is a seed. The rules are keepalived.conf(5)'s: a first probe after a
//! random part of `warmup`; a server that is up gets `retry` further tries `delay_before_retry` apart before it is down; otherwise probes
//! are `delay_loop` apart. Ours are `rise` and what happens when the probing task itself dies or hangs: field report R0 had one dead
//! checker stop the whole service; here that makes *this* check unknown, it is started again after a back-off, and nothing else.

mod real;

pub use real::{RealState, combine};

use crate::config::check_types::{Check, CheckKind, Timing};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// First wait after the probing task died; doubles with each further death.
pub const FIRST_RESTART: Duration = Duration::from_secs(1);
/// Longest wait.
pub const LAST_RESTART: Duration = Duration::from_secs(60);
/// How much longer than its own time-outs a probe may take before its task counts as hung.
const SLACK: Duration = Duration::from_secs(5);

/// What a checker thinks of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Well, or assumed so at the start (without `alpha`).
    Up,
    /// Not well, or not known to be yet (`alpha`).
    Down,
    /// The check itself does not work: the server stays as it was.
    Unknown,
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// Passed.
    pub pass: bool,
    /// Why, for people: "connection refused", "status 503".
    pub reason: String,
    /// Exit status of a program that passed, when it was not 0 (`misc_dynamic`): 2 to 255.
    pub status: Option<u8>,
}

/// What a checker is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A probe has ended.
    Result {
        /// Number from [`Output::Start`].
        probe: u64,
        /// How.
        result: ProbeResult,
    },
    /// The task that probes has ended without a result: it was killed, it panicked, it could not be started.
    Died {
        /// Number from [`Output::Start`].
        probe: u64,
        /// Why.
        why: String,
    },
    /// `ha_suspend`: the address is not here (true), or here again.
    Suspend(bool),
}

/// What a checker wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Probe; the number comes back with the result.
    Start {
        /// Never used twice.
        probe: u64,
    },
    /// End a probe whose result is of no use any more.
    Abort {
        /// Which.
        probe: u64,
    },
    /// The state has changed.
    Set {
        /// From now on.
        state: State,
        /// Because.
        reason: String,
    },
    /// A failure that changes nothing yet, to be logged when `log_all_failures` is set.
    Failed {
        /// Why.
        reason: String,
        /// How many in a row.
        times: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting { until: Duration },
    Probing { probe: u64, limit: Duration },
    Suspended,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checker {
    timing: Timing,
    /// How long a probe may take in all.
    longest: Duration,
    log_all: bool,
    dynamic: bool,
    phase: Phase,
    probes: u64,
    up: bool,
    /// The check works.
    known: bool,
    passes: u32,
    fails: u32,
    deaths: u32,
    status: Option<u8>,
    reason: String,
}

impl Checker {
    /// A checker at its start: assumed up, or down with `alpha`. The first probe comes after a part of `warmup` that `seed` chooses.
    #[must_use]
    pub fn new(check: &Check, seed: u64, now: Duration) -> Self {
        // A multiplier of splitmix64: neighbouring seeds give distant waits.
        let part = (seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
        let wait = check.timing.warmup.mul_f64(f64::from(part) / f64::from(u32::MAX));
        Self {
            timing: check.timing,
            longest: longest(check),
            log_all: check.log_all_failures,
            dynamic: matches!(check.kind, CheckKind::Misc { dynamic: true, .. }),
            phase: Phase::Waiting { until: now + wait },
            probes: 0,
            up: !check.alpha,
            known: true,
            passes: 0,
            fails: 0,
            deaths: 0,
            status: None,
            reason: "not checked yet".to_owned(),
        }
    }

    /// As [`Checker::new`], for a server that has been checked before in another way: it stays as it was until the first result.
    #[must_use]
    pub fn after(check: &Check, up: bool, seed: u64, now: Duration) -> Self {
        Self { up, ..Self::new(check, seed, now) }
    }

    /// What it thinks.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.known, self.up) {
            (false, _) => State::Unknown,
            (true, true) => State::Up,
            (true, false) => State::Down,
        }
    }

    /// The last reason, for people.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Exit status 2 to 255 of the last probe that passed, with `misc_dynamic`.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// When it needs a tick; none while it is suspended.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Probing { limit, .. } => Some(limit),
            Phase::Suspended => None,
        }
    }

    /// Takes an input. Results of probes that it does not wait for are passed over.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<Output> {
        let mut out = Vec::new();
        match (input, self.phase) {
            (Input::Tick, Phase::Waiting { until }) if now >= until => {
                self.probes += 1;
                self.phase = Phase::Probing { probe: self.probes, limit: now + self.longest };
                out.push(Output::Start { probe: self.probes });
            }
            (Input::Tick, Phase::Probing { probe, limit }) if now >= limit => {
                out.push(Output::Abort { probe });
                self.died(format!("no result within {} s", self.longest.as_secs()), now, &mut out);
            }
            (Input::Result { probe, result }, Phase::Probing { probe: mine, .. }) if probe == mine => {
                self.deaths = 0;
                if result.pass {
                    self.passed(result, now, &mut out)
                } else {
                    self.failed(result.reason, now, &mut out)
                }
            }
            (Input::Died { probe, why }, Phase::Probing { probe: mine, .. }) if probe == mine => {
                self.died(why, now, &mut out);
            }
            (Input::Suspend(true), phase) => {
                if let Phase::Probing { probe, .. } = phase {
                    out.push(Output::Abort { probe });
                }
                self.phase = Phase::Suspended;
            }
            (Input::Suspend(false), Phase::Suspended) => self.phase = Phase::Waiting { until: now },
            _ => {}
        }
        out
    }

    fn passed(&mut self, result: ProbeResult, now: Duration, out: &mut Vec<Output>) {
        self.fails = 0;
        self.passes = self.passes.saturating_add(1);
        let status = result.status.filter(|s| self.dynamic && *s >= 2);
        let weight_moves = status != self.status;
        self.status = status;
        let before = self.state();
        self.up |= self.passes >= self.timing.rise;
        self.settle(before, result.reason, weight_moves, out);
        self.phase = Phase::Waiting { until: now + self.timing.delay_loop };
    }

    fn failed(&mut self, reason: String, now: Duration, out: &mut Vec<Output>) {
        self.passes = 0;
        self.fails = self.fails.saturating_add(1);
        let before = self.state();
        let again = self.up && self.fails <= self.timing.retry;
        self.up &= again;
        let wait = if again { self.timing.delay_before_retry } else { self.timing.delay_loop };
        self.phase = Phase::Waiting { until: now + wait };
        if before == State::Up && again && self.log_all {
            out.push(Output::Failed { reason: reason.clone(), times: self.fails });
        }
        self.settle(before, reason, false, out);
    }

    /// After a result: the check works.
    fn settle(&mut self, before: State, reason: String, tell: bool, out: &mut Vec<Output>) {
        self.known = true;
        self.reason = reason;
        if self.state() != before || tell {
            out.push(Output::Set { state: self.state(), reason: self.reason.clone() });
        }
    }

    fn died(&mut self, why: String, now: Duration, out: &mut Vec<Output>) {
        self.deaths = self.deaths.saturating_add(1);
        let wait = FIRST_RESTART.saturating_mul(1 << (self.deaths - 1).min(6)).min(LAST_RESTART);
        self.phase = Phase::Waiting { until: now + wait };
        let first = self.known;
        self.known = false;
        self.reason = format!("error: the check does not run: {why}");
        if first {
            out.push(Output::Set { state: State::Unknown, reason: self.reason.clone() });
        }
    }
}

/// The longest that a probe of a kind can take when all its own time-outs are used, with some slack.
fn longest(check: &Check) -> Duration {
    let one = check.timing.connect_timeout;
    let own = match &check.kind {
        // Connection and answer, for each URL.
        CheckKind::Http(http) => {
            one.saturating_mul(2).saturating_mul(u32::try_from(http.urls.len()).unwrap_or(u32::MAX).max(1))
        }
        CheckKind::Misc { timeout, .. } => timeout.unwrap_or(check.timing.delay_loop),
        // Connection, greeting, HELO, QUIT.
        CheckKind::Smtp { .. } => one.saturating_mul(4),
        CheckKind::Tcp | CheckKind::Ping | CheckKind::Udp(_) | CheckKind::Dns { .. } => one.saturating_mul(2),
    };
    own.saturating_add(SLACK)
}
