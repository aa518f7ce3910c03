//! Schedulers are names: the kernel loads `ip_vs_NAME` and says itself whether it exists.

use super::ModelError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a scheduler. Names that we do not know are passed through: the kernel may have more than [`Scheduler::KNOWN`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Scheduler(String);

impl Scheduler {
    /// Schedulers of Linux 6.x, for checks that warn and for "did you mean".
    pub const KNOWN: [&str; 14] =
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos"];

    /// Bytes that a name may have: the kernel's IP_VS_SCHEDNAME_MAXLEN is 16 with the final NUL.
    pub const MAX_LEN: usize = 15;

    /// A scheduler by its kernel name.
    ///
    /// # Errors
    /// [`ModelError::Scheduler`] when the kernel's field cannot hold it.
    pub fn new(name: &str) -> Result<Self, ModelError> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        if name.is_empty() || name.len() > Self::MAX_LEN || !name.bytes().all(plain) {
            return Err(ModelError::Scheduler(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The kernel's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of [`Scheduler::KNOWN`].
    #[must_use]
    pub fn is_known(&self) -> bool {
        Self::KNOWN.contains(&self.as_str())
    }
}

/// keepalived and ipvsadm both take `wlc` when nothing is said.
impl Default for Scheduler {
    fn default() -> Self {
        Self("wlc".to_owned())
    }
}

impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Scheduler {
    type Err = ModelError;

    fn from_str(s: &str) -> Result<Self, ModelError> {
        Self::new(s)
    }
}

impl TryFrom<String> for Scheduler {
    type Error = ModelError;

    fn try_from(s: String) -> Result<Self, ModelError> {
        Self::new(&s)
    }
}

impl From<Scheduler> for String {
    fn from(s: Scheduler) -> Self {
        s.0
    }
}

/// The three bits that the kernel hands to the scheduler (`IP_VS_SVC_F_SCHED1` to `3`).
/// For `sh` and `mh` the first is "fallback" and the second "port".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SchedFlags {
    /// `flag-1`, `sh-fallback`, `mh-fallback`: when the chosen server is unusable, try the next.
    pub flag1: bool,
    /// `flag-2`, `sh-port`, `mh-port`: the client's port is hashed too.
    pub flag2: bool,
    /// `flag-3`: no scheduler of the stock kernel uses it.
    pub flag3: bool,
}

impl SchedFlags {
    /// Every bit clear.
    pub const NONE: Self = Self { flag1: false, flag2: false, flag3: false };
}
