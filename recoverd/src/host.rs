//! Is it the host of a peer that is gone, its daemon, or the way between the daemons?
//!
//! A firewall rule that drops the cluster's traffic looks like a dead peer, while everything else of its host answers: field report R2, in
//! which both directors of a pair held the virtual address for a month because iptables dropped their heartbeat. Leases keep a second
//! holder from appearing here; this says what to repair. It is for people only: nothing is decided by it. CTDB shows DISCONNECTED.

use serde::{Deserialize, Serialize};

/// What came of connecting to the node service's port of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortSeen {
    /// Nothing came back in time.
    Nothing,
    /// A router or a firewall says that there is no way (`icmp-host-prohibited` and its like).
    NoWay,
    /// The host refuses: nobody listens. A firewall that rejects with `port-unreachable` looks the same.
    Refused,
    /// The connection was accepted, and nobody spoke.
    Mute,
}

/// What is seen of the host of a node that is not connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostSeen {
    /// The host answers, and what is sent to the node service's port is lost: the heartbeat is filtered.
    Filtered,
    /// The host answers, and no daemon listens.
    NoDaemon,
    /// The daemon is there and says nothing: it hangs, or was stopped.
    Mute,
    /// Nothing answers.
    Silent,
}

impl HostSeen {
    /// Judges one look; `alive`: the host answered otherwise (an echo, or any word of its TCP).
    #[must_use]
    pub fn judge(port: PortSeen, alive: bool) -> Self {
        match (port, alive) {
            (PortSeen::Refused, _) => Self::NoDaemon,
            (PortSeen::Mute, _) => Self::Mute,
            (PortSeen::Nothing | PortSeen::NoWay, true) => Self::Filtered,
            (PortSeen::Nothing | PortSeen::NoWay, false) => Self::Silent,
        }
    }

    /// In words, after "node 1: ".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Filtered => "peer alive, heartbeat filtered",
            Self::NoDaemon => "host alive, no daemon listens",
            Self::Mute => "host alive, its daemon says nothing",
            Self::Silent => "nothing answers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_living_host_whose_port_is_lost_is_filtered() {
        let all = [PortSeen::Nothing, PortSeen::NoWay, PortSeen::Refused, PortSeen::Mute];
        let judged = |alive| all.map(|port| HostSeen::judge(port, alive));
        use HostSeen::{Filtered, Mute, NoDaemon, Silent};
        assert_eq!(judged(true), [Filtered, Filtered, NoDaemon, Mute]);
        assert_eq!(judged(false), [Silent, Silent, NoDaemon, Mute], "who refuses or accepts is alive");
    }
}
