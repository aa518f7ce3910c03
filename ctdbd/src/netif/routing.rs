//! [`Netif`] in the shape in which the built-in event handlers ask for routes, rules and switches.
//!
//! Requests of `ip route` and `ip rule`, one message each. What is there already and what is gone already are no errors.

use super::{Netif, NetifError};
use crate::gate::natgw;
use eventscripts::{BoxFuture, MAIN_TABLE, Masquerade, NetIfError, Route, Routing, Rule};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use std::net::IpAddr;

/// Flags of a request that makes something, and of one that removes something.
const ADD: u16 = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
const DELETE: u16 = NLM_F_REQUEST | NLM_F_ACK;

impl Netif {
    /// Sends one request. `Ok(false)` when the kernel's no is `done`: things are as asked.
    async fn one(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        what: impl FnOnce() -> String,
        done: &[Errno],
    ) -> Result<bool, NetifError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        match self.send(vec![request]).await.first() {
            Some(None) => Ok(true),
            Some(Some(errno)) if done.contains(errno) => Ok(false),
            Some(Some(errno)) => {
                Err(NetifError::Refused { request: what(), object: "this node".to_owned(), errno: *errno })
            }
            None => Err(NetifError::NoAnswer { request: what() }),
        }
    }
}

fn family(addr: IpAddr) -> AddressFamily {
    if addr.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Tables above 255 do not fit into the header.
fn short(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC)
}

fn route_message(route: &Route) -> Result<RouteMessage, NetIfError> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.dest.addr);
    header.destination_prefix_length = route.dest.prefix;
    header.table = short(route.table);
    // What `ip route add` says.
    header.protocol = RouteProtocol::Boot;
    header.scope = if route.gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
    header.kind = RouteType::Unicast;
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Destination(RouteAddress::from(route.dest.addr)));
    attributes.push(RouteAttribute::Table(route.table));
    if let Some(gateway) = route.gateway {
        attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
    }
    if let Some(iface) = &route.iface {
        let index = if_nametoindex(iface.as_str()).map_err(|_| NetIfError::NoInterface {
            request: format!("route {route}"),
            iface: iface.clone(),
        })?;
        attributes.push(RouteAttribute::Oif(index));
    }
    if let Some(metric) = route.metric {
        attributes.push(RouteAttribute::Priority(metric));
    }
    Ok(message)
}

fn rule_message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let header = &mut message.header;
    header.family = family(rule.from);
    header.src_len = if rule.from.is_ipv4() { 32 } else { 128 };
    header.table = short(rule.table);
    header.action = RuleAction::ToTable;
    message.attributes.push(RuleAttribute::Source(rule.from));
    message.attributes.push(RuleAttribute::Priority(rule.pref));
    message.attributes.push(RuleAttribute::Table(rule.table));
    message
}

/// The rule that a message of a dump describes, if it is one for a single source address.
fn rule_of(message: &RuleMessage) -> Option<Rule> {
    let (mut from, mut pref, mut table) = (None, 0, u32::from(message.header.table));
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(addr) => from = Some(*addr),
            RuleAttribute::Priority(n) => pref = *n,
            RuleAttribute::Table(n) => table = *n,
            _ => {}
        }
    }
    let from: IpAddr = from?;
    let whole = if from.is_ipv4() { 32 } else { 128 };
    (message.header.src_len == whole).then_some(Rule { from, pref, table })
}

/// The table of a route in a dump.
fn table_of(message: &RouteMessage) -> u32 {
    let long = message.attributes.iter().find_map(|a| match a {
        RouteAttribute::Table(n) => Some(*n),
        _ => None,
    });
    long.unwrap_or_else(|| u32::from(message.header.table))
}

impl Routing for Netif {
    fn add_route<'a>(&'a self, route: &'a Route) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            let message = RouteNetlinkMessage::NewRoute(route_message(route)?);
            Ok(self.one(message, ADD, || format!("add route {route}"), &[Errno::EEXIST]).await?)
        })
    }

    fn del_route<'a>(&'a self, route: &'a Route) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            let message = match route_message(route) {
                Ok(mut message) => {
                    // Whatever made it: told by table, destination and metric, and by the gateway if there is one.
                    message.header.protocol = RouteProtocol::Unspec;
                    message.header.scope = RouteScope::NoWhere;
                    RouteNetlinkMessage::DelRoute(message)
                }
                // Its routes went with the interface.
                Err(NetIfError::NoInterface { .. }) => return Ok(false),
                Err(e) => return Err(e),
            };
            Ok(self.one(message, DELETE, || format!("delete route {route}"), &[Errno::ESRCH]).await?)
        })
    }

    fn flush_table(&self, table: u32) -> BoxFuture<'_, Result<(), NetIfError>> {
        Box::pin(async move {
            debug_assert!(table != MAIN_TABLE, "the main table is the host's");
            let what = format!("list the routes of table {table}");
            let all = self.dump(RouteNetlinkMessage::GetRoute(RouteMessage::default()), &what).await?;
            for message in all {
                let RouteNetlinkMessage::NewRoute(route) = message else { continue };
                if table_of(&route) == table {
                    let what = || format!("delete a route of table {table}");
                    self.one(RouteNetlinkMessage::DelRoute(route), DELETE, what, &[Errno::ESRCH]).await?;
                }
            }
            Ok(())
        })
    }

    fn add_rule<'a>(&'a self, rule: &'a Rule) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            let message = RouteNetlinkMessage::NewRule(rule_message(rule));
            Ok(self.one(message, ADD, || format!("add rule {rule}"), &[Errno::EEXIST]).await?)
        })
    }

    fn del_rule<'a>(&'a self, rule: &'a Rule) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            let message = RouteNetlinkMessage::DelRule(rule_message(rule));
            Ok(self.one(message, DELETE, || format!("delete rule {rule}"), &[Errno::ENOENT]).await?)
        })
    }

    fn rules(&self, pref: u32) -> BoxFuture<'_, Result<Vec<Rule>, NetIfError>> {
        Box::pin(async move {
            let all =
                self.dump(RouteNetlinkMessage::GetRule(RuleMessage::default()), "list the rules").await?;
            let rules = all.iter().filter_map(|m| match m {
                RouteNetlinkMessage::NewRule(rule) => rule_of(rule),
                _ => None,
            });
            Ok(rules.filter(|r| r.pref == pref).collect())
        })
    }

    fn set_switch(&self, file: &str, value: &str) -> Result<(), NetIfError> {
        let path = format!("/proc/sys/net/{file}");
        if std::fs::read_to_string(&path).is_ok_and(|now| now.trim() == value) {
            return Ok(());
        }
        std::fs::write(&path, value).map_err(|e| NetIfError::Refused {
            request: format!("write {value}"),
            object: path,
            errno: Errno::from_raw(e.raw_os_error().unwrap_or(0)),
        })
    }

    fn add_fixed_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move { Ok(self.add_address(iface, addr, prefix).await?) })
    }

    fn del_fixed_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            match self.del_address(iface, addr, prefix).await.map_err(NetIfError::from) {
                Err(NetIfError::NoInterface { .. }) => Ok(false),
                done => done,
            }
        })
    }

    fn masquerade<'a>(&'a self, wanted: Option<&'a Masquerade>) -> BoxFuture<'a, Result<(), NetIfError>> {
        let wanted = wanted.copied();
        Box::pin(async move {
            // The kernel's answer may wait for another program's transaction.
            let done = tokio::task::spawn_blocking(move || natgw::set(wanted.as_ref())).await;
            let errno = match done {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(errno)) => errno,
                Err(_cancelled) => Errno::ECANCELED,
            };
            let request = if wanted.is_some() { "make the table" } else { "remove the table" };
            let object = format!("nf_tables ({})", natgw::TABLE);
            Err(NetIfError::Refused { request: request.to_owned(), object, errno })
        })
    }
}
