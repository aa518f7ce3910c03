//! `11.natgw`: one node of a group is the way out for those that have no public address. Built in, no fork.
//!
//! Mirrors CTDB's script of that name and its variables `CTDB_NATGW_*` (ctdb-script.options(5)). Without `CTDB_NATGW_NODES` nothing is
//! done. The gateway carries `CTDB_NATGW_PUBLIC_IP`, forwards and masquerades the private network and has fallback routes of metric 10
//! through `CTDB_NATGW_DEFAULT_GATEWAY`; all others have them through the gateway's private address. Who it is: `recoverd::group`, as for `ctdb natgw`. Differences
//! on purpose: only what changes is touched, and what is missing is set again after every run; masquerading is a table `ctdb_natgw` of
//! nftables; a group without a leader is said and leaves the routes out, but does not fail the run.
//!
//! | event | does |
//! | --- | --- |
//! | setup | refuses a configuration that cannot be right, with file and line |
//! | startup | the same; removes what an earlier life left; `arp_announce` |
//! | ipreallocated | gateway or follower, whichever this node is now |
//! | monitor | the configuration is right and the gateway's interface has a link, else it fails |
//! | shutdown | removes everything |

mod config;

use self::config::Config;
use crate::handler::{BoxFuture, Handled, Handler};
use crate::netif::NetIf;
use crate::options::Options;
use crate::routing::{MAIN_TABLE, Masquerade, Net, Route, Routing};
use ::config::node_group::Member;
use recoverd::group::Kind;
use recoverd::model::{Event, PublicAddress};
use recoverd::view::{NodeRow, StatusView};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

const NAME: &str = "11.natgw";

/// Fallback routes: behind those that the operator or a public address brings.
const METRIC: u32 = 10;

/// The built-in `11.natgw`.
pub struct NatGw {
    options: Options,
    public: watch::Receiver<Arc<[PublicAddress]>>,
    cluster: watch::Receiver<Option<Arc<StatusView>>>,
    netif: Arc<dyn NetIf>,
    routing: Arc<dyn Routing>,
    /// What was set.
    set: Mutex<Role>,
}

/// The gateway: the best node of the group that may lead.
fn leader<'a>(group: &[Member], cluster: &'a [NodeRow]) -> Option<&'a NodeRow> {
    let may = |n: &&NodeRow| group.iter().any(|m| !m.follower_only && m.addr == n.addr.to_canonical());
    Kind::Natgw.best(cluster.iter().filter(may)).first().copied()
}

/// Everything that a role consists of on this node.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Role {
    masquerade: Option<Masquerade>,
    address: Option<(String, Net)>,
    routes: Vec<Route>,
}

impl Role {
    fn leader(config: &Config) -> Self {
        let Some((iface, public)) = &config.public else { return Self::default() };
        let routes = config.routes.iter().filter_map(|(dest, own)| Some((*dest, own.or(config.gateway)?)));
        let IpAddr::V4(addr) = public.addr else { return Self::default() };
        Self {
            masquerade: Some(Masquerade { private: config.private, public: addr }),
            address: Some((iface.clone(), *public)),
            routes: routes.map(|(dest, gateway)| fallback(dest, gateway)).collect(),
        }
    }

    fn follower(config: &Config, leader: IpAddr) -> Self {
        let routes = config.routes.iter().map(|(dest, _)| fallback(*dest, leader)).collect();
        Self { masquerade: None, address: None, routes }
    }
}

fn fallback(dest: Net, gateway: IpAddr) -> Route {
    Route { dest, gateway: Some(gateway), iface: None, metric: Some(METRIC), table: MAIN_TABLE }
}

impl NatGw {
    /// With the options below `base` (`CTDB_BASE`), which are read at each event. `public` follows reloads; `cluster` is what this node
    /// knows of the nodes, as of the event.
    #[must_use]
    pub fn new(
        base: &Path,
        public: watch::Receiver<Arc<[PublicAddress]>>,
        cluster: watch::Receiver<Option<Arc<StatusView>>>,
        netif: Arc<dyn NetIf>,
        routing: Arc<dyn Routing>,
    ) -> Self {
        Self { options: Options::new(base, NAME), public, cluster, netif, routing, set: Mutex::default() }
    }

    fn cluster(&self) -> Option<Arc<StatusView>> {
        self.cluster.borrow().clone()
    }

    fn config(&self) -> Result<Option<Config>, String> {
        let me = self.cluster().and_then(|c| c.nodes.iter().find(|n| n.pnn == c.this_node).map(|n| n.addr));
        let config = Config::read(&self.options.read(), me)?;
        let same = |config: &Config| {
            let (_, ip) = config.public.as_ref()?;
            self.public.borrow().iter().any(|p| p.addr == ip.addr).then_some(ip.addr)
        };
        match config.as_ref().and_then(same) {
            Some(addr) => {
                Err(format!("ERROR: CTDB_NATGW_PUBLIC_IP same as a public address: {addr}; use another"))
            }
            None => Ok(config),
        }
    }

    async fn startup(&self) -> Result<String, String> {
        let Some(config) = self.config()? else { return Ok(String::new()) };
        // Either role may have been this node's; followers' routes are told by destination and metric alone.
        let mut left = Role::leader(&config);
        left.routes = config
            .routes
            .iter()
            .map(|(dest, _)| Route { gateway: None, ..fallback(*dest, dest.addr) })
            .collect();
        self.undo(&left).await?;
        self.routing.set_switch("ipv4/conf/all/arp_announce", "2").map_err(|e| e.to_string())?;
        Ok(String::new())
    }

    async fn ipreallocated(&self) -> Result<String, String> {
        let Some(config) = self.config()? else { return self.become_(Role::default()).await };
        let Some(cluster) = self.cluster() else { return Ok(String::new()) };
        let Some(leader) = leader(&config.nodes, &cluster.nodes) else {
            let output = self.become_(Role::default()).await?;
            return Ok([output.as_str(), "There is no NATGW leader node"].join("\n").trim().to_owned());
        };
        if leader.pnn == cluster.this_node {
            self.become_(Role::leader(&config)).await
        } else {
            self.become_(Role::follower(&config, leader.addr)).await
        }
    }

    /// Undoes what belongs to the former role only, and sets all of the new one.
    async fn become_(&self, role: Role) -> Result<String, String> {
        let mut set = self.set.lock().await;
        let same = |e: &Option<_>, now: &Option<_>| e == now;
        let gone = Role {
            masquerade: set.masquerade.filter(|_| role.masquerade.is_none()),
            address: set.address.clone().filter(|_| !same(&set.address, &role.address)),
            routes: set.routes.iter().filter(|r| !role.routes.contains(r)).cloned().collect(),
        };
        self.undo(&gone).await?;
        let output = self.apply(&role).await?;
        *set = role;
        Ok(output)
    }

    async fn undo(&self, role: &Role) -> Result<(), String> {
        if let Some((iface, net)) = &role.address {
            let done = self.routing.del_fixed_address(iface, net.addr, net.prefix).await;
            done.map_err(|e| e.to_string())?;
        }
        for route in &role.routes {
            self.routing.del_route(route).await.map_err(|e| e.to_string())?;
        }
        if role.masquerade.is_some() {
            self.routing.masquerade(None).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Routes that cannot be set are told; CTDB goes on without them too.
    async fn apply(&self, role: &Role) -> Result<String, String> {
        if let Some(masquerade) = &role.masquerade {
            self.routing.set_switch("ipv4/ip_forward", "1").map_err(|e| e.to_string())?;
            self.routing.masquerade(Some(masquerade)).await.map_err(|e| e.to_string())?;
        }
        if let Some((iface, net)) = &role.address {
            let done = self.routing.add_fixed_address(iface, net.addr, net.prefix).await;
            done.map_err(|e| e.to_string())?;
        }
        let mut output = Vec::new();
        for route in &role.routes {
            if let Err(e) = self.routing.add_route(route).await {
                output.push(e.to_string());
            }
        }
        Ok(output.join("\n"))
    }

    async fn monitor(&self) -> Result<String, String> {
        let Some((iface, _)) = self.config()?.and_then(|c| c.public) else { return Ok(String::new()) };
        let state = self.netif.observe().await.map_err(|e| e.to_string())?;
        if state.link_up(&iface) {
            Ok(String::new())
        } else {
            Err(format!("ERROR: No link on the NAT gateway's interface {iface}"))
        }
    }
}

impl Handler for NatGw {
    fn name(&self) -> &str {
        NAME
    }

    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async move {
            let done = match event {
                Event::Setup => self.config().map(|_| String::new()),
                Event::Startup => self.startup().await,
                Event::Ipreallocated => self.ipreallocated().await,
                Event::Monitor => self.monitor().await,
                Event::Shutdown => self.become_(Role::default()).await,
                _ => Ok(String::new()),
            };
            match done {
                Ok(output) => Handled { failed: false, output },
                Err(e) => Handled::failed(e),
            }
        })
    }
}

#[cfg(test)]
mod tests;
