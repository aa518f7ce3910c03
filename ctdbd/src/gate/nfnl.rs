//! Netlink messages of nf_tables: attributes, batches, and the socket that the kernel answers on at once.
//!
//! A batch is one transaction: all of it or nothing. The kernel works it off inside `send`, so its answers lie in the socket when `send`
//! returns. Nothing here knows what the tables are for.

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Netfilter's number for nf_tables, high byte of every message type.
pub(super) const SUBSYSTEM: u16 = 10;
/// Netlink's own answer: an error, or zero as acknowledgement.
const ERROR: u16 = 2;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const NESTED: u16 = 0x8000;
/// Room for a batch: a ruleset with 2 x 2000 addresses takes about 400 kB.
const SEND_BUFFER: usize = 4 << 20;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Op {
    NewTable = 0,
    GetTable = 1,
    DelTable = 2,
    NewChain = 3,
    NewRule = 6,
    NewSet = 9,
    NewElements = 12,
    GetElements = 13,
    DelElements = 14,
}

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Family {
    Inet = 1,
    Arp = 3,
    Netdev = 5,
}

/// Attributes, each padded to four bytes.
#[derive(Debug, Default)]
pub(super) struct Attrs(Vec<u8>);

impl Attrs {
    pub(super) fn put(&mut self, kind: u16, value: &[u8]) {
        self.nest_as(kind, |inner| inner.0.extend_from_slice(value));
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.nest_as(kind, |inner| {
            inner.0.extend_from_slice(value.as_bytes());
            inner.0.push(0);
        });
    }

    pub(super) fn be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(super) fn be64(&mut self, kind: u16, value: u64) {
        self.put(kind, &value.to_be_bytes());
    }

    /// An attribute that consists of attributes.
    pub(super) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.nest_as(kind | NESTED, fill);
    }

    /// Attributes that were made before.
    pub(super) fn raw(&mut self, attributes: &[u8]) {
        self.0.extend_from_slice(attributes);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn nest_as(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        fill(self);
        let len = u16::try_from(self.0.len() - start).unwrap_or_else(|_| {
            unreachable!("attributes are short: elements go out in messages of {ELEMENTS_PER_MESSAGE}")
        });
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// An attribute's length has 16 bits, an element takes up to 60 bytes.
pub(super) const ELEMENTS_PER_MESSAGE: usize = 1000;

/// A transaction in the making; [`Batch::finish`] makes it one that can be sent, more than once if need be.
pub(super) struct Batch {
    attrs: Attrs,
    ops: Vec<(Op, Family)>,
    /// Where the last message begins.
    last: usize,
}

/// A transaction.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    bytes: Vec<u8>,
    ops: Vec<(Op, Family)>,
}

impl Batch {
    pub(super) fn new() -> Self {
        let mut attrs = Attrs::default();
        message(&mut attrs, BATCH_BEGIN, REQUEST, 0, 0, SUBSYSTEM, |_| ());
        Self { attrs, ops: Vec::new(), last: 0 }
    }

    /// Adds a message. What `New…` names may exist already; a rule is a new one each time.
    pub(super) fn add(&mut self, op: Op, family: Family, fill: impl FnOnce(&mut Attrs)) {
        let create = match op {
            Op::NewTable | Op::NewChain | Op::NewSet | Op::NewElements => CREATE,
            // After the rules that the chain has.
            Op::NewRule => CREATE | APPEND,
            Op::GetTable | Op::DelTable | Op::GetElements | Op::DelElements => 0,
        };
        self.ops.push((op, family));
        self.last = self.attrs.0.len();
        let seq = u32::try_from(self.ops.len()).unwrap_or(u32::MAX);
        message(&mut self.attrs, kind(op), REQUEST | create, seq, family as u8, 0, fill);
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The transaction, which asks for an acknowledgement of its last message.
    pub(super) fn finish(mut self) -> Prepared {
        // That one proves that the kernel came so far; all others speak up only when refused. It is not asked for at the batch's end:
        // Linux before 6.10 performs a transaction and says nothing there (seen with 6.1).
        if let Some(flags) = self.attrs.0.get_mut(self.last + 6..self.last + 8).filter(|_| self.last > 0) {
            let asked = u16::from_ne_bytes([flags[0], flags[1]]) | ACK;
            flags.copy_from_slice(&asked.to_ne_bytes());
        }
        let end = u32::try_from(self.ops.len() + 1).unwrap_or(u32::MAX);
        message(&mut self.attrs, BATCH_END, REQUEST, end, 0, SUBSYSTEM, |_| ());
        Prepared { bytes: self.attrs.into_bytes(), ops: self.ops }
    }
}

impl Prepared {
    /// Length in bytes.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn kind(op: Op) -> u16 {
    (SUBSYSTEM << 8) | op as u16
}

fn message(
    to: &mut Attrs,
    kind: u16,
    flags: u16,
    seq: u32,
    family: u8,
    resource: u16,
    fill: impl FnOnce(&mut Attrs),
) {
    let start = to.0.len();
    to.0.extend_from_slice(&[0; 4]);
    to.0.extend_from_slice(&kind.to_ne_bytes());
    to.0.extend_from_slice(&flags.to_ne_bytes());
    to.0.extend_from_slice(&seq.to_ne_bytes());
    to.0.extend_from_slice(&[0; 4]);
    to.0.extend_from_slice(&[family, 0]);
    to.0.extend_from_slice(&resource.to_be_bytes());
    fill(to);
    let len = u32::try_from(to.0.len() - start).unwrap_or(u32::MAX);
    to.0[start..start + 4].copy_from_slice(&len.to_ne_bytes());
}

/// The kernel's no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Why.
    pub(super) errno: Errno,
    /// To what; `None`: to the transaction as a whole.
    pub(super) what: Option<(Op, Family)>,
}

/// A netlink socket for requests.
pub(super) struct NfSocket {
    socket: Socket,
    port: u32,
}

impl NfSocket {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        let port = socket.bind_auto()?.port_number();
        // Refusals need not carry what was refused.
        socket.set_cap_ack(true)?;
        enlarge(&socket, SEND_BUFFER)?;
        Ok(Self { socket, port })
    }

    /// The number by which the kernel tells others who made a change.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    /// Sends a transaction. It waits while another program's transaction is under way, which may take a second.
    pub(super) fn commit(&self, batch: &Prepared) -> Result<(), Refusal> {
        let whole = |errno| Refusal { errno, what: None };
        // Nothing would be answered to it.
        if batch.ops.is_empty() {
            return Ok(());
        }
        self.send(&batch.bytes).map_err(whole)?;
        let mut result = Err(whole(Errno::ENOMSG));
        let mut refusals = Vec::new();
        self.answers(|seq, errno| {
            let place = seq.checked_sub(1).and_then(|n| batch.ops.get(n as usize)).copied();
            match errno {
                Some(errno) => refusals.push(Refusal { errno, what: place }),
                None => result = Ok(()),
            }
        })
        .map_err(whole)?;
        refusals.first().map_or(result, |first| Err(*first))
    }

    /// Whether what `op` asks for exists. Takes no lock that transactions hold.
    pub(super) fn exists(
        &self,
        op: Op,
        family: Family,
        fill: impl FnOnce(&mut Attrs),
    ) -> Result<bool, Errno> {
        let mut request = Attrs::default();
        message(&mut request, kind(op), REQUEST | ACK, 1, family as u8, 0, fill);
        self.send(&request.into_bytes())?;
        let mut result = Err(Errno::ENOMSG);
        self.answers(|_, errno| {
            result = match errno {
                None => Ok(true),
                Some(Errno::ENOENT) => Ok(false),
                Some(other) => Err(other),
            };
        })?;
        result
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        let to = SocketAddr::new(0, 0);
        self.socket.send_to(bytes, &to, 0).map(|_| ()).map_err(errno_of)
    }

    /// Reads the answers that lie in the socket: sequence number and error, or none for an acknowledgement.
    fn answers(&self, mut each: impl FnMut(u32, Option<Errno>)) -> Result<(), Errno> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let got = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(got) => got,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => continue,
                Err(other) => return Err(other),
            };
            for message in Messages::new(&buffer[..got]) {
                if message.kind == ERROR
                    && let Some(code) = message.body.first_chunk().map(|b| i32::from_ne_bytes(*b))
                {
                    each(message.seq, (code != 0).then(|| Errno::from_raw(-code)));
                }
            }
        }
    }
}

/// The error number in an error of the standard library.
pub(super) fn errno_of(e: io::Error) -> Errno {
    Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO))
}

/// Enlarges a socket's buffers, beyond the system's limit where that is allowed.
pub(super) fn enlarge(socket: &impl AsFd, bytes: usize) -> io::Result<()> {
    setsockopt(socket, sockopt::SndBufForce, &bytes)
        .or_else(|_| setsockopt(socket, sockopt::SndBuf, &bytes))?;
    setsockopt(socket, sockopt::RcvBufForce, &bytes)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &bytes))?;
    Ok(())
}

/// A message that the kernel sent. `body` begins after netlink's header.
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) seq: u32,
    pub(super) port: u32,
    pub(super) body: &'a [u8],
}

/// The messages in a datagram; ends at the first that is cut short.
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let header = self.0.first_chunk::<16>()?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let len = usize::try_from(word(0)).ok().filter(|len| *len >= 16)?;
        let body = self.0.get(16..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind: u16::from_ne_bytes([header[4], header[5]]), seq: word(8), port: word(12), body })
    }
}

/// The value of the first attribute of that kind.
pub(super) fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    while let Some(header) = attributes.first_chunk::<4>() {
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = attributes.get(4..len)?;
        if u16::from_ne_bytes([header[2], header[3]]) & 0x3fff == kind {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux before 6.10 answers to messages of a batch, not to its beginning and end.
    #[test]
    fn the_last_operation_asks_for_the_answer() {
        let mut batch = Batch::new();
        for op in [Op::NewTable, Op::NewChain, Op::DelTable] {
            batch.add(op, Family::Inet, |a| a.text(1, "name"));
        }
        let asked: Vec<(u16, bool)> = {
            let bytes = batch.finish().bytes;
            let flags = |at: usize| u16::from_ne_bytes([bytes[at + 6], bytes[at + 7]]);
            let mut at = 0;
            std::iter::from_fn(|| {
                let len = u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
                let seen = (u16::from_ne_bytes([bytes[at + 4], bytes[at + 5]]), flags(at) & ACK != 0);
                at += len;
                Some(seen)
            })
            .collect()
        };
        let operation = |op, ack| (kind(op), ack);
        assert_eq!(
            asked,
            [
                (BATCH_BEGIN, false),
                operation(Op::NewTable, false),
                operation(Op::NewChain, false),
                operation(Op::DelTable, true),
                (BATCH_END, false)
            ]
        );
    }
}
