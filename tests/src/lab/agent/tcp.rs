//! A TCP service that keeps its connections open, and a client that stays connected: what people do with file servers.
//!
//! The service greets with the number of its node and then waits. The client says on standard output when it was connected, and to whom, and
//! when it was told that the connection is no more; then it connects anew. It sends nothing: only a RST tells it.

use super::TCP_PORT;
use crate::lab::clock::now_ns;
use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Serves for ever, IPv4 and IPv6 with one socket.
pub(super) fn serve(node: u16) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, TCP_PORT)).into()).context("bind")?;
    socket.listen(128)?;
    for stream in TcpListener::from(socket).incoming() {
        let Ok(mut stream) = stream else { continue };
        thread::spawn(move || {
            // Until the client is gone, or the connection is taken away.
            writeln!(stream, "{node}").and_then(|()| stream.read(&mut [0; 64])).ok();
        });
    }
    Ok(())
}

/// A connection from that address, or from whichever the kernel takes.
fn connect(to: SocketAddr, from: Option<IpAddr>, patience: Duration) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect_timeout(&to.into(), patience)?;
    Ok(socket.into())
}

/// Stays connected for ever. Prints `connected NANOSECONDS NODE LOCAL_END` and `lost NANOSECONDS ERROR`. `patience` is the longest wait for a
/// connection: an address that is just moving may not answer the first SYN.
pub(super) fn client(address: IpAddr, from: Option<IpAddr>, patience: Duration) -> anyhow::Result<()> {
    let to = SocketAddr::new(address, TCP_PORT);
    let mut out = std::io::stdout().lock();
    loop {
        let Ok(stream) = connect(to, from, patience) else { continue };
        let mut lines = BufReader::new(&stream);
        let mut greeting = String::new();
        // A server that has the connection greets at once; one that lost it meanwhile never does.
        stream.set_read_timeout(Some(patience * 5))?;
        if !lines.read_line(&mut greeting).is_ok_and(|n| n > 0) {
            continue;
        }
        writeln!(out, "connected {} {} {}", now_ns(), greeting.trim(), stream.local_addr()?)?;
        stream.set_read_timeout(None)?;
        let end = match lines.read_line(&mut String::new()) {
            Ok(_) => "end of file".to_owned(),
            Err(e) => e.kind().to_string(),
        };
        writeln!(out, "lost {} {end}", now_ns())?;
    }
}
