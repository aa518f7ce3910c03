//! Accepting: the listener of the node service, and what keeps strangers and nonsense out of it.

use super::Identity;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// The first bytes of every gRPC connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// With the header of the frame that must follow.
const HEAD: usize = PREFACE.len() + 9;
/// A connection that says nothing for so long is closed.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// Binds the node service's port on this node's private address.
///
/// # Errors
/// The system's, with what was asked.
pub fn listen(addr: SocketAddr) -> Result<TcpListener, String> {
    bind(addr).map_err(|e| {
        let hint = match e.kind() {
            io::ErrorKind::AddrInUse => "another ctdbd or program uses it: `ss -ltnp` names it",
            io::ErrorKind::AddrNotAvailable => {
                "this host does not have the address of its line in the nodes file"
            }
            _ => "see the nodes file and --port",
        };
        format!("cannot listen on {addr}: {e}; {hint}")
    })
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

/// Hands on connections from nodes of the nodes file that speak HTTP/2.
pub(super) async fn screen(
    listener: TcpListener,
    id: Arc<Identity>,
    good: mpsc::Sender<io::Result<TcpStream>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                let (id, good) = (Arc::clone(&id), good.clone());
                tokio::spawn(async move {
                    match inspect(&stream, from.ip(), &id).await {
                        Ok(()) => {
                            // The receiver is gone only when the daemon ends.
                            let _ = good.send(Ok(stream)).await;
                        }
                        Err(why) => {
                            tracing::warn!("connection from {from} to port {} refused: {why}", id.port)
                        }
                    }
                });
            }
            Err(e) => {
                tracing::error!("accepting connections on port {}: {e}", id.port);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn inspect(stream: &TcpStream, from: IpAddr, id: &Identity) -> Result<(), String> {
    if !id.nodes().iter().flatten().any(|n| *n == from.to_canonical()) {
        return Err("the address is not in the nodes file".to_owned());
    }
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut head = [0u8; HEAD];
    let read = async {
        loop {
            let n = stream.peek(&mut head).await.map_err(|e| e.to_string())?;
            if n == 0 {
                return Err("it said nothing".to_owned());
            }
            if !begins_grpc(&head[..n]) {
                return Err("it does not speak gRPC (HTTP/2)".to_owned());
            }
            if n == HEAD {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(FIRST_WORD, read).await.map_err(|_| "it said nothing".to_owned())?
}

/// Whether a connection that begins with these bytes, [`HEAD`] or fewer, can be gRPC: the preface, then a frame of settings.
fn begins_grpc(head: &[u8]) -> bool {
    let (preface, frame) = head.split_at(head.len().min(PREFACE.len()));
    // Length (3 bytes, any), type 4, no flags, stream 0: section 6.5.
    PREFACE.starts_with(preface) && frame.iter().skip(3).zip([4, 0, 0, 0, 0, 0]).all(|(a, b)| *a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_grpc_is_known_byte_for_byte() {
        let good = [PREFACE, &[0, 0, 18, 4, 0, 0, 0, 0, 0]].concat();
        assert_eq!(good.len(), HEAD);
        for n in 0..=HEAD {
            assert!(begins_grpc(&good[..n]), "{n}");
        }
        for wrong in (0..PREFACE.len()).chain(PREFACE.len() + 3..HEAD) {
            let mut bad = good.clone();
            bad[wrong] ^= 1;
            assert!(!begins_grpc(&bad), "{wrong}");
        }
    }
}
