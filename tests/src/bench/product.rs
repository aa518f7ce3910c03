//! What a product must be able to do to be measured: start, be asked, stop, die.

use crate::lab::{Lab, LabError, Process};
use clap::ValueEnum;
use std::net::IpAddr;
use std::time::Duration;

/// The products.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// ctdb-ip, LeaseTime 1000, a lock file.
    Ours,
    /// ctdb-ip, LeaseTime 200 (profile fast), a lock file.
    OursFast,
    /// ctdb-ip, LeaseTime 1000, lock `quorum`.
    OursQuorum,
    /// Samba CTDB of Debian, all defaults, a lock file.
    Ctdb,
    /// keepalived of Debian, advert_int 1.
    Keepalived,
    /// keepalived of Debian, advert_int 0.1.
    KeepalivedFast,
}

impl Peer {
    /// The heading of its column.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Ours => "ctdb-ip",
            Self::OursFast => "ctdb-ip fast (200 ms)",
            Self::OursQuorum => "ctdb-ip, quorum",
            Self::Ctdb => "CTDB",
            Self::Keepalived => "keepalived 1 s",
            Self::KeepalivedFast => "keepalived 0.1 s",
        }
    }

    /// Whether it is ctdb-ip.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Ours | Self::OursFast | Self::OursQuorum)
    }
}

/// A product on the nodes of a lab.
pub(super) trait Product {
    /// Writes its configuration for every node. Called once, before anything else.
    fn prepare(&mut self, lab: &Lab, addresses: &[IpAddr], iface: &str) -> Result<(), LabError>;

    /// Starts it on a node.
    fn start(&mut self, lab: &Lab, node: usize) -> Result<Process, LabError>;

    /// The node that decides, once there is one.
    fn leader(&self, lab: &Lab) -> Result<usize, LabError>;

    /// Takes a node out of service; false where there is no such command.
    fn disable(&self, lab: &Lab, node: usize, disable: bool) -> Result<bool, LabError>;

    /// Moves an address; false where there is no such command.
    fn move_ip(&self, lab: &Lab, address: IpAddr, to: usize) -> Result<bool, LabError>;

    /// Ends it in order on a node.
    fn stop(&self, lab: &Lab, node: usize, process: &Process) -> Result<(), LabError>;

    /// Processes that live on when "the daemon" is killed, because they are there for that; given the daemon's number.
    fn survivors(&self, _daemon: i32) -> Vec<i32> {
        Vec::new()
    }

    /// Cuts a node off from what the nodes say to each other, not from the clients; or joins it again.
    fn cut(&self, lab: &Lab, node: usize, cut: bool) -> Result<(), LabError> {
        if cut { lab.cut_private(node) } else { lab.heal_private(node) }
    }

    /// How long to watch when the client may notice nothing: more than the product needs to give up a silent node.
    fn blind(&self) -> Duration;

    /// Whether its addresses are balanced over the nodes (keepalived has all on one).
    fn balances(&self) -> bool;

    /// How long until it has settled, at most.
    fn patience(&self) -> Duration;
}

/// Runs a command on a node to its end; an error with its words if it fails.
pub(super) fn run(lab: &Lab, node: usize, program: &str, args: &[&str]) -> Result<String, LabError> {
    let output = lab.node(node).command(program).args(args).output(Duration::from_secs(60))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(LabError::Refused(format!(
        "`{program} {}` on node {node} ended with {}: {}{}",
        args.join(" "),
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )))
}
