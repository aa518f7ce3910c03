//! Lines of the configuration files and connections of clients.

use super::{WireError, addr_bytes, addr_from};
use crate::v1;
use recoverd::model::{Connection, PublicAddress};
use recoverd::node::NodeConfig;
use std::net::SocketAddr;

/// A port, 0 to 65535.
pub(super) fn port_from(field: &'static str, port: u32) -> Result<u16, WireError> {
    u16::try_from(port).map_err(|_| WireError::new(field, format!("there is no port {port}")))
}

impl From<&PublicAddress> for v1::PublicAddress {
    fn from(p: &PublicAddress) -> Self {
        Self { addr: addr_bytes(p.addr), prefix: p.prefix.into(), ifaces: p.ifaces.clone() }
    }
}

impl TryFrom<v1::PublicAddress> for PublicAddress {
    type Error = WireError;
    fn try_from(m: v1::PublicAddress) -> Result<Self, WireError> {
        let addr = addr_from("PublicAddress.addr", &m.addr)?;
        let longest = if addr.is_ipv4() { 32 } else { 128 };
        let prefix = u8::try_from(m.prefix).ok().filter(|p| (1..=longest).contains(p)).ok_or_else(|| {
            WireError::new("PublicAddress.prefix", format!("{} is not 1 to {longest}", m.prefix))
        })?;
        if m.ifaces.is_empty() {
            return Err(WireError::new("PublicAddress.ifaces", "no interface"));
        }
        Ok(Self { addr, prefix, ifaces: m.ifaces })
    }
}

impl From<&NodeConfig> for v1::NodeLine {
    fn from(n: &NodeConfig) -> Self {
        Self { addr: addr_bytes(n.addr), deleted: n.deleted }
    }
}

impl TryFrom<v1::NodeLine> for NodeConfig {
    type Error = WireError;
    fn try_from(m: v1::NodeLine) -> Result<Self, WireError> {
        Ok(Self { addr: addr_from("NodeLine.addr", &m.addr)?, deleted: m.deleted })
    }
}

impl From<&Connection> for v1::Connection {
    fn from(c: &Connection) -> Self {
        Self {
            client: addr_bytes(c.client.ip()),
            client_port: c.client.port().into(),
            server: addr_bytes(c.server.ip()),
            server_port: c.server.port().into(),
        }
    }
}

impl TryFrom<v1::Connection> for Connection {
    type Error = WireError;
    fn try_from(m: v1::Connection) -> Result<Self, WireError> {
        let client = addr_from("Connection.client", &m.client)?;
        let server = addr_from("Connection.server", &m.server)?;
        if client.is_ipv4() != server.is_ipv4() {
            return Err(WireError::new("Connection.client", "is of another address family than the server"));
        }
        Ok(Self {
            client: SocketAddr::new(client, port_from("Connection.client_port", m.client_port)?),
            server: SocketAddr::new(server, port_from("Connection.server_port", m.server_port)?),
        })
    }
}
