//! The client: asks every address in each round, notes the answers, and reports when its standard input asks for it.
//!
//! A process of its own, so that a busy test does not disturb it. `report NANOSECONDS` on a line of standard input is answered
//! with one JSON line (see `record`); the end of standard input ends it.

use super::ECHO_PORT;
use crate::lab::clock;
use crate::lab::record::{ProbeReport, Record, Transition};
use crate::lab::sys;
use anyhow::Context;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendto, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io::{self, IoSliceMut, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Asks until standard input ends.
pub(super) fn run(addresses: &[IpAddr], interval_us: u64) -> anyhow::Result<()> {
    sys::more_important();
    let mut prober = Prober::new(addresses)?;
    let interval = interval_us.max(100) * 1000;
    let mut next = clock::now_ns();
    let mut input = Vec::new();
    loop {
        let now = clock::now_ns();
        if now >= next {
            prober.worst_pace_ns = prober.worst_pace_ns.max(now - next);
            prober.ask_all();
            // After a late turn there is no burst: the missed rounds are left out.
            next = (next + interval).max(clock::now_ns());
        }
        let wait = Duration::from_nanos(next.saturating_sub(clock::now_ns()));
        let stdin = io::stdin();
        let mut ready = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        ready.extend(prober.targets.iter().map(|t| PollFd::new(t.socket.as_fd(), PollFlags::POLLIN)));
        match ppoll(&mut ready, Some(TimeSpec::from(wait)), Some(SigSet::empty())) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("ppoll"),
        }
        let commanded = ready[0].any().unwrap_or(false);
        drop(ready);
        prober.collect();
        if commanded && !prober.command(&mut input)? {
            return Ok(());
        }
    }
}

struct Prober {
    targets: Vec<Target>,
    by_address: HashMap<IpAddr, usize>,
    worst_pace_ns: u64,
}

struct Target {
    /// Its own: requests to an address that no neighbour answers for wait in their socket's send buffer until the kernel gives up, and
    /// would hold up those to other addresses. Not connected, so that an unreachable neighbour is silence and not an error.
    socket: Socket,
    address: IpAddr,
    to: SockaddrStorage,
    record: Record,
}

impl Prober {
    fn new(addresses: &[IpAddr]) -> anyhow::Result<Self> {
        let target = |address: &IpAddr| {
            let any = match address {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            anyhow::Ok(Target {
                socket: socket(any)?,
                address: *address,
                to: SockaddrStorage::from(SocketAddr::new(*address, ECHO_PORT)),
                record: Record::default(),
            })
        };
        let targets = addresses.iter().map(target).collect::<Result<_, _>>()?;
        let by_address = addresses.iter().enumerate().map(|(i, a)| (*a, i)).collect();
        Ok(Self { targets, by_address, worst_pace_ns: 0 })
    }

    fn ask_all(&mut self) {
        for target in &mut self.targets {
            let sequence = target.record.sent(clock::now_ns());
            // An address without a route or a neighbour cannot be asked: that request counts as lost.
            sendto(target.socket.as_raw_fd(), &sequence.to_be_bytes(), &target.to, MsgFlags::empty()).ok();
        }
    }

    fn collect(&mut self) {
        // Receive stamps are on the wall clock; both clocks are read together for the difference.
        let (wall, monotonic) = (clock::realtime_ns(), clock::now_ns());
        for socket in 0..self.targets.len() {
            while let Some((from, sequence, node, stamp)) = receive(&self.targets[socket].socket) {
                let Some(index) = self.by_address.get(&from) else { continue };
                let age = wall.saturating_sub(stamp.unwrap_or(wall));
                let at_ns = monotonic.saturating_sub(age);
                self.targets[*index].record.answered(sequence, Transition { at_ns, node });
            }
        }
    }

    /// Does what standard input asks; false at its end.
    fn command(&self, input: &mut Vec<u8>) -> anyhow::Result<bool> {
        let Some(commands) = lines(input)? else { return Ok(false) };
        for line in commands {
            let since = line.trim().strip_prefix("report ").map(str::parse);
            let since_ns: u64 = since.context("unknown command")??;
            let now_ns = clock::now_ns();
            let addresses =
                self.targets.iter().map(|t| (t.address, t.record.report(since_ns, now_ns))).collect();
            let report = ProbeReport { now_ns, addresses, worst_pace_ns: self.worst_pace_ns };
            let mut text = serde_json::to_vec(&report)?;
            text.push(b'\n');
            io::stdout().lock().write_all(&text)?;
            io::stdout().lock().flush()?;
        }
        Ok(true)
    }
}

/// The lines that have come on standard input; `input` keeps what is not complete. `None` at its end.
pub(super) fn lines(input: &mut Vec<u8>) -> anyhow::Result<Option<Vec<String>>> {
    let mut chunk = [0_u8; 256];
    let length = match nix::unistd::read(io::stdin().as_fd(), &mut chunk) {
        Ok(0) => return Ok(None),
        Ok(length) => length,
        Err(Errno::EINTR | Errno::EAGAIN) => return Ok(Some(Vec::new())),
        Err(error) => return Err(error).context("standard input"),
    };
    input.extend_from_slice(&chunk[..length]);
    let mut lines = Vec::new();
    while let Some(end) = input.iter().position(|b| *b == b'\n') {
        let line: Vec<u8> = input.drain(..=end).collect();
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    Ok(Some(lines))
}

pub(super) fn socket(own: IpAddr) -> anyhow::Result<Socket> {
    let address = SocketAddr::new(own, 0);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(4 << 20).ok();
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("receive stamps")?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// One answer: from which address, to which request, by which node, and the kernel's stamp.
pub(super) fn receive(socket: &Socket) -> Option<(IpAddr, u64, u16, Option<u64>)> {
    loop {
        let mut data = [0_u8; 64];
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(&mut data)];
        let flags = MsgFlags::empty();
        let received = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
        let (length, from, stamp) = match received {
            Ok(message) => {
                let stamp = message.cmsgs().ok().and_then(|mut all| {
                    all.find_map(|c| match c {
                        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
                        _ => None,
                    })
                });
                (message.bytes, message.address, stamp)
            }
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
        };
        let Some(from) = from.as_ref().and_then(ip_of) else { continue };
        let Some((sequence, node)) = data[..length].split_first_chunk::<8>() else { continue };
        let Ok(node) = <[u8; 2]>::try_from(node) else { continue };
        let stamp = stamp.and_then(|s| u64::try_from(s.as_nanos()).ok());
        return Some((from, u64::from_be_bytes(*sequence), u16::from_be_bytes(node), stamp));
    }
}

pub(super) fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}
