//! Run states of a daemon, CTDB's names.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How far a daemon has come in its life. A node hosts addresses only while `Running`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunState {
    /// Not known (a peer that has not said).
    Unknown,
    /// `init` event runs.
    Init,
    /// `setup` event runs.
    Setup,
    /// Waits for a recmaster and the first recovery.
    FirstRecovery,
    /// `startup` event runs, retried until it succeeds.
    Startup,
    /// Normal life.
    Running,
    /// Handing over and leaving.
    Shutdown,
}

impl RunState {
    /// CTDB's word, as `ctdb runstate` prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Init => "INIT",
            Self::Setup => "SETUP",
            Self::FirstRecovery => "FIRST_RECOVERY",
            Self::Startup => "STARTUP",
            Self::Running => "RUNNING",
            Self::Shutdown => "SHUTDOWN",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RunState {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        [
            Self::Unknown,
            Self::Init,
            Self::Setup,
            Self::FirstRecovery,
            Self::Startup,
            Self::Running,
            Self::Shutdown,
        ]
        .into_iter()
        .find(|r| r.as_str().eq_ignore_ascii_case(s))
        .ok_or(())
    }
}
