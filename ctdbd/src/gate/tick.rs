//! Ticks: small packets over `lo`, by whose mark a rule of the gate's tables knows what to do with the lease.
//!
//! A tick is a UDP packet (for table `inet`), then an ARP frame (for `netdev` and `arp`). The rule that acts on the UDP packet drops it,
//! which its sender sees as `EPERM`: the tick was taken. Otherwise the packet arrives at the socket that sent it, and is never read.

use super::ruleset::{LO, STEPS};
use crate::sys;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

const ETHERTYPE_ARP: u16 = 0x0806;

/// What a tick asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Open the gate for a moment, if armed.
    Open,
    /// Shut the gate.
    Close,
    /// Make the tables take `Open` and `Keep` for the next 10 ms.
    Arm,
    /// Refresh a living lease for that many steps, if armed.
    Keep(u8),
}

impl Mark {
    /// Where the mark stands above the base.
    pub(super) fn offset(self) -> u32 {
        match self {
            Self::Open => 0,
            Self::Close => 1,
            Self::Arm => 2,
            Self::Keep(n) => 2 + u32::from(n.min(STEPS)),
        }
    }
}

/// Sends ticks. Whoever knows the base of the marks can make one, in the same network namespace: the guard closes the gate with it.
#[derive(Debug)]
pub struct Ticker {
    udp: UdpSocket,
    arp: Socket,
    lo: SockAddr,
    base: u32,
    /// The mark that both sockets bear now.
    marked: Mutex<Option<u32>>,
}

impl Ticker {
    /// Opens the sockets.
    ///
    /// # Errors
    /// `lo` is down, or a right is missing: CAP_NET_RAW for the packet socket, CAP_NET_ADMIN for marks.
    pub fn new(base: u32) -> io::Result<Self> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.connect(udp.local_addr()?)?;
        udp.set_nonblocking(true)?;
        // Nothing that arrives is read; let as little as possible lie there.
        setsockopt(&udp, sockopt::RcvBuf, &0)?;
        let arp = Socket::new(Domain::PACKET, Type::RAW, None)?;
        arp.set_nonblocking(true)?;
        let lo = sys::packet_address(LO, ETHERTYPE_ARP)?;
        let ticker = Self { udp, arp, lo, base, marked: Mutex::new(None) };
        ticker.mark(&mut ticker.marked(), base)?;
        Ok(ticker)
    }

    /// The base of the marks.
    #[must_use]
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Shuts the gate at once. Says whether there was one to shut.
    ///
    /// # Errors
    /// `lo` is down.
    pub fn close(&self) -> io::Result<bool> {
        self.send(Mark::Close)
    }

    /// Sends a tick and says whether table `inet` took it. One that it did not take goes no further, except `Close`.
    pub(super) fn send(&self, mark: Mark) -> io::Result<bool> {
        let mut marked = self.marked();
        self.mark(&mut marked, self.base.wrapping_add(mark.offset()))?;
        let taken = match self.udp.send(&[0; 4]) {
            Err(e) if e.raw_os_error() == Some(Errno::EPERM as i32) => true,
            Ok(_) => false,
            Err(e) => return Err(e),
        };
        if taken || mark == Mark::Close {
            self.arp.send_to(&FRAME, &self.lo)?;
        }
        Ok(taken)
    }

    fn mark(&self, marked: &mut Option<u32>, mark: u32) -> io::Result<()> {
        if *marked != Some(mark) {
            setsockopt(&self.udp, sockopt::Mark, &mark)?;
            setsockopt(&self.arp, sockopt::Mark, &mark)?;
            *marked = Some(mark);
        }
        Ok(())
    }

    fn marked(&self) -> MutexGuard<'_, Option<u32>> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An ARP request for nobody, from `lo` to itself.
const FRAME: [u8; 42] = {
    let mut frame = [0; 42];
    let head = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
    let mut n = 0;
    while n < head.len() {
        frame[12 + n] = head[n];
        n += 1;
    }
    frame
};
