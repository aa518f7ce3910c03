//! The daemon's configuration: CTDB's own files, read once at start and again on reload.
//!
//! Parsers ([`tini`], [`ctdb_conf`], [`nodes`], [`public_addresses`], [`tunables_file`] and those of scripts' files) are pure functions of
//! text; [`Config::load`] reads the daemon's files and puts the command line over them, as CTDB does. A configuration that cannot be
//! right is refused as a whole, with one line for each fault that names file, line and remedy; the caller keeps the running one. What is
//! merely without effect comes back as [`Warning`]s. Interfaces are not looked at here (DESIGN §9). [`check`] looks at everything
//! below a configuration directory, also what only scripts read, without a daemon.

pub mod check;
pub mod cli;
pub mod ctdb_conf;
mod error;
mod level;
mod load;
pub mod node_group;
pub mod nodes;
mod parsed;
mod paths;
mod place;
pub mod public_addresses;
pub mod routing;
pub mod shell;
mod source;
pub mod tini;
pub mod tunables_file;
mod variables;

pub use ctdb_conf::{ClusterLock, CtdbConf, EtcdLock, EtcdTls, LOCK_LOSS_TIME, NodesSource};
pub use error::{ConfigError, ConfigErrors, Warning};
pub use level::{BadLevel, BadLocation, LogLevel, LogLocation, Syslog};
pub use load::{check_against_nodes, load_nodes, load_public_addresses, load_tunables};
pub use nodes::{NodeLine, Nodes};
pub use parsed::Parsed;
pub use paths::Paths;
pub use place::Place;
pub use source::CommandFault;

use recoverd::alloc::HomeNodes;
use recoverd::model::{Pnn, PublicAddress, Tunables};
use std::net::IpAddr;
use std::path::PathBuf;

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard error: `-i` without `--logging`.
    Stderr,
    /// Where the configuration says.
    Location(LogLocation),
}

/// An address of this host with the mask of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub addr: IpAddr,
    /// Mask bits.
    pub prefix: u8,
}

/// Everything the daemon was told, with the command line already applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Directories and socket.
    pub paths: Paths,
    /// `ctdb.conf` under the command line.
    pub conf: CtdbConf,
    /// Where the log goes.
    pub log: LogTarget,
    /// Where the pid is written.
    pub pid_file: PathBuf,
    /// TCP port of the node service, on all nodes.
    pub port: u16,
    /// The script to run when an event hangs, absolute.
    pub debug_script: Option<PathBuf>,
    /// Where the nodes list comes from.
    pub nodes_source: NodesSource,
    /// All nodes.
    pub nodes: Nodes,
    /// This node's number.
    pub pnn: Pnn,
    /// This node's private address.
    pub address: IpAddr,
    /// Addresses this node may serve, in the order of the file.
    pub public_addresses: Vec<PublicAddress>,
    /// Values of all tunables.
    pub tunables: Tunables,
    /// `home_nodes`; empty when there is none.
    pub home_nodes: HomeNodes,
    /// What to tell the operator.
    pub warnings: Vec<Warning>,
}

/// The addresses of this host's interfaces, those that are down too.
///
/// # Errors
/// What the system says.
pub fn local_addresses() -> std::io::Result<Vec<LocalAddress>> {
    let of = |storage: &nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    let bits = |mask: IpAddr| match mask {
        IpAddr::V4(m) => u32::from(m).count_ones(),
        IpAddr::V6(m) => u128::from(m).count_ones(),
    };
    let all = nix::ifaddrs::getifaddrs().map_err(std::io::Error::from)?;
    Ok(all
        .filter_map(|interface| {
            let addr = of(&interface.address?)?;
            let prefix = interface.netmask.as_ref().and_then(of).map_or(128, bits);
            Some(LocalAddress { addr, prefix: u8::try_from(prefix).unwrap_or(128) })
        })
        .collect())
}

#[cfg(test)]
mod tests;
