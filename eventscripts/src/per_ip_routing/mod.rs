//! `13.per_ip_routing`: what a public address sends is routed by a table of its own. Built in, no fork.
//!
//! Mirrors CTDB's script of that name and its variables `CTDB_PER_IP_ROUTING_{CONF,RULE_PREF,TABLE_ID_LOW,TABLE_ID_HIGH}`
//! (ctdb-script.options(5)). Without `CTDB_PER_IP_ROUTING_CONF` nothing is done. Every address with lines in the configuration gets a
//! rule `from ADDR pref PREF table N` and the routes of its lines in table `N`, on the interface that carries it. Differences on
//! purpose: tables are numbers, `/etc/iproute2/rt_tables` is left alone (which table is whose stands in `ip rule`); addresses
//! of IPv6 are routed too; a release never fails for the sake of the configuration.
//!
//! | event | does |
//! | --- | --- |
//! | setup | refuses a configuration that cannot be right, with file and line |
//! | startup | removes all rules of the priority and their tables; `arp_filter` |
//! | takeip, updateip | sets rule and routes |
//! | releaseip | removes them |
//! | ipreallocated | sets what is missing for addresses that are here, removes what is for others |
//! | shutdown | as startup |

mod config;

use self::config::{Config, Line};
use crate::handler::{BoxFuture, Handled, Handler};
use crate::netif::NetIf;
use crate::options::Options;
use crate::routing::{Route, Routing, Rule};
use recoverd::model::{Event, PublicAddress};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

const NAME: &str = "13.per_ip_routing";

/// The built-in `13.per_ip_routing`.
pub struct PerIpRouting {
    options: Options,
    public: watch::Receiver<Arc<[PublicAddress]>>,
    netif: Arc<dyn NetIf>,
    routing: Arc<dyn Routing>,
    /// Which table is whose, for ever: there are no more of them than public addresses.
    tables: Mutex<BTreeMap<IpAddr, u32>>,
}

impl PerIpRouting {
    /// With the options below `base` (`CTDB_BASE`), which are read at each event; `public` follows reloads.
    #[must_use]
    pub fn new(
        base: &Path,
        public: watch::Receiver<Arc<[PublicAddress]>>,
        netif: Arc<dyn NetIf>,
        routing: Arc<dyn Routing>,
    ) -> Self {
        Self { options: Options::new(base, NAME), public, netif, routing, tables: Mutex::default() }
    }

    fn config(&self) -> Result<Option<Config>, String> {
        Config::read(&self.options.read())
    }

    fn public(&self) -> Arc<[PublicAddress]> {
        Arc::clone(&self.public.borrow())
    }

    /// The table of an address, a free one if it has none yet.
    fn table(&self, addr: IpAddr, config: &Config) -> Result<u32, String> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&addr).filter(|t| config.tables.contains(t)) {
            return Ok(*table);
        }
        let free = config.tables.clone().find(|t| !tables.values().any(|used| used == t));
        let table = free.ok_or_else(|| {
            let (low, high) = (config.tables.start(), config.tables.end());
            format!(
                "{addr}: out of table ids in range {low} - {high}; raise CTDB_PER_IP_ROUTING_TABLE_ID_HIGH"
            )
        })?;
        tables.insert(addr, table);
        Ok(table)
    }

    /// Sets the rule of an address and its routes on an interface; what is there already stays.
    async fn set(&self, iface: &str, addr: IpAddr, lines: &[Line], config: &Config) -> Result<(), String> {
        if lines.is_empty() {
            return Ok(());
        }
        let table = self.table(addr, config)?;
        let rule = Rule { from: addr, pref: config.pref, table };
        self.routing.add_rule(&rule).await.map_err(|e| e.to_string())?;
        for (dest, gateway) in lines {
            let iface = Some(iface.to_owned());
            let route = Route { dest: *dest, gateway: *gateway, iface, metric: None, table };
            self.routing.add_route(&route).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Sets everything of an address that came to an interface.
    async fn take(&self, iface: &str, addr: IpAddr, moved: bool) -> Result<String, String> {
        let Some(config) = self.config()? else { return Ok(String::new()) };
        let lines = config.lines(&self.public())?.of(addr)?;
        if moved && !lines.is_empty() {
            let table = self.table(addr, &config)?;
            self.routing.flush_table(table).await.map_err(|e| e.to_string())?;
        }
        self.set(iface, addr, &lines, &config).await?;
        Ok(String::new())
    }

    /// Removes everything of an address.
    async fn release(&self, addr: IpAddr) -> Result<String, String> {
        let Ok(Some(config)) = self.config() else { return Ok(String::new()) };
        let known = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(&addr).copied();
        let Some(table) = known else { return self.remove(&config, |rule| rule.from == addr).await };
        let rule = Rule { from: addr, pref: config.pref, table };
        self.routing.del_rule(&rule).await.map_err(|e| e.to_string())?;
        self.routing.flush_table(table).await.map_err(|e| e.to_string())?;
        Ok(String::new())
    }

    /// Removes the rules of our priority that `which` names, and their tables.
    async fn remove(&self, config: &Config, which: impl Fn(&Rule) -> bool) -> Result<String, String> {
        let rules = self.routing.rules(config.pref).await.map_err(|e| e.to_string())?;
        let mut removed = Vec::new();
        for rule in rules.iter().filter(|r| which(r)) {
            self.routing.del_rule(rule).await.map_err(|e| e.to_string())?;
            if config.tables.contains(&rule.table) {
                self.routing.flush_table(rule.table).await.map_err(|e| e.to_string())?;
            }
            removed.push(format!(
                "Removing ip rule for public address {} for routing table {}",
                rule.from, rule.table
            ));
        }
        Ok(removed.join("\n"))
    }

    async fn clear(&self) -> Result<String, String> {
        match self.config()? {
            None => Ok(String::new()),
            Some(config) => self.remove(&config, |_| true).await,
        }
    }

    async fn startup(&self) -> Result<String, String> {
        let output = self.clear().await?;
        if self.config()?.is_some() {
            let arp_filter = self.routing.set_switch("ipv4/conf/all/arp_filter", "1");
            arp_filter.map_err(|e| e.to_string())?;
        }
        Ok(output)
    }

    /// Addresses that are here get what they miss, those that are not lose what they have.
    async fn repair(&self) -> Result<String, String> {
        let Some(config) = self.config()? else { return Ok(String::new()) };
        let public = self.public();
        let lines = config.lines(&public)?;
        let state = self.netif.observe().await.map_err(|e| e.to_string())?;
        for one in public.iter() {
            if let Some(place) = state.places(one.addr).first() {
                self.set(&place.iface, one.addr, &lines.of(one.addr)?, &config).await?;
            }
        }
        self.remove(&config, |rule| state.places(rule.from).is_empty()).await
    }

    fn setup(&self) -> Result<String, String> {
        self.config()?.map_or(Ok(()), |config| config.lines(&self.public())?.check())?;
        Ok(String::new())
    }
}

impl Handler for PerIpRouting {
    fn name(&self) -> &str {
        NAME
    }

    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async move {
            let done = match event {
                Event::Setup => self.setup(),
                Event::Startup => self.startup().await,
                Event::Shutdown => self.clear().await,
                Event::TakeIp { iface, addr, .. } => self.take(iface, *addr, false).await,
                Event::UpdateIp { new, addr, .. } => self.take(new, *addr, true).await,
                Event::ReleaseIp { addr, .. } => self.release(*addr).await,
                Event::Ipreallocated => self.repair().await,
                _ => Ok(String::new()),
            };
            match done {
                Ok(output) => Handled { failed: false, output },
                Err(e) => Handled::failed(format!("error: {e}")),
            }
        })
    }
}

#[cfg(test)]
mod tests;
