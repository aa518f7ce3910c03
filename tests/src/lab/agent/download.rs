//! A download at an even pace, of which every byte is checked: the numbers 0, 1, 2, … of eight bytes each, then [`END`] and how many there were.
//!
//! The client closes its half of the connection when its standard input ends; that ends the stream, in order, from the other side. So the
//! download lasts as long as the test wants, and its end shows that both directions of one connection have lived all the time.

use crate::lab::clock::now_ns;
use crate::lab::download::{Progress, Silence};
use anyhow::Context;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Before the count of all numbers.
const END: u64 = u64::MAX;
/// Between two pieces; 200 kB a second in all.
const PACE: Duration = Duration::from_millis(10);
/// Numbers of a piece.
const PIECE: u64 = 256;
/// A shorter pause is none.
const SILENCE_NS: u64 = 100_000_000;
/// Between two lines of progress.
const TELL_NS: u64 = 50_000_000;

/// Serves for ever, IPv4 and IPv6 with one socket.
pub(super) fn serve(port: u16) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()).context("bind")?;
    socket.listen(128)?;
    for stream in TcpListener::from(socket).incoming() {
        let Ok(stream) = stream else { continue };
        // A client that goes away ends only its own stream.
        thread::spawn(move || send(stream).ok());
    }
    Ok(())
}

fn send(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PACE))?;
    let mut next = 0;
    loop {
        stream.write_all(&(next..next + PIECE).flat_map(u64::to_be_bytes).collect::<Vec<u8>>())?;
        next += PIECE;
        match stream.read(&mut [0; 64]) {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(e),
        }
    }
    stream.write_all(&[END, next].map(u64::to_be_bytes).concat())
}

/// Takes it; a line of JSON ([`Progress`]) again and again and at the end.
pub(super) fn client(from: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&from, Duration::from_secs(60)).context("connect")?;
    let mut seen = Progress {
        local: Some(stream.local_addr()?),
        bytes: 0,
        last_ns: now_ns(),
        silences: Vec::new(),
        end: None,
    };
    let writer = stream.try_clone()?;
    thread::spawn(move || {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        writer.shutdown(Shutdown::Write).ok();
    });
    let end = take(&mut stream, &mut seen);
    seen.end = Some(end.map_err(|e| format!("{e:#}")));
    tell(&seen)
}

fn take(stream: &mut TcpStream, seen: &mut Progress) -> anyhow::Result<()> {
    let (mut buffer, mut have) = (vec![0_u8; 65536], 0);
    let (mut next, mut told, mut ended) = (0_u64, 0, false);
    loop {
        let read = stream.read(&mut buffer[have..]).context("read")?;
        let now = now_ns();
        if now - seen.last_ns >= SILENCE_NS {
            seen.silences.push(Silence { from_ns: seen.last_ns, to_ns: now });
        }
        seen.last_ns = now;
        anyhow::ensure!(read > 0 || ended, "the connection was closed after {} bytes", seen.bytes);
        if read == 0 {
            return Ok(());
        }
        seen.bytes += read as u64;
        have += read;
        let (whole, rest) = buffer[..have].as_chunks::<8>();
        for number in whole.iter().map(|b| u64::from_be_bytes(*b)) {
            match (number, ended) {
                (END, false) => ended = true,
                (count, true) => anyhow::ensure!(count == next, "{count} were sent, {next} came"),
                (number, false) => {
                    anyhow::ensure!(number == next, "{number} came, and not {next}");
                    next += 1;
                }
            }
        }
        let rest = rest.len();
        buffer.copy_within(have - rest..have, 0);
        have = rest;
        if now - told >= TELL_NS {
            told = now;
            tell(seen)?;
        }
    }
}

fn tell(seen: &Progress) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(seen)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    Ok(out.flush()?)
}
