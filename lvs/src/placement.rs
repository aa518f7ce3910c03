//! Where a service is to be in the kernel, and which connection sync daemons run: what follows from the addresses of this node.
//!
//! A service belongs to the node that holds its address. On the others it is *prepared*: its checks run, and it stands in the kernel's
//! table already (as with keepalived, whose backups have the table, too), so that a fail-over needs no request and connections that were
//! told by the sync daemon find their destination. One case is different: a node that is itself a real server of the service gets
//! packets for the virtual address from the director, and with the service in its own table would forward them again, round and round.
//! There the service comes into the table with the address and goes with it. Marks, and addresses that the cluster does not move, are
//! active everywhere.

use crate::config::Config;
use crate::ipvs::Role;
use crate::model::{ServiceId, Table};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The addresses that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// Addresses that the cluster moves.
    pub public: BTreeSet<IpAddr>,
    /// Those of them that this node holds.
    pub held: BTreeSet<IpAddr>,
    /// All addresses of this host.
    pub local: BTreeSet<IpAddr>,
}

/// What a service is on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Its address is here, or it has none that the cluster moves.
    Active,
    /// Its address is elsewhere; it stands ready in the table.
    Prepared,
    /// Its address is elsewhere, and this node is one of its real servers: not in the table.
    RealServer,
}

impl Here {
    /// What a service with these real servers is here.
    #[must_use]
    pub fn place(&self, id: &ServiceId, servers: &[IpAddr]) -> Place {
        match id.vip() {
            Some(vip) if self.public.contains(&vip) && !self.held.contains(&vip) => {
                let serves = servers.iter().any(|addr| self.local.contains(addr));
                if serves { Place::RealServer } else { Place::Prepared }
            }
            _ => Place::Active,
        }
    }

    /// What each service of a configuration is here, whatever the health of its real servers.
    #[must_use]
    pub fn places(&self, config: &Config) -> BTreeMap<ServiceId, Place> {
        let mut places = BTreeMap::new();
        for vs in &config.virtual_servers {
            let sorry = vs.sorry.iter().map(|s| s.addr);
            let servers: Vec<IpAddr> = vs.real_servers.iter().map(|r| r.addr).chain(sorry).collect();
            places.extend(vs.services.keys().map(|id| (*id, self.place(id, &servers))));
        }
        places
    }

    /// Addresses for `ha_suspend`: a check rests while its service's address is not among them.
    #[must_use]
    pub fn present(&self) -> BTreeSet<IpAddr> {
        self.local.iter().filter(|a| !self.public.contains(a)).chain(&self.held).copied().collect()
    }

    /// Which sync daemons are to run: master while any service is active here, backup while any is not. A kernel can run both.
    #[must_use]
    pub fn roles<'a>(&self, services: impl IntoIterator<Item = &'a ServiceId>) -> Vec<Role> {
        let (mut master, mut backup) = (false, false);
        for vip in services.into_iter().filter_map(ServiceId::vip) {
            if !self.public.contains(&vip) || self.held.contains(&vip) {
                master = true
            } else {
                backup = true
            }
        }
        [(master, Role::Master), (backup, Role::Backup)]
            .into_iter()
            .filter(|(on, _)| *on)
            .map(|(_, r)| r)
            .collect()
    }
}

/// Takes out of the wanted table what must not be in it here.
pub fn lay_over(table: &mut Table, places: &BTreeMap<ServiceId, Place>) {
    table.services.retain(|id, _| places.get(id) != Some(&Place::RealServer));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Family, Protocol, Service};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn id(vip: &str) -> ServiceId {
        ServiceId::addr(ip(vip), 80, Protocol::Tcp)
    }

    fn here(held: &[&str]) -> Here {
        let public = ["192.0.2.1", "192.0.2.2"].map(ip).into();
        let held: BTreeSet<IpAddr> = held.iter().copied().map(ip).collect();
        let local = [ip("10.0.0.1"), ip("127.0.0.1")].into_iter().chain(held.iter().copied()).collect();
        Here { public, held, local }
    }

    #[test]
    fn a_service_is_active_where_its_address_is() {
        let far = [ip("10.0.0.8"), ip("10.0.0.9")];
        assert_eq!(here(&["192.0.2.1"]).place(&id("192.0.2.1"), &far), Place::Active);
        assert_eq!(here(&["192.0.2.1"]).place(&id("192.0.2.2"), &far), Place::Prepared);
        assert_eq!(here(&[]).place(&id("198.51.100.1"), &far), Place::Active, "not the cluster's to move");
        let mark = ServiceId::Fwmark { mark: 5, family: Family::Inet };
        assert_eq!(here(&[]).place(&mark, &far), Place::Active);
    }

    #[test]
    fn a_real_server_that_is_not_the_director_has_no_table() {
        let near = [ip("10.0.0.1"), ip("10.0.0.9")];
        assert_eq!(here(&["192.0.2.1"]).place(&id("192.0.2.1"), &near), Place::Active);
        assert_eq!(here(&[]).place(&id("192.0.2.1"), &near), Place::RealServer);
        let mut table = Table::new();
        for vip in ["192.0.2.1", "192.0.2.2"] {
            table.services.insert(id(vip), Service::default());
        }
        let places = [(id("192.0.2.1"), Place::RealServer), (id("192.0.2.2"), Place::Prepared)].into();
        lay_over(&mut table, &places);
        assert_eq!(table.services.keys().copied().collect::<Vec<_>>(), [id("192.0.2.2")]);
    }

    #[test]
    fn sync_daemons_follow_the_addresses() {
        let ids = [id("192.0.2.1"), id("192.0.2.2")];
        assert_eq!(here(&["192.0.2.1", "192.0.2.2"]).roles(&ids), [Role::Master]);
        assert_eq!(here(&["192.0.2.1"]).roles(&ids), [Role::Master, Role::Backup]);
        assert_eq!(here(&[]).roles(&ids), [Role::Backup]);
        assert_eq!(here(&[]).roles(&[]), []);
    }

    #[test]
    fn an_address_on_loopback_is_not_held() {
        let mut h = here(&[]);
        h.local.insert(ip("192.0.2.1"));
        assert!(!h.present().contains(&ip("192.0.2.1")));
        assert!(h.present().contains(&ip("10.0.0.1")));
    }
}
