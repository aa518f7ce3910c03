//! What is refused and what is only remarked on. Every message is one line: `file:line: what is wrong; what to write instead`.

use super::ctdb_conf::{ConfFault, Ignored};
use super::nodes::NodesFault;
use super::place::Place;
use super::public_addresses::AddressFault;
use super::source::CommandFault;
use super::tunables_file::{Inert, TunableFault};
use recoverd::alloc::HomeNodesError;
use recoverd::model::Pnn;
use recoverd::model::tunables::Kind;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// All that cannot be right in the configuration, at least one thing; nothing of it was taken over. Printed, each stands on a line of
/// its own.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// One thing that cannot be right.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// In `ctdb.conf`, or in an option that stands for one of its keys.
    #[error("{place}: {fault}")]
    Conf {
        /// Where.
        place: Place,
        /// What.
        fault: ConfFault,
    },
    /// In the nodes list.
    #[error("{place}: {fault}")]
    Nodes {
        /// Where.
        place: Place,
        /// What.
        fault: NodesFault,
    },
    /// In `public_addresses`.
    #[error("{place}: {fault}")]
    PublicAddress {
        /// Where.
        place: Place,
        /// What.
        fault: AddressFault,
    },
    /// In a tunables file.
    #[error("{place}: {fault}")]
    Tunable {
        /// Where.
        place: Place,
        /// What.
        fault: TunableFault,
    },
    /// In `home_nodes`.
    #[error("{place}: {fault}")]
    HomeNodes {
        /// Where.
        place: Place,
        /// What.
        fault: HomeNodesError,
    },
    /// A file cannot be read.
    #[error("{}: cannot read it: {source}; {hint}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A file is not text.
    #[error("{place}: a byte here is not UTF-8 text; write the file as plain text")]
    NotText {
        /// Where.
        place: Place,
    },
    /// The nodes list command failed.
    #[error("nodes list command {command:?}: {fault}")]
    NodesCommand {
        /// The command with its arguments.
        command: String,
        /// How it failed.
        fault: CommandFault,
    },
    /// The addresses of this host cannot be listed.
    #[error(
        "cannot list the addresses of this host: {source}; set \"node address\" in the [cluster] section of ctdb.conf"
    )]
    LocalAddresses {
        /// What the system says.
        source: std::io::Error,
    },
}

impl ConfigError {
    /// Where the fault is; `None` when it is in no file.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Conf { place, .. }
            | Self::Nodes { place, .. }
            | Self::PublicAddress { place, .. }
            | Self::Tunable { place, .. }
            | Self::HomeNodes { place, .. }
            | Self::NotText { place } => Some(place.clone()),
            Self::Read { path, .. } => Some(Place::File(path.clone())),
            Self::NodesCommand { .. } | Self::LocalAddresses { .. } => None,
        }
    }
}

macro_rules! placed {
    ($($fault:ty => $variant:ident),*) => {$(
        impl From<(Place, $fault)> for ConfigError {
            fn from((place, fault): (Place, $fault)) -> Self {
                Self::$variant { place, fault }
            }
        }
    )*};
}
placed!(ConfFault => Conf, NodesFault => Nodes, AddressFault => PublicAddress, TunableFault => Tunable, HomeNodesError => HomeNodes);

/// Something an operator should know that does not keep the daemon from starting; one line when printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Keys of `ctdb.conf` that have no effect here.
    Ignored {
        /// The file.
        file: PathBuf,
        /// All of them.
        keys: Vec<Ignored>,
    },
    /// A comment in the nodes list takes a node number.
    CommentIsNode {
        /// The line.
        place: Place,
        /// The number it takes.
        pnn: Pnn,
    },
    /// A tunable that has no effect here.
    Inert {
        /// The line.
        place: Place,
        /// Which, and why.
        inert: Inert,
    },
    /// A public address in the network of the private addresses.
    PrivateNetwork {
        /// The line.
        place: Place,
        /// The public address.
        addr: IpAddr,
        /// This node's private address.
        own: IpAddr,
        /// Mask bits of the private network.
        prefix: u8,
    },
}

impl Warning {
    /// Where it is.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Ignored { file, .. } => Place::File(file.clone()),
            Self::CommentIsNode { place, .. }
            | Self::Inert { place, .. }
            | Self::PrivateNetwork { place, .. } => place.clone(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored { file, keys } => {
                write!(f, "{}: accepted without effect:", file.display())?;
                for (i, Ignored { name, line, near }) in keys.iter().enumerate() {
                    write!(f, "{} {name} (line {line}", if i == 0 { "" } else { "," })?;
                    if let Some(near) = near {
                        write!(f, "; is {near} meant?")?;
                    }
                    f.write_str(")")?;
                }
                Ok(())
            }
            Self::CommentIsNode { place, pnn } => {
                write!(
                    f,
                    "{place}: this comment takes node number {pnn} (a deleted node); keep it once the cluster runs, or remove it on all nodes before the first start"
                )
            }
            Self::Inert { place, inert } => match inert.kind {
                Kind::Database => {
                    write!(f, "{place}: {} is about CTDB's database and has no effect", inert.name)
                }
                _ => write!(f, "{place}: {} is obsolete and has no effect", inert.name),
            },
            Self::PrivateNetwork { place, addr, own, prefix } => {
                write!(
                    f,
                    "{place}: {addr} is in the network of the private address {own}/{prefix}; public addresses belong on another network"
                )
            }
        }
    }
}
