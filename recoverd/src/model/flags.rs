//! Node flags with CTDB's bits.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// The flags of a node, in CTDB's bits (reference/ctdb.md 1.7).
///
/// `UNHEALTHY` and `DISABLED` (CTDB: permanently disabled) keep a node from hosting; `STOPPED`, `BANNED`, `DELETED` and
/// `DISCONNECTED` make it inactive. `UNKNOWN` is shown of peers that have not said anything yet and never sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct NodeFlags(pub u32);

impl NodeFlags {
    /// No flag: OK.
    pub const NONE: Self = Self(0);
    /// No link to the node. Only ever computed by others, each for itself.
    pub const DISCONNECTED: Self = Self(0x1);
    /// Its monitor event fails.
    pub const UNHEALTHY: Self = Self(0x2);
    /// `ctdb disable`.
    pub const DISABLED: Self = Self(0x4);
    /// Banned by the recmaster or by `ctdb ban`.
    pub const BANNED: Self = Self(0x8);
    /// A placeholder line of the nodes file.
    pub const DELETED: Self = Self(0x10);
    /// `ctdb stop`.
    pub const STOPPED: Self = Self(0x20);

    /// Names in the order in which `ctdb status` prints them.
    const NAMES: [(Self, &'static str); 6] = [
        (Self::DISCONNECTED, "DISCONNECTED"),
        (Self::DISABLED, "DISABLED"),
        (Self::BANNED, "BANNED"),
        (Self::UNHEALTHY, "UNHEALTHY"),
        (Self::DELETED, "DELETED"),
        (Self::STOPPED, "STOPPED"),
    ];

    /// Whether any of `other`'s bits is set.
    #[must_use]
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This with `other`'s bits set or cleared.
    #[must_use]
    pub fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { Self(self.0 & !other.0) }
    }

    /// Out of the cluster's work: DELETED, DISCONNECTED, BANNED or STOPPED.
    #[must_use]
    pub fn is_inactive(self) -> bool {
        self.intersects(Self(Self::DELETED.0 | Self::DISCONNECTED.0 | Self::BANNED.0 | Self::STOPPED.0))
    }

    /// May not host: inactive, unhealthy or disabled.
    #[must_use]
    pub fn is_out_of_service(self) -> bool {
        self.is_inactive() || self.intersects(Self(Self::UNHEALTHY.0 | Self::DISABLED.0))
    }
}

impl BitOr for NodeFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for NodeFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for NodeFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `OK`, or the set flags joined by `|`, with `INACTIVE` last where it applies: as `ctdb status` prints them.
impl fmt::Display for NodeFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> =
            Self::NAMES.iter().filter(|(bit, _)| self.intersects(*bit)).map(|(_, name)| *name).collect();
        if self.is_inactive() {
            names.push("INACTIVE");
        }
        if names.is_empty() { f.write_str("OK") } else { f.write_str(&names.join("|")) }
    }
}
