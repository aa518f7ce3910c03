//! Sending announcements: one packet socket for all addresses and interfaces.

use super::frames::announcement;
use crate::netif::{Hardware, Netif, NetifError};
use crate::sys;
use crate::trace::TARGET;
use nix::errno::Errno;
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::Instrument;

/// How long an interface's Ethernet address is believed. Short, because a bond changes it at fail-over; long enough that a
/// thousand announcements ask once.
const BELIEVED: Duration = Duration::from_millis(100);

/// An announcement could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// No packet socket.
    #[error("cannot open a packet socket: {0}; ctdbd needs CAP_NET_RAW: run it as root")]
    Open(#[source] io::Error),
    /// The interface is not there.
    #[error("cannot announce {addr}: {source}")]
    Interface {
        /// The address.
        addr: IpAddr,
        /// Why nothing is known of its interface.
        source: NetifError,
    },
    /// The frame did not go out.
    #[error("cannot announce {addr} on {iface}: {source}{}", hint(source))]
    Send {
        /// The address.
        addr: IpAddr,
        /// Interface name.
        iface: String,
        /// The system's word.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENETDOWN) => {
            "; the interface is down, neighbours learn of the address when it is announced again"
        }
        _ => "",
    }
}

/// Sends announcements. Share it by reference or `Arc`.
#[derive(Debug)]
pub struct Announcer {
    netif: Netif,
    socket: AsyncFd<Socket>,
    hardware: Mutex<HashMap<String, (Instant, Hardware)>>,
}

impl Announcer {
    /// Opens the socket, inside a tokio runtime.
    ///
    /// # Errors
    /// No packet socket can be had: the privilege is missing.
    pub fn open(netif: Netif) -> Result<Self, PacketError> {
        let open = || {
            // Protocol 0: nothing is received.
            let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
            socket.set_nonblocking(true)?;
            sys::writable(socket)
        };
        let socket = open().map_err(PacketError::Open)?;
        Ok(Self { netif, socket, hardware: Mutex::default() })
    }

    /// Tells the neighbours on `iface` that `addr` is here, once. Does nothing on an interface without ARP (loopback, tunnels).
    ///
    /// # Errors
    /// There is no such interface, it is down, or the kernel refused.
    pub async fn announce(&self, iface: &str, addr: IpAddr) -> Result<(), PacketError> {
        let hardware =
            self.hardware(iface).await.map_err(|source| PacketError::Interface { addr, source })?;
        let Some(mac) = hardware.mac else { return Ok(()) };
        let step = tracing::trace_span!(target: TARGET, "announce", %addr);
        let send = async {
            for frame in announcement(mac, addr) {
                let to = sys::packet_address(hardware.index, frame.ethertype)?;
                self.socket.async_io(Interest::WRITABLE, |s| s.send_to(&frame.bytes, &to)).await?;
            }
            Ok(())
        };
        send.instrument(step).await.map_err(|source| PacketError::Send {
            addr,
            iface: iface.to_owned(),
            source,
        })
    }

    /// [`Announcer::announce`] for many, each answered, in the same order.
    pub async fn announce_all(&self, what: &[(String, IpAddr)]) -> Vec<Result<(), PacketError>> {
        let mut results = Vec::with_capacity(what.len());
        for (iface, addr) in what {
            results.push(self.announce(iface, *addr).await);
        }
        results
    }

    async fn hardware(&self, iface: &str) -> Result<Hardware, NetifError> {
        let known = self.cache().get(iface).copied();
        if let Some((at, hardware)) = known
            && at.elapsed() < BELIEVED
        {
            return Ok(hardware);
        }
        let hardware = self.netif.hardware(iface).await?;
        self.cache().insert(iface.to_owned(), (Instant::now(), hardware));
        Ok(hardware)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Hardware)>> {
        self.hardware.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
