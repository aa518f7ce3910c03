//! The kernel's routing as a table, for the tests of this crate.

use super::*;
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

#[derive(Default)]
pub(crate) struct FakeRouting {
    pub(crate) routes: Mutex<BTreeSet<Route>>,
    pub(crate) rules: Mutex<BTreeSet<Rule>>,
    pub(crate) switches: Mutex<BTreeMap<String, String>>,
    pub(crate) masquerade: Mutex<Option<Masquerade>>,
    /// `ADDR/PREFIX IFACE` of the fixed ones.
    pub(crate) addresses: Mutex<BTreeSet<String>>,
    /// Routes through these are refused: nobody knows where they are.
    pub(crate) unreachable: Mutex<BTreeSet<IpAddr>>,
}

impl FakeRouting {
    pub(crate) fn routes(&self) -> Vec<String> {
        self.routes.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn rules(&self) -> Vec<String> {
        self.rules.lock().unwrap().iter().map(ToString::to_string).collect()
    }
}

impl Routing for FakeRouting {
    fn add_route<'a>(&'a self, route: &'a Route) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            if route.gateway.is_some_and(|g| self.unreachable.lock().unwrap().contains(&g)) {
                let (request, object) = (format!("add route {route}"), "this node".to_owned());
                return Err(NetIfError::Refused { request, object, errno: Errno::ENETUNREACH });
            }
            Ok(self.routes.lock().unwrap().insert(route.clone()))
        })
    }

    fn del_route<'a>(&'a self, route: &'a Route) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async { Ok(self.routes.lock().unwrap().remove(route)) })
    }

    fn flush_table(&self, table: u32) -> BoxFuture<'_, Result<(), NetIfError>> {
        Box::pin(async move {
            self.routes.lock().unwrap().retain(|r| r.table != table);
            Ok(())
        })
    }

    fn add_rule<'a>(&'a self, rule: &'a Rule) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async { Ok(self.rules.lock().unwrap().insert(*rule)) })
    }

    fn del_rule<'a>(&'a self, rule: &'a Rule) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async { Ok(self.rules.lock().unwrap().remove(rule)) })
    }

    fn rules(&self, pref: u32) -> BoxFuture<'_, Result<Vec<Rule>, NetIfError>> {
        Box::pin(async move {
            Ok(self.rules.lock().unwrap().iter().filter(|r| r.pref == pref).copied().collect())
        })
    }

    fn set_switch(&self, file: &str, value: &str) -> Result<(), NetIfError> {
        self.switches.lock().unwrap().insert(file.to_owned(), value.to_owned());
        Ok(())
    }

    fn add_fixed_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>> {
        let new = self.addresses.lock().unwrap().insert(format!("{addr}/{prefix} {iface}"));
        Box::pin(async move { Ok(new) })
    }

    fn del_fixed_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>> {
        let gone = self.addresses.lock().unwrap().remove(&format!("{addr}/{prefix} {iface}"));
        Box::pin(async move { Ok(gone) })
    }

    fn masquerade<'a>(&'a self, wanted: Option<&'a Masquerade>) -> BoxFuture<'a, Result<(), NetIfError>> {
        *self.masquerade.lock().unwrap() = wanted.copied();
        Box::pin(async { Ok(()) })
    }
}
