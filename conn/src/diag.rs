//! Listing and destroying TCP sockets through `NETLINK_SOCK_DIAG`.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SockDiagDestroy, SockDiagMessage, TCP_CLOSE_WAIT, TCP_ESTABLISHED,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use recoverd::connections::canonical;
use recoverd::model::Connection;
use std::io;
use std::net::SocketAddr;

/// The kernel answers at once or not at all.
const ANSWER_TIMEOUT_MS: i64 = 1000;

/// Room for what the kernel says while it is read.
const RECEIVE_BUFFER: usize = 1 << 20;

/// A question about sockets that failed.
#[derive(Debug, thiserror::Error)]
pub enum DiagError {
    /// The kernel refuses, or does not know the question (`CONFIG_INET_DIAG`).
    #[error("cannot {what} through sock_diag: {source}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The answer makes no sense.
    #[error("cannot {what} through sock_diag: the kernel's answer is not understood: {why}")]
    Malformed {
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// A socket of the kernel that is neither listening nor waiting for stray packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its ends; `server` is the local one, also of a connection that was opened from here.
    pub connection: Connection,
    /// Data may still flow: the client would wait in vain for a server that is gone.
    pub alive: bool,
    family: u8,
    id: SocketId,
}

/// What became of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destroyed {
    /// It is gone, and its peer was sent a RST if the way was open.
    Gone,
    /// This kernel cannot do it (`CONFIG_INET_DIAG_DESTROY`).
    Unsupported,
}

/// A socket for questions, in the network namespace in which it was opened.
pub struct Diag {
    socket: Socket,
    seq: u32,
}

impl Diag {
    /// Opens it.
    ///
    /// # Errors
    /// The kernel has no `sock_diag`.
    pub fn open() -> Result<Self, DiagError> {
        let open = || {
            let socket = Socket::new(NETLINK_SOCK_DIAG)?;
            setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(ANSWER_TIMEOUT_MS))?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
                .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| DiagError::Refused { what: "open a socket", source })?;
        Ok(Self { socket, seq: 0 })
    }

    /// All connections of this network namespace, also half-open ones; neither listening sockets nor TIME_WAIT. An IPv4 connection of
    /// a dual-stack server is one of IPv4.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn connections(&mut self) -> Result<Vec<Found>, DiagError> {
        let mut all = Vec::new();
        for (family, any) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            match self.dump(family, any, &mut all) {
                // A kernel without IPv6.
                Err(DiagError::Refused { source, .. })
                    if family == AF_INET6 && source.raw_os_error() == Some(Errno::ENOENT as i32) => {}
                done => done?,
            }
        }
        Ok(all)
    }

    fn dump(&mut self, family: u8, any: SocketId, all: &mut Vec<Found>) -> Result<(), DiagError> {
        const WHAT: &str = "list TCP connections";
        let states = StateFlags::all() - StateFlags::LISTEN - StateFlags::TIME_WAIT - StateFlags::CLOSE;
        let request = SockDiagMessage::InetRequest(request(family, any, states));
        self.send(WHAT, request, NLM_F_REQUEST | NLM_F_DUMP)?;
        loop {
            for message in self.receive::<SockDiagMessage>(WHAT)? {
                match message.payload {
                    NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                        let header = response.header;
                        let id = header.socket_id;
                        let connection = canonical(Connection {
                            client: SocketAddr::new(id.destination_address, id.destination_port),
                            server: SocketAddr::new(id.source_address, id.source_port),
                        });
                        let alive = matches!(header.state, TCP_ESTABLISHED | TCP_CLOSE_WAIT);
                        all.push(Found { connection, alive, family: header.family, id });
                    }
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(e) => {
                        return Err(DiagError::Refused { what: WHAT, source: e.to_io() });
                    }
                    _ => {}
                }
            }
        }
    }

    /// Destroys a socket: whoever has it open gets `ECONNABORTED`, the other end a RST. One that is gone already is a success.
    ///
    /// # Errors
    /// The kernel refuses: the privilege (CAP_NET_ADMIN) is missing.
    pub fn destroy(&mut self, found: &Found) -> Result<Destroyed, DiagError> {
        const WHAT: &str = "destroy a TCP connection";
        let request = request(found.family, found.id.clone(), StateFlags::all());
        let message = SockDiagDestroy::new(SockDiagMessage::InetRequest(request));
        self.send(WHAT, message, NLM_F_REQUEST | NLM_F_ACK)?;
        loop {
            for message in self.receive::<SockDiagMessage>(WHAT)? {
                let NetlinkPayload::Error(e) = message.payload else { continue };
                let Some(code) = e.code else { return Ok(Destroyed::Gone) };
                return match Errno::from_raw(code.get().abs()) {
                    Errno::ENOENT => Ok(Destroyed::Gone),
                    Errno::EOPNOTSUPP => Ok(Destroyed::Unsupported),
                    _ => Err(DiagError::Refused { what: WHAT, source: e.to_io() }),
                };
            }
        }
    }

    fn send<M>(&mut self, what: &'static str, message: M, flags: u16) -> Result<(), DiagError>
    where
        M: NetlinkSerializable + Into<NetlinkPayload<M>>,
    {
        self.seq = self.seq.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.seq;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let sent = self.socket.send_to(&bytes, &NetlinkAddr::new(0, 0), 0);
        sent.map(|_| ()).map_err(|source| DiagError::Refused { what, source })
    }

    /// The messages of the next datagram that belong to the present question; a late answer to an earlier one is passed over.
    fn receive<M>(&self, what: &'static str) -> Result<Vec<NetlinkMessage<M>>, DiagError>
    where
        M: netlink_packet_core::NetlinkDeserializable,
    {
        let (bytes, _) =
            self.socket.recv_from_full().map_err(|source| DiagError::Refused { what, source })?;
        let mut messages = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<M>::deserialize(rest)
                .map_err(|e| DiagError::Malformed { what, why: e.to_string() })?;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(length.max(16)..).unwrap_or_default();
            if message.header.sequence_number == self.seq {
                messages.push(message);
            }
        }
        Ok(messages)
    }
}

fn request(family: u8, socket_id: SocketId, states: StateFlags) -> InetRequest {
    InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states, socket_id }
}
