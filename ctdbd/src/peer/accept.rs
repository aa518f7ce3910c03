//! Accepting: the listener of the node service, and what keeps strangers and nonsense out of it.

use super::Identity;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// The first bytes of every gRPC connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
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
    if !id.nodes.iter().flatten().any(|n| *n == from.to_canonical()) {
        return Err("the address is not in the nodes file".to_owned());
    }
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut head = [0u8; PREFACE.len()];
    let read = async {
        loop {
            let n = stream.peek(&mut head).await.map_err(|e| e.to_string())?;
            if n == 0 {
                return Err("it said nothing".to_owned());
            }
            if head[..n] != PREFACE[..n] {
                return Err("it does not speak gRPC (HTTP/2)".to_owned());
            }
            if n == PREFACE.len() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(FIRST_WORD, read).await.map_err(|_| "it said nothing".to_owned())?
}
