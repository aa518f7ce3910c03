//! One host of a lab as a test sees it: run programs on it, look at and change its addresses, links and neighbours.

use super::process::{Family, HostCommand};
use super::protocol::{HeldAddress, LinkState, Reply, Request};
use super::sys::Namespaces;
use super::{LabError, wait_for};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The test's end of the init's socket.
#[derive(Debug)]
pub(crate) struct Control {
    stream: Mutex<BufReader<UnixStream>>,
}

impl Control {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream: Mutex::new(BufReader::new(stream)) }
    }

    pub(crate) fn ask(&self, request: &Request) -> Result<Reply, LabError> {
        let failed = |error| LabError::io("ask the lab's init", error);
        let mut line = serde_json::to_vec(request).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.get_mut().write_all(&line).map_err(failed)?;
        let mut answer = String::new();
        stream.read_line(&mut answer).map_err(failed)?;
        match serde_json::from_str(&answer).map_err(|e| failed(e.into()))? {
            Reply::Error(reason) => Err(LabError::Refused(reason)),
            reply => Ok(reply),
        }
    }

    /// The init ends at this.
    pub(crate) fn close(&self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.get_ref().shutdown(std::net::Shutdown::Both).ok();
    }
}

/// A node, the client or the switch.
#[derive(Debug)]
pub struct Host {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) control: Arc<Control>,
    pub(crate) family: Family,
    pub(crate) dir: PathBuf,
}

impl Host {
    /// `n0`, `n1`, …, `client` or `switch`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run on this host.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> HostCommand {
        let namespaces = Arc::clone(&self.namespaces);
        HostCommand::new(program.as_ref(), namespaces, &self.dir, Arc::clone(&self.family))
    }

    /// The numbers of all processes in its network, as seen by the test.
    ///
    /// # Errors
    /// When the namespace or `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>, LabError> {
        let failed = |e| LabError::io(format!("list the processes of {}", self.name), e);
        let own =
            fs::File::from(self.namespaces.net.try_clone().map_err(failed)?).metadata().map_err(failed)?;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").map_err(failed)?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            // It may have ended meanwhile, or be somebody else's.
            let Ok(net) = fs::metadata(entry.path().join("ns/net")) else { continue };
            if (net.dev(), net.ino()) == (own.dev(), own.ino()) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    /// All addresses of all interfaces, as the kernel lists them now.
    ///
    /// # Errors
    /// When the kernel or the lab's init refuses.
    pub fn all_addresses(&self) -> Result<Vec<HeldAddress>, LabError> {
        match self.control.ask(&Request::Addresses { host: self.number })? {
            Reply::Addresses(addresses) => Ok(addresses),
            other => Err(LabError::unexpected(&other)),
        }
    }

    /// The addresses of one interface with their prefix lengths, without IPv6 link-local ones.
    ///
    /// # Errors
    /// As [`Self::all_addresses`].
    pub fn addresses(&self, iface: &str) -> Result<Vec<(IpAddr, u8)>, LabError> {
        let link_local = |a: &IpAddr| matches!(a, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let all = self.all_addresses()?.into_iter();
        let here = all.filter(|a| a.iface == iface && !link_local(&a.address));
        Ok(here.map(|a| (a.address, a.prefix)).collect())
    }

    /// Whether the address is on any interface.
    ///
    /// # Errors
    /// As [`Self::all_addresses`].
    pub fn holds(&self, address: IpAddr) -> Result<bool, LabError> {
        Ok(self.all_addresses()?.iter().any(|a| a.address == address))
    }

    /// Adds an address, as an operator's `ip addr add`.
    ///
    /// # Errors
    /// When the kernel refuses, for example because it is there.
    pub fn add_address(&self, iface: &str, address: IpAddr, prefix: u8) -> Result<(), LabError> {
        self.done(&Request::AddAddress { host: self.number, iface: iface.to_owned(), address, prefix })
    }

    /// Removes an address, as an operator's `ip addr del`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn del_address(&self, iface: &str, address: IpAddr) -> Result<(), LabError> {
        self.done(&Request::DelAddress { host: self.number, iface: iface.to_owned(), address })
    }

    /// Removes all addresses of an interface (except link-local ones), as a restart of the network does. The removed ones.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn flush_addresses(&self, iface: &str) -> Result<Vec<(IpAddr, u8)>, LabError> {
        let addresses = self.addresses(iface)?;
        for (address, _) in &addresses {
            match self.del_address(iface, *address) {
                // The daemon under test may have been quicker.
                Ok(()) | Err(LabError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(addresses)
    }

    /// Waits until the address is there (or is not).
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the addresses seen last.
    pub fn wait_address(&self, address: IpAddr, present: bool, timeout: Duration) -> Result<(), LabError> {
        let what = format!("{address} {} {}", if present { "on" } else { "gone from" }, self.name);
        wait_for(&what, timeout, || match self.all_addresses() {
            Ok(all) if all.iter().any(|a| a.address == address) == present => Ok(()),
            Ok(all) => Err(format!("addresses there: {all:?}")),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Sets an interface up or down, as an operator's `ip link set`.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn set_link(&self, iface: &str, up: bool) -> Result<(), LabError> {
        self.done(&Request::SetLink { host: self.number, iface: iface.to_owned(), up })
    }

    /// The state of an interface.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn link_state(&self, iface: &str) -> Result<LinkState, LabError> {
        match self.control.ask(&Request::LinkState { host: self.number, iface: iface.to_owned() })? {
            Reply::Link(state) => Ok(state),
            other => Err(LabError::unexpected(&other)),
        }
    }

    /// Forgets the neighbours (ARP and ND) of an interface.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn flush_neighbours(&self, iface: &str) -> Result<(), LabError> {
        self.done(&Request::FlushNeighbours { host: self.number, iface: iface.to_owned() })
    }

    /// Fixes the hardware address of a neighbour.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn set_neighbour(&self, iface: &str, address: IpAddr, mac: [u8; 6]) -> Result<(), LabError> {
        self.done(&Request::SetNeighbour { host: self.number, iface: iface.to_owned(), address, mac })
    }

    fn done(&self, request: &Request) -> Result<(), LabError> {
        match self.control.ask(request)? {
            Reply::Done => Ok(()),
            other => Err(LabError::unexpected(&other)),
        }
    }
}
