//! What an operator or a script says of links and announcements: `ctdb setifacelink`, `ctdb gratarp`.
//!
//! CTDB knows of a link only what `10.interface` tells it by `setifacelink`; here the kernel tells, and the command stands above the kernel's
//! word until that changes. Both are answered at once: CTDB's own scripts call them inside events, which must not wait for a run.

use super::{Cx, Node};
use crate::action::Action;
use crate::command::Reply;
use crate::model::{KernelState, Link};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Links that an operator has set: by interface, what the kernel said then.
#[derive(Debug, Default)]
pub(super) struct Forced(BTreeMap<String, bool>);

impl Forced {
    /// The kernel's word with the operator's above it. Where the kernel has changed its own, the operator's is over.
    pub(super) fn apply(&mut self, mut state: Arc<KernelState>) -> Arc<KernelState> {
        self.0.retain(|iface, said| state.links.contains_key(iface) && state.link_up(iface) == *said);
        if !self.0.is_empty() {
            let links = &mut Arc::make_mut(&mut state).links;
            for (iface, said) in &self.0 {
                if let Some(link) = links.get_mut(iface) {
                    set(link, !said);
                }
            }
        }
        state
    }
}

fn set(link: &mut Link, up: bool) {
    link.admin_up |= up;
    link.lower_up = up;
}

impl Node {
    /// `ctdb setifacelink`.
    pub(super) fn set_iface_link(&mut self, iface: &str, up: bool, cx: &mut Cx) -> Reply {
        if !self.ips.ifaces().contains(&iface) {
            return Reply::Error(format!("Interface {iface} not configured on node {}", self.cfg.me));
        }
        let mut state = Arc::clone(&self.ips.kernel);
        let Some(link) = Arc::make_mut(&mut state).links.get_mut(iface) else {
            return if up {
                Reply::Error(format!(
                    "Interface {iface} does not exist on node {}: it cannot have link; create it, or take it out of \
                     public_addresses",
                    self.cfg.me
                ))
            } else {
                Reply::Ok
            };
        };
        let was = link.is_up();
        if was == up {
            return Reply::Ok;
        }
        set(link, up);
        self.operator(format!("setifacelink {iface} {}", if up { "up" } else { "down" }), cx);
        if self.ips.forced.0.remove(iface).is_none() {
            self.ips.forced.0.insert(iface.to_owned(), was);
        }
        self.kernel_is(state, None, None, cx);
        Reply::Ok
    }

    /// `ctdb gratarp`. Not for a public address that is not here: it would take clients away from the node that serves it.
    pub(super) fn gratuitous_arp(&self, addr: IpAddr, iface: &str, cx: &mut Cx) -> Reply {
        let addr = addr.to_canonical();
        let me = self.cfg.me;
        if !self.ips.kernel.links.contains_key(iface) {
            return Reply::Error(format!("Interface {iface} does not exist on node {me}"));
        }
        if let Some(entry) = self.ips.map.get(&addr) {
            let here = self.ips.kernel.places(addr).iter().any(|p| p.iface == iface);
            if !here || entry.owner != Some(me) {
                let at = entry.owner.map_or("no node".to_owned(), |n| format!("node {n}"));
                return Reply::Error(format!(
                    "Node {me} does not serve {addr} on {iface}: announcing it would mislead clients; {at} has it (see `ctdb ip -v`)"
                ));
            }
        }
        let (_, interval) = self.tunables.gratuitous_arp();
        cx.actions.push(Action::Announce { iface: iface.to_owned(), addr, count: 1, interval });
        Reply::Ok
    }
}
