//! A kernel as a table, for the tests of this crate.

use super::*;
use nix::errno::Errno;
use recoverd::model::{KernelAddr, Link};
use std::sync::Mutex;

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) state: Mutex<KernelState>,
    pub(crate) promoted: Mutex<BTreeSet<String>>,
    pub(crate) looks: Mutex<u32>,
    /// Refused with this on any change.
    pub(crate) refuse: Mutex<Option<Errno>>,
}

impl Fake {
    pub(crate) fn with_links(links: &[(&str, bool, bool)]) -> Arc<Self> {
        let fake = Self::default();
        for (i, (name, admin_up, lower_up)) in links.iter().enumerate() {
            let link = Link { index: i as u32 + 1, admin_up: *admin_up, lower_up: *lower_up };
            fake.state.lock().unwrap().links.insert((*name).to_owned(), link);
        }
        Arc::new(fake)
    }

    pub(crate) fn put(&self, addr: &str, iface: &str, prefix: u8) {
        let place = KernelAddr { iface: iface.to_owned(), prefix };
        self.state.lock().unwrap().addrs.entry(addr.parse().unwrap()).or_default().push(place);
    }

    /// `ADDR/PREFIX IFACE` of all addresses.
    pub(crate) fn shown(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let of = |(addr, places): (&IpAddr, &Vec<KernelAddr>)| {
            let shown = places.iter().map(|p| format!("{addr}/{} {}", p.prefix, p.iface));
            shown.collect::<Vec<_>>()
        };
        state.addrs.iter().flat_map(of).collect()
    }

    fn check(&self, request: &str, iface: &str) -> Result<(), NetIfError> {
        let (request, iface) = (request.to_owned(), iface.to_owned());
        if !self.state.lock().unwrap().links.contains_key(&iface) {
            return Err(NetIfError::NoInterface { request, iface });
        }
        match *self.refuse.lock().unwrap() {
            Some(errno) => Err(NetIfError::Refused { request, object: iface, errno }),
            None => Ok(()),
        }
    }
}

impl NetIf for Fake {
    fn observe(&self) -> BoxFuture<'_, Result<KernelState, NetIfError>> {
        *self.looks.lock().unwrap() += 1;
        Box::pin(async { Ok(self.state.lock().unwrap().clone()) })
    }

    fn add_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<(), NetIfError>> {
        Box::pin(async move {
            self.check(&format!("add address {addr}/{prefix}"), iface)?;
            let place = KernelAddr { iface: iface.to_owned(), prefix };
            let mut state = self.state.lock().unwrap();
            let places = state.addrs.entry(addr).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
            Ok(())
        })
    }

    fn del_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            self.check(&format!("delete address {addr}/{prefix}"), iface)?;
            let mut state = self.state.lock().unwrap();
            let Some(places) = state.addrs.get_mut(&addr) else { return Ok(false) };
            let before = places.len();
            places.retain(|p| p.iface != iface || p.prefix != prefix);
            Ok(places.len() < before)
        })
    }

    fn promote_secondaries<'a>(&'a self, iface: &'a str) -> BoxFuture<'a, Result<(), NetIfError>> {
        Box::pin(async move {
            self.check("promote secondaries", iface)?;
            self.promoted.lock().unwrap().insert(iface.to_owned());
            Ok(())
        })
    }
}
