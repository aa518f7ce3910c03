//! The scenarios: what is broken, whom it hits, when it is over, and how it is mended. Names are those of `shared/BASELINE.md`.

use clap::ValueEnum;
use std::time::Duration;

/// What happens.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Somebody removes an address on its node.
    AddrDel,
    /// An operator moves one address.
    MoveIp,
    /// An operator takes a follower out of service (and puts it back).
    Disable,
    /// A follower's daemon is stopped in order (and started again).
    Stop,
    /// Daemon and service of a follower are killed.
    KillFollower,
    /// Daemon and service of the leader are killed.
    KillLeader,
    /// A follower loses its power: everything stops, both cables are dead.
    PowerOffFollower,
    /// The same for the leader.
    PowerOffLeader,
    /// All processes of a follower hang; its kernel goes on.
    Hang,
    /// The cable of a follower's public interface is pulled.
    Cable,
    /// The public interface of a follower is set down by an operator.
    LinkDown,
    /// A follower's network is restarted: addresses flushed, link down for a second, up.
    NetworkRestart,
    /// A follower is cut off from the other nodes, not from the clients.
    Partition,
}

/// All of them, in the order of the tables.
pub const ALL: [Scenario; 13] = [
    Scenario::AddrDel,
    Scenario::MoveIp,
    Scenario::Disable,
    Scenario::Stop,
    Scenario::KillFollower,
    Scenario::KillLeader,
    Scenario::PowerOffFollower,
    Scenario::PowerOffLeader,
    Scenario::Hang,
    Scenario::Cable,
    Scenario::LinkDown,
    Scenario::NetworkRestart,
    Scenario::Partition,
];

/// When a scenario is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The client gets answers again.
    Answered,
    /// Other nodes than the victim answer.
    ByOthers,
    /// Whatever happens, after this time: the client may notice nothing while two nodes answer.
    After(Duration),
}

impl Scenario {
    /// In a table.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::AddrDel => "address removed by hand",
            Self::MoveIp => "`moveip` of one address",
            Self::Disable => "`disable` of a follower",
            Self::Stop => "graceful stop of a follower",
            Self::KillFollower => "daemon and service killed, follower",
            Self::KillLeader => "daemon and service killed, leader",
            Self::PowerOffFollower => "power-off, follower",
            Self::PowerOffLeader => "power-off, leader",
            Self::Hang => "processes hang, follower",
            Self::Cable => "cable pulled",
            Self::LinkDown => "link set down",
            Self::NetworkRestart => "network restart",
            Self::Partition => "cut off from the other nodes",
        }
    }

    /// What the mending of it is called in a table, if anybody is disturbed by it.
    #[must_use]
    pub fn mended(self) -> Option<&'static str> {
        Some(match self {
            Self::Disable => "`enable` again",
            Self::Stop | Self::KillFollower | Self::KillLeader => "started again",
            Self::PowerOffFollower | Self::PowerOffLeader | Self::Hang => "goes on where it was",
            Self::Cable | Self::LinkDown => "link again",
            Self::Partition => "healed",
            Self::AddrDel | Self::MoveIp | Self::NetworkRestart => return None,
        })
    }

    /// Whether the victim is the node that decides.
    pub(super) fn hits_leader(self) -> bool {
        matches!(self, Self::KillLeader | Self::PowerOffLeader)
    }

    /// When it is over. `blind` is how long the product needs at most to notice a silent node.
    pub(super) fn over(self, blind: Duration) -> Over {
        match self {
            Self::AddrDel | Self::MoveIp | Self::LinkDown | Self::NetworkRestart => Over::Answered,
            Self::Hang | Self::Partition => Over::After(blind),
            _ => Over::ByOthers,
        }
    }
}
