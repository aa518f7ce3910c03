//! Why there is no gate, in words for an operator.

use super::nfnl::{Family, Op, Refusal};
use nix::errno::Errno;
use std::io;
use std::time::Duration;

/// The gate cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// No netlink socket for nf_tables.
    #[error(
        "cannot open a netlink socket for nf_tables: {0}; the gate needs a Linux kernel with nf_tables (CONFIG_NF_TABLES)"
    )]
    Socket(#[source] io::Error),
    /// The kernel has no nf_tables.
    #[error(
        "the kernel has no nf_tables ({0:?}); load the module (modprobe nf_tables) or use a kernel with CONFIG_NF_TABLES"
    )]
    Missing(Errno),
    /// No right to change packet filters.
    #[error("no permission to make nftables tables; ctdbd needs CAP_NET_ADMIN in its network namespace")]
    NotPermitted,
    /// The tables belong to a living process.
    #[error(
        "the nftables tables ctdb_gate belong to another process; end the other ctdbd in this network namespace first"
    )]
    Owned,
    /// The kernel refused a part.
    #[error("the kernel refused to {what} of the nftables tables ctdb_gate: {errno:?} ({}); the gate needs Linux 5.3 or later with nft sets in inet and arp", errno.desc())]
    Refused {
        /// What was asked.
        what: String,
        /// Why the kernel said no.
        errno: Errno,
    },
    /// The sockets for ticks cannot be had or used.
    #[error("cannot send ticks over lo: {0}; the gate needs lo to be up (ip link set lo up) and CAP_NET_RAW")]
    Tick(#[source] io::Error),
    /// Ticks are sent and tables stand, but the tables do not see the ticks.
    #[error(
        "ticks over lo do not reach nftables table {family} ctdb_gate; look for a filter on lo that comes before it (nft list ruleset, tc filter show dev lo)"
    )]
    Deaf {
        /// The table's family.
        family: &'static str,
    },
    /// No thread to watch the tables.
    #[error("cannot start the thread that watches the gate's tables: {0}")]
    Thread(#[source] io::Error),
    /// A lease time that the gate cannot keep.
    #[error("lease time {0:?} is not between 100 ms and 60 s; set LeaseTime to a value in that range")]
    LeaseTime(Duration),
}

impl From<Refusal> for GateError {
    fn from(refusal: Refusal) -> Self {
        let errno = refusal.errno;
        match (refusal.what, errno) {
            (None, Errno::EPERM) => Self::NotPermitted,
            (Some((Op::NewTable | Op::DelTable, _)), Errno::EPERM) => Self::Owned,
            (None, Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EINVAL) => Self::Missing(errno),
            (what, errno) => Self::Refused { what: what.map_or_else(whole, part), errno },
        }
    }
}

fn whole() -> String {
    "take the transaction".to_owned()
}

fn part((op, family): (Op, Family)) -> String {
    let verb = match op {
        Op::NewTable => "add the table",
        Op::GetTable => "show the table",
        Op::DelTable => "delete the table",
        Op::NewChain => "add a chain",
        Op::NewRule => "add a rule",
        Op::NewSet => "add a set",
        Op::NewElements => "add elements to a set",
        Op::GetElements => "show elements of a set",
        Op::DelElements => "delete elements of a set",
    };
    format!("{verb} (family {})", name(family))
}

/// The family's name in nft.
pub(super) fn name(family: Family) -> &'static str {
    match family {
        Family::Inet => "inet",
        Family::Arp => "arp",
        Family::Netdev => "netdev",
    }
}
