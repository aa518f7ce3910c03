//! The witness: asks every node for every address, whatever ARP says, and proves when two answered at the same time.
//!
//! A client follows ARP and asks one node only; a second one that would answer too stays unseen. The witness puts each request into a
//! frame of its own with the hardware address of one node (packet socket) and hears the answers on ordinary UDP sockets. It runs on
//! the client beside the prober. `report` on a line of standard input is answered with one JSON line.

use super::ECHO_PORT;
use super::prober::{ip_of, lines, receive, socket};
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
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Requests remembered: more than can be under way.
const REMEMBERED: usize = 1 << 16;
/// The protocol's number.
const UDP: u8 = 17;

/// Asks until standard input ends.
pub(super) fn run(
    iface: &str,
    addresses: &[IpAddr],
    macs: &[String],
    interval_us: u64,
) -> anyhow::Result<()> {
    serve(&mut Witness::new(iface, addresses, macs)?, interval_us)
}

/// Asks, and hears who answers.
pub(super) trait Asks {
    /// One round.
    fn ask(&mut self);
    /// What answers come in on.
    fn answers(&self) -> Vec<BorrowedFd<'_>>;
    /// Takes the answers that have come.
    fn collect(&mut self);
    /// All that was heard.
    fn report(&self) -> WitnessReport;
}

/// Asks until standard input ends.
pub(super) fn serve(witness: &mut impl Asks, interval_us: u64) -> anyhow::Result<()> {
    crate::lab::sys::more_important();
    let interval = interval_us.max(100) * 1000;
    let mut next = clock::now_ns();
    let mut input = Vec::new();
    loop {
        if clock::now_ns() >= next {
            witness.ask();
            next = (next + interval).max(clock::now_ns());
        }
        let wait = Duration::from_nanos(next.saturating_sub(clock::now_ns()));
        let stdin = io::stdin();
        let mut ready = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        ready.extend(witness.answers().into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match ppoll(&mut ready, Some(TimeSpec::from(wait)), Some(SigSet::empty())) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("ppoll"),
        }
        let commanded = ready[0].any().unwrap_or(false);
        drop(ready);
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
    /// One for each family that is asked.
    answers: Vec<Socket>,
    /// Ready but for the sequence number, with the one that is in it.
    requests: Vec<(Vec<u8>, u64)>,
    /// When each of the last requests was sent.
    sent: Vec<u64>,
    sequence: u64,
    testimonies: HashMap<IpAddr, Testimony>,
}

impl Witness {
    fn new(iface: &str, addresses: &[IpAddr], macs: &[String]) -> anyhow::Result<Self> {
        let all: Vec<_> = getifaddrs().context("interfaces")?.filter(|i| i.interface_name == iface).collect();
        let link: LinkAddr = all
            .iter()
            .find_map(|i| i.address?.as_link_addr().copied())
            .with_context(|| format!("no interface {iface}"))?;
        let frames = raw(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        bind(frames.as_raw_fd(), &link).context("packet socket")?;
        let from = link.addr().context("no hardware address")?;
        let own = |v6: bool| {
            let mut ours = all.iter().filter_map(|i| ip_of(&i.address?));
            ours.find(|a| match a {
                IpAddr::V4(_) => !v6,
                IpAddr::V6(a) => v6 && !a.is_unicast_link_local(),
            })
        };
        let (mut answers, mut requests) = (Vec::new(), Vec::new());
        for v6 in [false, true] {
            let of_family: Vec<&IpAddr> = addresses.iter().filter(|a| a.is_ipv6() == v6).collect();
            if of_family.is_empty() {
                continue;
            }
            let own = own(v6).with_context(|| format!("{iface} has no address to ask {of_family:?} from"))?;
            let any = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            let socket = socket(any)?;
            let port = socket.local_addr()?.as_socket().context("the socket's own port")?.port();
            for address in of_family {
                for mac in macs {
                    let frame = frame(from, hardware(mac)?, SocketAddr::new(own, port), *address);
                    requests.push((frame.context("addresses of two families")?, 0));
                }
            }
            answers.push(socket);
        }
        let testimonies = addresses.iter().map(|a| (*a, Testimony::default())).collect();
        Ok(Self { frames, answers, requests, sent: vec![0; REMEMBERED], sequence: 0, testimonies })
    }
}

impl Asks for Witness {
    fn answers(&self) -> Vec<BorrowedFd<'_>> {
        self.answers.iter().map(AsFd::as_fd).collect()
    }

    fn ask(&mut self) {
        for (frame, before) in &mut self.requests {
            number(frame, std::mem::replace(before, self.sequence), self.sequence);
            self.sent[slot(self.sequence)] = clock::now_ns();
            self.sequence += 1;
            // What cannot be sent is not answered.
            send(self.frames.as_raw_fd(), frame, MsgFlags::empty()).ok();
        }
    }

    fn collect(&mut self) {
        let (wall, monotonic) = (clock::realtime_ns(), clock::now_ns());
        let received = self.answers.iter().flat_map(|socket| std::iter::from_fn(|| receive(socket)));
        for (from, sequence, node, stamp) in received {
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

pub(super) fn hardware(text: &str) -> anyhow::Result<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16)).collect::<Result<_, _>>()?;
    let Ok(mac) = bytes.try_into() else { bail!("{text} is no hardware address") };
    Ok(mac)
}

/// Ethernet, IPv4 or IPv6, and UDP around eight bytes of zero; with the checksum, which IPv6 wants.
fn frame(from: [u8; 6], to: [u8; 6], source: SocketAddr, address: IpAddr) -> Option<Vec<u8>> {
    let (kind, ip, pseudo): ([u8; 2], Vec<u8>, Vec<u8>) = match (source.ip(), address) {
        (IpAddr::V4(own), IpAddr::V4(address)) => {
            let mut ip = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 64, UDP, 0, 0];
            ip.extend(own.octets());
            ip.extend(address.octets());
            let checksum = !folded(sum(&ip));
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
            ([8, 0], ip, [own.octets(), address.octets()].concat())
        }
        (IpAddr::V6(own), IpAddr::V6(address)) => {
            let pseudo = [own.octets(), address.octets()].concat();
            let mut ip = vec![0x60, 0, 0, 0, 0, 16, UDP, 64];
            ip.extend(&pseudo);
            ([0x86, 0xdd], ip, pseudo)
        }
        _ => return None,
    };
    let mut udp = Vec::new();
    udp.extend(source.port().to_be_bytes());
    udp.extend(ECHO_PORT.to_be_bytes());
    udp.extend([0, 16, 0, 0]);
    let checksum = folded(sum(&pseudo) + u32::from(UDP) + 16 + sum(&udp));
    udp[6..8].copy_from_slice(&(!checksum).to_be_bytes());
    Some([&to[..], &from, &kind, &ip, &udp, &[0; 8]].concat())
}

/// Puts a sequence number into a frame, in the place of `before`.
fn number(frame: &mut [u8], before: u64, sequence: u64) {
    let payload = frame.len() - 8;
    let (head, tail) = frame.split_at_mut(payload);
    let checksum = &mut head[payload - 2..];
    let old = !u16::from_be_bytes([checksum[0], checksum[1]]);
    // What goes out is taken away by adding its complement (RFC 1624).
    let new = folded(u32::from(old) + sum(&(!before).to_be_bytes()) + sum(&sequence.to_be_bytes()));
    // Zero would mean that there is none.
    let new = if new == u16::MAX { u16::MAX } else { !new };
    checksum.copy_from_slice(&new.to_be_bytes());
    tail.copy_from_slice(&sequence.to_be_bytes());
}

/// Of an even number of bytes, few enough not to overflow.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|p| u32::from(u16::from_be_bytes([p[0], p[1]]))).sum()
}

fn folded(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    // The carry of the first time.
    u16::try_from((once & 0xffff) + (once >> 16)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The receiver's check: all words, the pseudo header's among them, add up to ones.
    fn good(frame: &[u8], header: usize, addresses: &[u8]) -> bool {
        folded(sum(addresses) + u32::from(UDP) + 16 + sum(&frame[14 + header..])) == u16::MAX
    }

    #[test]
    fn checksums_hold_whatever_the_number() {
        for (own, address, header) in
            [("10.0.0.9:40000", "10.0.0.31", 20), ("[fd00:a::9]:40000", "fd00:a::31", 40)]
        {
            let mut frame = frame([1; 6], [2; 6], own.parse().unwrap(), address.parse().unwrap()).unwrap();
            let addresses = if header == 20 { 26..34 } else { 22..54 };
            let addresses = frame[addresses].to_vec();
            assert!(good(&frame, header, &addresses));
            if header == 20 {
                assert_eq!(folded(sum(&frame[14..34])), u16::MAX);
            }
            let mut before = 0;
            for sequence in [1, 2, 0xffff, 0x1_0000, 0xffff_ffff_ffff, u64::MAX, 0] {
                number(&mut frame, before, sequence);
                assert!(good(&frame, header, &addresses), "{address}: {sequence:x}");
                assert_eq!(frame[frame.len() - 8..], sequence.to_be_bytes());
                before = sequence;
            }
        }
        assert_eq!(frame([1; 6], [2; 6], "10.0.0.9:1".parse().unwrap(), "fd00::1".parse().unwrap()), None);
    }
}
