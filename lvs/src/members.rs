//! Cluster members as real servers: what CTDB's `91.lvs` makes of a group of nodes, as virtual servers of the director.
//!
//! Who leads the group and which nodes can be used is decided by `recoverd::group`. Here that becomes the service: every port of TCP and of
//! UDP (a service without a port, so the kernel wants persistence), least connections, direct routing, each usable node with weight 1,
//! the leader itself by 127.0.0.1. No checks: the cluster's own health of nodes says who is in the list. As these are virtual servers like
//! those of `virtual_servers.conf`, one owner has the whole table, and a change of the list is a difference: one node, one request
//! for each protocol.

use crate::config::Config;
use crate::config::report::Place;
use crate::config::types::{RealServer, VirtualServer};
use crate::model::{
    Family, Forward, Granularity, Persistence, Protocol, Scheduler, ServiceId, ServiceSettings,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The name in `ctdb lvs services`.
pub const NAME: &str = "cluster members";
/// Seconds for which a client stays with its node (`-p 1999999` in CTDB's script): 23 days, in effect for ever.
pub const PERSISTENCE: u32 = 1_999_999;

/// The group on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// `CTDB_LVS_PUBLIC_IP`.
    pub vip: Ipv4Addr,
    /// Where that is configured.
    pub at: Place,
    /// This node leads.
    pub leads: bool,
    /// Private addresses of the usable nodes, when this node leads.
    pub nodes: Vec<IpAddr>,
    /// This node's own.
    pub me: IpAddr,
}

impl Members {
    /// Which services a leader has.
    #[must_use]
    pub fn services(&self) -> [ServiceId; 2] {
        [Protocol::Tcp, Protocol::Udp].map(|p| ServiceId::addr(self.vip.into(), 0, p))
    }

    /// The services of a leader; a node that does not lead has none, since the leader's packets end there.
    #[must_use]
    pub fn virtual_servers(&self) -> Vec<VirtualServer> {
        if !self.leads {
            return Vec::new();
        }
        let settings = ServiceSettings {
            scheduler: Scheduler::new("lc").unwrap_or_default(),
            persistence: Some(Persistence {
                timeout: PERSISTENCE,
                granularity: Granularity::host(Family::Inet),
                engine: None,
            }),
            ..ServiceSettings::default()
        };
        let own = |addr: IpAddr| if addr == self.me { Ipv4Addr::LOCALHOST.into() } else { addr };
        vec![VirtualServer {
            name: NAME.to_owned(),
            at: self.at.clone(),
            services: self.services().into_iter().map(|id| (id, settings.clone())).collect(),
            ha_suspend: false,
            omega: false,
            quorum: 1,
            hysteresis: 0,
            quorum_up: None,
            quorum_down: None,
            sorry: None,
            drain_timeout: Duration::ZERO,
            real_servers: self.nodes.iter().map(|addr| self.real_server(own(*addr))).collect(),
        }]
    }

    fn real_server(&self, addr: IpAddr) -> RealServer {
        RealServer {
            at: self.at.clone(),
            addr,
            port: None,
            weight: 1,
            forward: Forward::Dr,
            upper: 0,
            lower: 0,
            inhibit_on_failure: false,
            notify_up: None,
            notify_down: None,
            checks: Vec::new(),
        }
    }

    /// A service that the file has, too: nobody could say whose it is. In words, with both places.
    #[must_use]
    pub fn conflict(&self, file: &Config) -> Option<String> {
        let ours = self.services();
        file.virtual_servers.iter().find_map(|vs| {
            let id = vs.services.keys().find(|id| ours.contains(id))?;
            Some(format!(
                "{}: {id} is also the service of the LVS group ({}: CTDB_LVS_PUBLIC_IP={}); remove the virtual_server, or give it a port",
                vs.at, self.at, self.vip
            ))
        })
    }

    /// The services of the group after those of the file.
    #[must_use]
    pub fn with(&self, file: Config) -> Config {
        let mut config = file;
        config.virtual_servers.extend(self.virtual_servers());
        config
    }
}

#[cfg(test)]
mod tests;
