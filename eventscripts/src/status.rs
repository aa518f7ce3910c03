//! The record of an event's run, as `ctdb event status` shows it. Serializes; holds no policy.

use recoverd::model::EventOutcome;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// How one script of a run ended; the words of CTDB in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum ScriptState {
    /// Exit status 0 (`OK`).
    Ok,
    /// Another exit status (`ERROR`).
    Error {
        /// The exit status; 128 + N when signal N ended it.
        code: i32,
    },
    /// It did not end in the event's time and was killed with its process group (`TIMEDOUT`).
    TimedOut,
    /// The file is not executable, or a link to nothing (`DISABLED`). It did not run.
    Disabled,
    /// It could not be started (`CANNOT RUN`).
    CannotRun {
        /// Number of the error, 0 when unknown.
        errno: i32,
        /// Its text, as `Permission denied`.
        reason: String,
    },
}

/// One script in the run of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptStatus {
    /// Name without `.script`: `10.interface`.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub state: ScriptState,
    /// When it began.
    pub started: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// What it printed on stdout and stderr, the last 64 KiB of it.
    pub output: String,
}

/// The run of an event. Scripts behind the first failure did not run and are not listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventStatus {
    /// Name of the event.
    pub event: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// When it began.
    pub started: SystemTime,
    /// How long it took, all scripts together.
    pub duration: Duration,
    /// The scripts in their order, disabled ones too.
    pub scripts: Vec<ScriptStatus>,
    /// The summary.
    pub outcome: EventOutcome,
}

impl EventStatus {
    /// The summary as a number, the exit status of `ctdb event status`: 0, the exit status of the script that failed,
    /// `ETIMEDOUT` for a time-out, the error number for a script that could not be run.
    #[must_use]
    pub fn summary(&self) -> i32 {
        let numbers = self.scripts.iter().map(|s| match s.state {
            ScriptState::Ok | ScriptState::Disabled => 0,
            ScriptState::Error { code } => code,
            ScriptState::TimedOut => nix::errno::Errno::ETIMEDOUT as i32,
            ScriptState::CannotRun { errno, .. } => errno.max(1),
        });
        numbers.into_iter().find(|n| *n != 0).unwrap_or(0)
    }
}
