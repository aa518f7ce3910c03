//! The witness: asks every node for every address, whatever ARP says, and proves when two answered at the same time.
//!
//! A client follows ARP and asks one node only; a second one that would answer too stays unseen. The witness puts each request into a
//! frame of its own with the hardware address of one node (packet socket) and hears the answers on an ordinary UDP socket. It runs on
//! the client beside the prober. `report` on a line of standard input is answered with one JSON line.

use super::ECHO_PORT;
use super::prober::{lines, receive, socket};
use crate::lab::clock;
use crate::lab::testimony::{Answer, Testimony, WitnessReport};
use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, bind, send, socket as raw};
use nix::sys::time::TimeSpec;
use socket2::Socket;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// Requests remembered: more than can be under way.
const REMEMBERED: usize = 1 << 16;

/// Asks until standard input ends.
pub(super) fn run(
    iface: &str,
    addresses: &[Ipv4Addr],
    macs: &[String],
    interval_us: u64,
) -> anyhow::Result<()> {
    crate::lab::sys::more_important();
    let mut witness = Witness::new(iface, addresses, macs)?;
    let interval = interval_us.max(100) * 1000;
    let mut next = clock::now_ns();
    let mut input = Vec::new();
    loop {
        if clock::now_ns() >= next {
            witness.ask_all();
            next = (next + interval).max(clock::now_ns());
        }
        let wait = Duration::from_nanos(next.saturating_sub(clock::now_ns()));
        let stdin = io::stdin();
        let mut ready = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(witness.answers.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut ready, Some(TimeSpec::from(wait)), Some(SigSet::empty())) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("ppoll"),
        }
        let commanded = ready[0].any().unwrap_or(false);
        witness.collect();
        if commanded {
            let Some(commands) = lines(&mut input)? else { return Ok(()) };
            for _ in commands {
                let mut text = serde_json::to_vec(&witness.report())?;
                text.push(b'\n');
                io::stdout().lock().write_all(&text)?;
                io::stdout().lock().flush()?;
            }
        }
    }
}

struct Witness {
    frames: OwnedFd,
    answers: Socket,
    /// Ready but for the sequence number, which is their last eight bytes.
    requests: Vec<Vec<u8>>,
    /// When each of the last requests was sent.
    sent: Vec<u64>,
    sequence: u64,
    testimonies: HashMap<IpAddr, Testimony>,
}

impl Witness {
    fn new(iface: &str, addresses: &[Ipv4Addr], macs: &[String]) -> anyhow::Result<Self> {
        let all: Vec<_> = getifaddrs().context("interfaces")?.filter(|i| i.interface_name == iface).collect();
        let link: LinkAddr = all
            .iter()
            .find_map(|i| i.address?.as_link_addr().copied())
            .with_context(|| format!("no interface {iface}"))?;
        let own =
            all.iter().find_map(|i| Some(i.address?.as_sockaddr_in()?.ip())).context("no IPv4 address")?;
        let frames = raw(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        bind(frames.as_raw_fd(), &link).context("packet socket")?;
        let answers = socket(Ipv4Addr::UNSPECIFIED.into())?;
        let port = answers.local_addr()?.as_socket_ipv4().context("the socket's own port")?.port();
        let from = link.addr().context("no hardware address")?;
        let mut requests = Vec::new();
        for address in addresses {
            for mac in macs {
                requests.push(frame(from, hardware(mac)?, (own, port), *address));
            }
        }
        let testimonies = addresses.iter().map(|a| (IpAddr::V4(*a), Testimony::default())).collect();
        Ok(Self { frames, answers, requests, sent: vec![0; REMEMBERED], sequence: 0, testimonies })
    }

    fn ask_all(&mut self) {
        for frame in &mut self.requests {
            let payload = frame.len() - 8;
            frame[payload..].copy_from_slice(&self.sequence.to_be_bytes());
            self.sent[slot(self.sequence)] = clock::now_ns();
            self.sequence += 1;
            // What cannot be sent is not answered.
            send(self.frames.as_raw_fd(), frame, MsgFlags::empty()).ok();
        }
    }

    fn collect(&mut self) {
        let (wall, monotonic) = (clock::realtime_ns(), clock::now_ns());
        while let Some((from, sequence, node, stamp)) = receive(&self.answers) {
            if self.sequence.saturating_sub(sequence) >= REMEMBERED as u64 {
                continue;
            }
            let Some(testimony) = self.testimonies.get_mut(&from) else { continue };
            let at_ns = monotonic.saturating_sub(wall.saturating_sub(stamp.unwrap_or(wall)));
            testimony.heard(Answer { node, sent_ns: self.sent[slot(sequence)], at_ns });
        }
    }

    fn report(&self) -> WitnessReport {
        let mut report = WitnessReport::default();
        for (address, testimony) in &self.testimonies {
            report.answers += testimony.len() as u64;
            report.duals.extend(testimony.duals().into_iter().map(|d| (*address, d)));
        }
        report
    }
}

fn slot(sequence: u64) -> usize {
    // The remainder is below REMEMBERED.
    usize::try_from(sequence % REMEMBERED as u64).unwrap_or(0)
}

fn hardware(text: &str) -> anyhow::Result<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16)).collect::<Result<_, _>>()?;
    let Ok(mac) = bytes.try_into() else { bail!("{text} is no hardware address") };
    Ok(mac)
}

/// Ethernet, IPv4 and UDP around eight bytes. No UDP checksum, which IPv4 allows.
fn frame(from: [u8; 6], to: [u8; 6], source: (Ipv4Addr, u16), address: Ipv4Addr) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend(source.0.octets());
    ip.extend(address.octets());
    let sum: u32 = ip.chunks(2).map(|p| u32::from(u16::from_be_bytes([p[0], p[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    // Twenty small words: folding once is enough, but for the carry.
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = Vec::new();
    frame.extend(to);
    frame.extend(from);
    frame.extend([8, 0]);
    frame.extend(ip);
    frame.extend(source.1.to_be_bytes());
    frame.extend(ECHO_PORT.to_be_bytes());
    frame.extend([0, 16, 0, 0]);
    frame.extend([0; 8]);
    frame
}
