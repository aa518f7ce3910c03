//! Nonsense on the node port and on the local socket: refused, logged where it can be an attack or a mistake, and nothing is lost.

use super::solo::Solo;
use proto::v1::CallRequest;
use proto::v1::local_client::LocalClient;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tonic::Code;
use tonic::transport::Endpoint;

const PORT: u16 = 4379;
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// The connection preface of HTTP/2, then a frame of settings (RFC 9113 sections 3.4 and 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A connection to the node port from an address of ours.
fn connect(from: IpAddr, to: IpAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&SocketAddr::new(to, PORT).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Reads until the other side closes, which must come; what it said.
fn until_closed(stream: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        match stream.read(&mut part) {
            Ok(0) => return all,
            Ok(n) => all.extend(&part[..n]),
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return all,
            Err(e) => panic!("the connection is not closed: {e}"),
        }
    }
}

/// A write that the other side may refuse by closing.
fn say(stream: &mut impl Write, bytes: &[u8]) {
    stream.write_all(bytes).ok();
}

/// Bytes without meaning, the same at every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state: u32 = 2_463_534_242;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

#[test]
fn bad_client_from_a_stranger_is_closed_at_once() {
    let mut solo = Solo::new();
    solo.start();
    let mut stream = connect(STRANGER, solo.addr);
    say(&mut stream, &[PREFACE, SETTINGS].concat());
    assert_eq!(until_closed(&mut stream), b"");
    solo.wait_log(&["WARN", &STRANGER.to_string(), "refused: the address is not in the nodes file"]);
    solo.assert_serves();
}

#[test]
fn bad_client_that_does_not_speak_grpc() {
    let mut solo = Solo::new();
    solo.start();
    let http1 = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let half = [PREFACE, &[0xff; 64]].concat();
    for bytes in [noise(4096), http1, half] {
        let mut stream = connect(solo.peer, solo.addr);
        let from = stream.local_addr().unwrap().to_string();
        say(&mut stream, &bytes);
        until_closed(&mut stream);
        solo.wait_log(&["WARN", &from, "refused: it does not speak gRPC"]);
    }
    solo.assert_serves();
}

#[test]
fn bad_client_that_turns_to_nonsense_later() {
    let mut solo = Solo::new();
    solo.start();
    for nonsense in [vec![0xff; 64], noise(4096)] {
        let mut stream = connect(solo.peer, solo.addr);
        say(&mut stream, &[PREFACE, SETTINGS, &nonsense].concat());
        until_closed(&mut stream);
    }
    solo.assert_serves();
}

#[test]
fn bad_client_that_says_nothing_is_closed() {
    let mut solo = Solo::new();
    solo.start();
    let mut silent = connect(solo.peer, solo.addr);
    let mut slow = connect(solo.peer, solo.addr);
    say(&mut slow, &PREFACE[..10]);
    for stream in [&mut silent, &mut slow] {
        let from = stream.local_addr().unwrap().to_string();
        assert_eq!(until_closed(stream), b"");
        solo.wait_log(&["WARN", &from, "refused: it said nothing"]);
    }
    solo.assert_serves();
}

#[test]
fn bad_clients_two_hundred_at_once() {
    let mut solo = Solo::new();
    solo.start();
    for from in [STRANGER, solo.peer] {
        let mut streams: Vec<TcpStream> = (0..200).map(|_| connect(from, solo.addr)).collect();
        // While they are there, the daemon answers.
        solo.assert_serves();
        for stream in &mut streams {
            say(stream, b"\x16\x03\x01 hello?");
        }
        for stream in &mut streams {
            until_closed(stream);
        }
    }
    solo.assert_serves();
}

#[test]
fn bad_call_on_the_local_socket() {
    let mut solo = Solo::new();
    solo.start();
    let path = solo.file("../run/ctdbd.socket");
    for bytes in [noise(4096), b"GET / HTTP/1.1\r\n\r\n".to_vec(), [PREFACE, &[0xff; 64]].concat()] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        say(&mut stream, &bytes);
        until_closed(&mut stream);
    }
    let endpoint = Endpoint::from_shared(format!("unix://{}", path.display())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(async {
        let mut client = LocalClient::new(endpoint.connect().await.unwrap());
        client.call(CallRequest::default()).await.unwrap_err()
    });
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(!refused.message().is_empty());
    solo.assert_serves();
}
