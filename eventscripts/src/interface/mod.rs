//! `10.interface`: puts public addresses on interfaces and takes them off, and watches the links. Built in, no fork.
//!
//! Mirrors CTDB's script of that name (reference/ctdb.md 1.5) on netlink. Differences on purpose: a link is never set up
//! (DESIGN section 10); blocking clients during a release is the gate's work, killing their connections the daemon's; IPv6
//! addresses are added without duplicate address detection, because the release elsewhere is answered before an address is taken,
//! and a tentative address does not answer. Bonds and VLANs are judged by the kernel's own state of the link. CTDB refuses a
//! `public_addresses` file with an interface that does not exist; here it is named at each `monitor` and costs nothing else until it
//! appears (DESIGN section 9).
//!
//! | event | does |
//! | --- | --- |
//! | init | `promote_secondaries` on the public interfaces, drops every public address found on any interface |
//! | takeip | adds the address |
//! | releaseip | takes the address off, wherever it is |
//! | updateip | takes it off the old interface (`__none__`: none), adds it to the new one |
//! | monitor | every public interface that there was since `init` has a link, else it fails; with `CTDB_PARTIALLY_ONLINE_INTERFACES=yes` one suffices |

use crate::handler::{BoxFuture, Handled, Handler};
use crate::netif::{NetIf, NetIfError};
use crate::options;
use recoverd::model::{Event, KernelState, PublicAddress};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// CTDB's word for "on no interface".
const NO_IFACE: &str = "__none__";

/// The built-in `10.interface`.
pub struct Interface {
    netif: Arc<dyn NetIf>,
    public: watch::Receiver<Arc<[PublicAddress]>>,
    options: Vec<PathBuf>,
    /// Interfaces that did not exist at `init` and have not appeared since.
    unknown: Mutex<BTreeSet<String>>,
}

impl Interface {
    /// `public` is what is configured now and follows reloads; `options` are `script.options` and `10.interface.options`, in
    /// that order: they are read at each `monitor`, as scripts do.
    #[must_use]
    pub fn new(
        netif: Arc<dyn NetIf>,
        public: watch::Receiver<Arc<[PublicAddress]>>,
        options: Vec<PathBuf>,
    ) -> Self {
        Self { netif, public, options, unknown: Mutex::default() }
    }

    fn public(&self) -> Arc<[PublicAddress]> {
        Arc::clone(&self.public.borrow())
    }

    async fn init(&self) -> Result<String, NetIfError> {
        let public = self.public();
        let mut output = String::new();
        let mut unknown = BTreeSet::new();
        for iface in interfaces(&public) {
            match self.netif.promote_secondaries(iface).await {
                Ok(()) => {}
                Err(NetIfError::NoInterface { .. }) => {
                    line(&mut output, &missing(iface));
                    unknown.insert(iface.to_owned());
                }
                Err(e) => return Err(e),
            }
        }
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) = unknown;
        if public.is_empty() {
            return Ok(output);
        }
        let state = self.netif.observe().await?;
        for addr in public.iter().map(|p| p.addr) {
            for place in self.drop_everywhere(&state, addr).await? {
                line(&mut output, &format!("dropped {addr} from {place}"));
            }
        }
        Ok(output)
    }

    /// Takes an address off all interfaces that carry it according to `state`, and names them.
    async fn drop_everywhere(&self, state: &KernelState, addr: IpAddr) -> Result<Vec<String>, NetIfError> {
        let mut dropped = Vec::new();
        for place in state.places(addr) {
            if self.del(&place.iface, addr, place.prefix).await? {
                dropped.push(place.iface.clone());
            }
        }
        Ok(dropped)
    }

    /// Takes an address off one interface; an interface that does not exist does not carry it.
    async fn del(&self, iface: &str, addr: IpAddr, prefix: u8) -> Result<bool, NetIfError> {
        match self.netif.del_address(iface, addr, prefix).await {
            Err(NetIfError::NoInterface { .. }) => Ok(false),
            done => done,
        }
    }

    async fn release(&self, iface: &str, addr: IpAddr, prefix: u8) -> Result<String, NetIfError> {
        if iface != NO_IFACE && self.del(iface, addr, prefix).await? {
            return Ok(String::new());
        }
        // Not where it was said to be. Only then is everything looked at: a look for each of 1000 addresses is dear.
        let state = self.netif.observe().await?;
        let places = self.drop_everywhere(&state, addr).await?;
        Ok(match places.as_slice() {
            [] => format!("{addr} is on no interface"),
            places => format!("{addr} was not on {iface} but on {}", places.join(", ")),
        })
    }

    async fn update(&self, old: &str, new: &str, addr: IpAddr, prefix: u8) -> Result<String, NetIfError> {
        if old != NO_IFACE && old != new {
            self.del(old, addr, prefix).await?;
        }
        self.netif.add_address(new, addr, prefix).await?;
        Ok(String::new())
    }

    async fn monitor(&self) -> Result<Handled, NetIfError> {
        let public = self.public();
        let ifaces = interfaces(&public);
        if ifaces.is_empty() {
            return Ok(Handled::OK);
        }
        let state = self.netif.observe().await?;
        let mut output = String::new();
        let (mut down, mut never_there) = (0, 0);
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.retain(|iface| !state.links.contains_key(iface));
        for iface in &ifaces {
            let problem = match state.links.get(*iface) {
                None => missing(iface),
                Some(link) if !link.is_up() => {
                    format!("ERROR: No link on the public network interface {iface}")
                }
                Some(_) => continue,
            };
            line(&mut output, &problem);
            if unknown.contains(*iface) {
                never_there += 1;
            } else {
                down += 1;
            }
        }
        if down + never_there == ifaces.len() {
            return Ok(Handled { failed: true, output });
        }
        let partial_is_enough = || options::is_yes(&self.options, "CTDB_PARTIALLY_ONLINE_INTERFACES");
        Ok(Handled { failed: down > 0 && !partial_is_enough(), output })
    }
}

impl Handler for Interface {
    fn name(&self) -> &str {
        "10.interface"
    }

    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async move {
            let done = match event {
                Event::Monitor => {
                    return self.monitor().await.unwrap_or_else(|e| Handled::failed(format!("ERROR: {e}")));
                }
                Event::Init => self.init().await,
                Event::TakeIp { iface, addr, prefix } => {
                    self.netif.add_address(iface, *addr, *prefix).await.map(|()| String::new())
                }
                Event::ReleaseIp { iface, addr, prefix } => self.release(iface, *addr, *prefix).await,
                Event::UpdateIp { old, new, addr, prefix } => self.update(old, new, *addr, *prefix).await,
                _ => Ok(String::new()),
            };
            match done {
                Ok(output) => Handled { failed: false, output },
                Err(e) => Handled::failed(format!("ERROR: {e}")),
            }
        })
    }
}

/// CTDB's words.
fn missing(iface: &str) -> String {
    format!("ERROR: public network interface {iface} doesn't exist")
}

fn interfaces(public: &[PublicAddress]) -> BTreeSet<&str> {
    public.iter().flat_map(|p| p.ifaces.iter().map(String::as_str)).collect()
}

fn line(output: &mut String, text: &str) {
    if !output.is_empty() {
        output.push('\n');
    }
    output.push_str(text);
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
