//! What the node tells about itself to the command line. Reads, decides nothing.

use super::Node;
use crate::model::{Mono, NodeFlags, Pnn, RunState, Tunables};
use crate::view::{IfaceRow, IpRow, NodeRow, StatusView};
use std::collections::BTreeSet;
use std::net::IpAddr;

impl Node {
    /// `ctdb status`.
    #[must_use]
    pub fn status(&self) -> StatusView {
        let nodes = (0u32..).map(Pnn).zip(&self.cfg.nodes);
        let row = |(pnn, n): (Pnn, &super::NodeConfig)| NodeRow {
            pnn,
            addr: n.addr,
            flags: if n.deleted { NodeFlags::DELETED } else { self.flags_of(pnn) },
            unknown: pnn != self.cfg.me && !n.deleted && self.runstate <= RunState::FirstRecovery,
            partially_online: if pnn == self.cfg.me {
                self.ips.partially_online()
            } else {
                self.peers.get(pnn).and_then(|p| p.state.as_ref()).is_some_and(|s| s.partially_online)
            },
            host: self.peers.get(pnn).and_then(|p| p.host),
        };
        StatusView {
            this_node: self.cfg.me,
            nodes: nodes.map(row).collect(),
            epoch: self.leader.epoch,
            leader: self.leader.pnn(),
            in_recovery: self.leader.pnn().is_none() || !self.leader.first_run_done,
            runstate: self.runstate,
        }
    }

    /// `ctdb ip`, in ascending order of address.
    #[must_use]
    pub fn ip_rows(&self) -> Vec<IpRow> {
        let row = |e: &super::ips::Entry| IpRow {
            addr: e.public.addr,
            prefix: e.public.prefix,
            owner: e.owner,
            active: self.ips.active_iface(e).map(str::to_owned),
            available: e.public.ifaces.iter().filter(|i| self.ips.kernel.link_up(i)).cloned().collect(),
            configured: e.public.ifaces.clone(),
            can_host: self.unavailable(e).is_none(),
        };
        self.ips.map.values().map(row).collect()
    }

    /// `ctdb ifaces`.
    #[must_use]
    pub fn iface_rows(&self) -> Vec<IfaceRow> {
        let refs = self.ips.references();
        let row = |name: &str| IfaceRow {
            name: name.to_owned(),
            up: self.ips.kernel.link_up(name),
            references: refs.get(name).copied().unwrap_or(0),
        };
        self.ips.ifaces().into_iter().map(row).collect()
    }

    /// Begin and end of the last takeover run that this node saw, for `ctdb uptime`.
    #[must_use]
    pub fn last_run(&self) -> Option<(Mono, Mono)> {
        self.controls.last_run
    }

    /// The tunables in force.
    #[must_use]
    pub fn tunables(&self) -> &Tunables {
        &self.tunables
    }

    /// Whether this is a public address of this node's configuration.
    #[must_use]
    pub fn is_public(&self, addr: IpAddr) -> bool {
        self.ips.map.contains_key(&addr.to_canonical())
    }

    /// Whether this node is the owner of the address in its own record.
    #[must_use]
    pub fn serves(&self, addr: IpAddr) -> bool {
        self.ips.map.get(&addr.to_canonical()).is_some_and(|e| e.owner == Some(self.cfg.me))
    }

    /// Public addresses that are neither ours nor on any interface: nothing here can answer for them, or will.
    #[must_use]
    pub fn absent_ips(&self) -> BTreeSet<IpAddr> {
        let gone = |e: &&super::ips::Entry| {
            e.owner != Some(self.cfg.me) && !e.busy() && self.ips.kernel.places(e.public.addr).is_empty()
        };
        self.ips.map.values().filter(gone).map(|e| e.public.addr).collect()
    }

    /// The recmaster, as far as this node knows; itself if it leads.
    #[must_use]
    pub fn recmaster(&self) -> Option<Pnn> {
        self.leader.pnn()
    }

    /// Whether this node may become recmaster.
    #[must_use]
    pub fn leader_capable(&self) -> bool {
        self.cfg.leader_capable
    }
}
