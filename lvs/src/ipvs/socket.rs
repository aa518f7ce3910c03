//! A netlink socket for requests whose answers the kernel gives at once: it works a request off inside `send`, and a dump inside `recv`.
//! So nothing here ever waits for an answer that may not come. Knows framing only, not what the messages are about.

use super::wire::{Answer, Malformed, flag, messages};
use netlink_sys::{Socket as Netlink, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::io;
use std::os::fd::AsRawFd;

/// A datagram of a dump has at most 32 KiB, unless a message is longer by itself.
const BUFFER: usize = 64 << 10;
/// How often a dump is begun anew because the table changed under it.
const TRIES: usize = 4;

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The kernel refused, perhaps with words.
    Refused { errno: i32, text: Option<String> },
    /// Its answer makes no sense.
    Malformed(Malformed),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Refused { errno: errno as i32, text: None }
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The socket. It belongs to the network namespace in which it was opened.
pub(crate) struct Socket {
    netlink: Netlink,
    seq: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens one for a netlink protocol.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut netlink = Netlink::new(protocol)?;
        netlink.bind_auto()?;
        // Refusals need not repeat what was refused, and may say in words why.
        netlink.set_cap_ack(true)?;
        netlink.set_ext_ack(true)?;
        Ok(Self { netlink, seq: 0, buffer: vec![0; BUFFER] })
    }

    /// Sends a request that `make` builds for flags and sequence number; gives the data of the answer. Asked of it beside that is an
    /// acknowledgement, or a dump.
    pub(crate) fn request(
        &mut self,
        dump: bool,
        make: impl Fn(u16, u32) -> Vec<u8>,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let flags = flag::REQUEST | if dump { flag::DUMP } else { flag::ACK };
        let mut tries = 1;
        loop {
            let (data, interrupted) = self.attempt(flags, &make)?;
            // A table that changes all the time: its last reading is as good as any.
            if !interrupted || tries == TRIES {
                return Ok(data);
            }
            tries += 1;
        }
    }

    /// One request: its answer, and whether the table changed while it was dumped.
    fn attempt(
        &mut self,
        flags: u16,
        make: impl Fn(u16, u32) -> Vec<u8>,
    ) -> Result<(Vec<Vec<u8>>, bool), Failure> {
        self.seq = self.seq.wrapping_add(1);
        let bytes = make(flags, self.seq);
        let sent = self.netlink.send_to(&bytes, &SocketAddr::new(0, 0), 0);
        sent.map_err(|e| Failure::from(Errno::from_raw(e.raw_os_error().unwrap_or(nix::libc::EIO))))?;
        let mut data = Vec::new();
        let mut interrupted = false;
        loop {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            let got = match recv(self.netlink.as_raw_fd(), &mut self.buffer, flags) {
                Ok(got) => got,
                Err(Errno::EINTR) => continue,
                // The kernel answers everything at once, except a request that ended in EINTR: that one it leaves without an answer.
                Err(Errno::EAGAIN) => return Err(Errno::EINTR.into()),
                Err(errno) => return Err(errno.into()),
            };
            let datagram =
                self.buffer.get(..got).ok_or_else(|| Malformed::new(format!("an answer of {got} bytes")))?;
            for message in messages(datagram)? {
                if message.seq != self.seq {
                    // Of a request that was given up.
                    continue;
                }
                interrupted |= message.flags & flag::INTERRUPTED != 0;
                match message.answer {
                    Answer::Data(body) => data.push(body.to_vec()),
                    Answer::Done => return Ok((data, interrupted)),
                    Answer::Refused { errno, text } => return Err(Failure::Refused { errno, text }),
                }
            }
        }
    }
}
