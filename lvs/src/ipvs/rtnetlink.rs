//! Requests to rtnetlink over the crate's own socket: for the real server's side and for the doctor.

use super::socket::{Failure, Socket as Netlink};
use super::wire::message;
use netlink_packet_core::Emitable;
use netlink_sys::protocols::NETLINK_ROUTE;
use std::io;

/// NLM_F_CREATE and NLM_F_EXCL. For requests that ask, these bits mean something else.
const CREATE_EXCLUSIVELY: u16 = 0x600;

/// A socket of the network namespace in which it was opened.
pub(crate) struct Socket(Netlink);

impl Socket {
    /// Opens one.
    pub(crate) fn open() -> io::Result<Self> {
        Netlink::open(NETLINK_ROUTE).map(Self)
    }
}

/// Sends a request and gives the bodies of the answers. A refusal is the system's error of that number.
pub(crate) fn ask(socket: &mut Socket, kind: u16, body: &impl Emitable) -> io::Result<Vec<Vec<u8>>> {
    let mut bytes = vec![0; body.buffer_len()];
    body.emit(&mut bytes);
    // Of each four kinds, the first makes something (RTM_NEW…).
    let more = if kind.is_multiple_of(4) { CREATE_EXCLUSIVELY } else { 0 };
    socket.0.request(false, |flags, seq| message(kind, flags | more, seq, &[&bytes])).map_err(|f| match f {
        Failure::Refused { errno, .. } => io::Error::from_raw_os_error(errno),
        Failure::Malformed(malformed) => io::Error::other(malformed),
    })
}
