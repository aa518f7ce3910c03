//! A client's TCP connection to a public address: what `addtickle` and `gettickles` speak of, and what a node that takes the
//! address wakes by a tickle ACK.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// One connection, as the server sees it. Both ends are of one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Connection {
    /// The client's end; CTDB calls it source.
    pub client: SocketAddr,
    /// The end at the public address; CTDB calls it destination.
    pub server: SocketAddr,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.client, self.server)
    }
}
