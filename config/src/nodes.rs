//! The `nodes` list: which nodes there are, and which of them this one is.
//!
//! Pure: the text and the addresses of this host are arguments. As in CTDB the position of a line is the node's number, a line
//! that starts with `#` is a DELETED placeholder that consumes a number (also when it was meant as a comment: that gets a
//! warning here), blank lines are skipped.

use super::parsed::Parsed;
use super::place::{Place, quote};
use recoverd::model::Pnn;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One node of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLine {
    /// Its number.
    pub pnn: Pnn,
    /// Its private address; `None` for a placeholder of a deleted node.
    pub addr: Option<IpAddr>,
    /// Its line, from 1.
    pub line: usize,
}

/// The whole list; entry `i` is node `i`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// The file, or `!command`.
    pub source: PathBuf,
    /// All nodes, deleted ones too.
    pub lines: Vec<NodeLine>,
    /// Lines whose `#` line is no address, and so probably a comment that takes a number.
    pub comments: Vec<(Pnn, usize)>,
    /// Addresses in placeholder lines, for the message when one of them is this host's.
    deleted: Vec<(IpAddr, usize)>,
}

/// What can be wrong with a nodes list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodesFault {
    /// Not an address.
    #[error("{text} is not a node address; {hint}")]
    Invalid {
        /// The line, quoted.
        text: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// An address that no node can have.
    #[error("{addr} is {what} and cannot be a node's address; write the node's private address")]
    Unusable {
        /// The address.
        addr: IpAddr,
        /// What it is.
        what: &'static str,
    },
    /// The same address twice.
    #[error("{addr} stands already on line {first} ({file}:{first}); give each node one line")]
    Duplicate {
        /// The address.
        addr: IpAddr,
        /// Where it stood first.
        first: usize,
        /// The file, again.
        file: String,
    },
    /// No node at all.
    #[error("names no node; write the private address of each node on a line of its own")]
    Empty,
    /// None of the nodes is this host.
    #[error(
        "none of its addresses is on this host (here: {here}); add this node's private address as a line of its own, the same on all nodes, or set \"node address\" in the [cluster] section of ctdb.conf"
    )]
    NotHere {
        /// Addresses of this host.
        here: AddressList,
    },
    /// The node address of the configuration is not in the list.
    #[error(
        "does not contain this node's address {addr} (from {from}); add it as a line of its own, the same on all nodes, or correct the setting"
    )]
    NotListed {
        /// The address that was configured.
        addr: IpAddr,
        /// Where.
        from: &'static str,
    },
    /// This host's line is a placeholder.
    #[error(
        "{addr} is this host and its line says that the node is deleted; remove the \"#\" to bring the node back, or do not start ctdbd here"
    )]
    Deleted {
        /// The address behind the `#`.
        addr: IpAddr,
    },
    /// More than one of the nodes is this host.
    #[error(
        "two of its addresses are on this host: {first} (line {first_line}) and {second} (line {second_line}); set \"node address\" in the [cluster] section of ctdb.conf to this node's own"
    )]
    TwoHere {
        /// One.
        first: IpAddr,
        /// Its line.
        first_line: usize,
        /// The other.
        second: IpAddr,
        /// Its line.
        second_line: usize,
    },
}

/// Addresses for a message: the first few of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressList(pub Vec<IpAddr>);

impl fmt::Display for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        if self.0.is_empty() {
            return f.write_str("no address");
        }
        for (i, addr) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{addr}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Nodes {
    /// Reads the text of a nodes list. A wrong line takes a number like any other.
    pub fn parse(text: &str, file: &Path) -> Parsed<Self, NodesFault> {
        let mut faults = Vec::new();
        let mut nodes =
            Self { source: file.to_owned(), lines: Vec::new(), comments: Vec::new(), deleted: Vec::new() };
        for (index, raw) in text.lines().enumerate() {
            let (line, text) = (index + 1, raw.trim());
            let Ok(number) = u32::try_from(nodes.lines.len()) else { break };
            let pnn = Pnn(number);
            if text.is_empty() {
                continue;
            }
            let addr = if let Some(rest) = text.strip_prefix('#') {
                match rest.trim().parse::<IpAddr>() {
                    Ok(addr) => nodes.deleted.push((addr.to_canonical(), line)),
                    Err(_) => nodes.comments.push((pnn, line)),
                }
                None
            } else {
                nodes.new_address(text).map_err(|fault| faults.push((Place::line(file, line), fault))).ok()
            };
            nodes.lines.push(NodeLine { pnn, addr, line });
        }
        if faults.is_empty() && nodes.lines.iter().all(|n| n.addr.is_none()) {
            faults.push((Place::File(file.to_owned()), NodesFault::Empty));
        }
        Parsed { value: nodes, faults }
    }

    /// The address of a line, which no line before it may have.
    fn new_address(&self, text: &str) -> Result<IpAddr, NodesFault> {
        let addr = address(text)?;
        match self.lines.iter().find(|n| n.addr == Some(addr)) {
            Some(NodeLine { line: first, .. }) => {
                Err(NodesFault::Duplicate { addr, first: *first, file: self.source.display().to_string() })
            }
            None => Ok(addr),
        }
    }

    /// Which of the nodes is this one: the one with the configured address, or else the only one whose address this host has.
    ///
    /// # Errors
    /// No such node, or more than one.
    pub fn own(
        &self,
        configured: Option<(IpAddr, &'static str)>,
        here: &[IpAddr],
    ) -> Result<(Pnn, IpAddr), (Place, NodesFault)> {
        let whole = || Place::File(self.source.clone());
        let active = || self.lines.iter().filter_map(|n| n.addr.map(|addr| (n.pnn, addr, n.line)));
        if let Some((addr, from)) = configured {
            if let Some((pnn, addr, _)) = active().find(|(_, a, _)| *a == addr.to_canonical()) {
                return Ok((pnn, addr));
            }
            self.not_deleted(&[addr.to_canonical()])?;
            return Err((whole(), NodesFault::NotListed { addr, from }));
        }
        let here: Vec<IpAddr> = here.iter().map(IpAddr::to_canonical).collect();
        let mut mine = active().filter(|(_, addr, _)| here.contains(addr));
        match (mine.next(), mine.next()) {
            (Some((pnn, addr, _)), None) => Ok((pnn, addr)),
            (Some((_, first, first_line)), Some((_, second, second_line))) => {
                Err((whole(), NodesFault::TwoHere { first, first_line, second, second_line }))
            }
            (None, _) => {
                self.not_deleted(&here)?;
                Err((whole(), NodesFault::NotHere { here: AddressList(here) }))
            }
        }
    }

    /// Refuses when one of these addresses stands in a placeholder line.
    fn not_deleted(&self, mine: &[IpAddr]) -> Result<(), (Place, NodesFault)> {
        match self.deleted.iter().find(|(addr, _)| mine.contains(addr)) {
            Some((addr, line)) => {
                Err((Place::line(&self.source, *line), NodesFault::Deleted { addr: *addr }))
            }
            None => Ok(()),
        }
    }
}

/// A node's address, in its canonical form.
fn address(text: &str) -> Result<IpAddr, NodesFault> {
    let Ok(addr) = text.parse::<IpAddr>() else {
        let hint = if text.contains(char::is_whitespace) {
            "write the address alone on its line, without anything behind it"
        } else if text.contains('/') {
            "write it without the mask"
        } else if text.contains('%') {
            "write it without the interface"
        } else {
            "write one IP address per line, no host name and no port"
        };
        return Err(NodesFault::Invalid { text: quote(text), hint });
    };
    let addr = addr.to_canonical();
    let what = if addr.is_unspecified() {
        "the unspecified address"
    } else if addr.is_multicast() {
        "a multicast address"
    } else if addr == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        "the broadcast address"
    } else {
        return Ok(addr);
    };
    Err(NodesFault::Unusable { addr, what })
}

#[cfg(test)]
mod tests;
