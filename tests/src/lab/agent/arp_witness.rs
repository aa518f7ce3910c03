//! The witness of ARP: asks the whole segment for one address and hears every node that answers.
//!
//! It proves what a client cannot see, which takes one answer and forgets the others: that two nodes answered for the address at the same
//! time. Each request bears its number in the sender's hardware address, to which the kernel answers; the sender's IP address is 0.0.0.0, as
//! of a host that looks for duplicates (RFC 5227), so that nobody learns anything from it. An answer of which the hardware address is no
//! node's counts for nobody.

use super::witness::{Asks, hardware, serve};
use crate::lab::clock;
use crate::lab::testimony::{Answer, Testimony, WitnessReport};
use anyhow::Context;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket as raw,
};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Requests remembered: more than can be under way.
const REMEMBERED: usize = 1 << 16;
/// Ethernet's type, then Ethernet and IPv4 with their lengths.
const ARP: [u8; 8] = [8, 6, 0, 1, 8, 0, 6, 4];
/// The first bytes of a hardware address that bears a number: of local administration.
const NUMBERED: [u8; 2] = [2, 0x5e];

/// Asks until standard input ends.
pub(super) fn run(iface: &str, address: Ipv4Addr, macs: &[String], interval_us: u64) -> anyhow::Result<()> {
    serve(&mut ArpWitness::new(iface, address, macs)?, interval_us)
}

struct ArpWitness {
    frames: OwnedFd,
    own: [u8; 6],
    address: Ipv4Addr,
    /// By the number of the node.
    macs: Vec<[u8; 6]>,
    /// When each of the last requests was sent.
    sent: Vec<u64>,
    sequence: u32,
    testimony: Testimony,
    announced: u64,
}

impl ArpWitness {
    fn new(iface: &str, address: Ipv4Addr, macs: &[String]) -> anyhow::Result<Self> {
        let of_iface = getifaddrs().context("interfaces")?.filter(|i| i.interface_name == iface);
        let link: LinkAddr = of_iface
            .filter_map(|i| i.address?.as_link_addr().copied())
            .next()
            .with_context(|| format!("no interface {iface}"))?;
        let frames = raw(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        bind(frames.as_raw_fd(), &link).context("packet socket")?;
        Ok(Self {
            frames,
            own: link.addr().context("no hardware address")?,
            address,
            macs: macs.iter().map(|m| hardware(m)).collect::<Result<_, _>>()?,
            sent: vec![0; REMEMBERED],
            sequence: 0,
            testimony: Testimony::default(),
            announced: 0,
        })
    }

    /// From the address, for the address.
    fn announces(&self, frame: &[u8]) -> bool {
        let vip = self.address.octets();
        let named = |from: usize| frame.get(from..from + 4) == Some(&vip);
        frame.get(12..20) == Some(&ARP) && named(28) && named(38)
    }

    /// The node that answers for the address in this frame, and the number of the request.
    fn answer(&self, frame: &[u8]) -> Option<(u16, u32)> {
        let arp = frame.get(12..42)?;
        let (kind, rest) = arp.split_at(ARP.len());
        let (oper, rest) = rest.split_at(2);
        if kind != ARP || oper != [0, 2] || rest[6..10] != self.address.octets() {
            return None;
        }
        let number = rest[10..16].strip_prefix(&NUMBERED)?;
        let node = self.macs.iter().position(|mac| *mac == rest[..6])?;
        Some((u16::try_from(node).ok()?, u32::from_be_bytes(number.try_into().ok()?)))
    }
}

fn slot(sequence: u32) -> usize {
    sequence as usize % REMEMBERED
}

impl Asks for ArpWitness {
    fn ask(&mut self) {
        let numbered = [&NUMBERED[..], &self.sequence.to_be_bytes()].concat();
        let request =
            [&[0xff; 6], &self.own[..], &ARP, &[0, 1], &numbered, &[0; 4], &[0; 6], &self.address.octets()];
        self.sent[slot(self.sequence)] = clock::now_ns();
        self.sequence = self.sequence.wrapping_add(1);
        // What cannot be sent is not answered.
        send(self.frames.as_raw_fd(), &request.concat(), MsgFlags::empty()).ok();
    }

    fn answers(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.frames.as_fd()]
    }

    fn collect(&mut self) {
        let mut frame = [0; 64];
        while let Ok(length) = recv(self.frames.as_raw_fd(), &mut frame, MsgFlags::MSG_DONTWAIT) {
            self.announced += u64::from(self.announces(&frame[..length]));
            let Some((node, sequence)) = self.answer(&frame[..length]) else { continue };
            if (self.sequence.wrapping_sub(sequence) as usize) < REMEMBERED {
                let sent_ns = self.sent[slot(sequence)];
                self.testimony.heard(Answer { node, sent_ns, at_ns: clock::now_ns() });
            }
        }
    }

    fn report(&self) -> WitnessReport {
        let duals = self.testimony.duals().into_iter().map(|d| (self.address.into(), d)).collect();
        WitnessReport { answers: self.testimony.len() as u64, announced: self.announced, duals }
    }
}
