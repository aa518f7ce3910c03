//! Listens for others who have a public address of ours: one packet socket for all interfaces, with a filter in the kernel, and a thread
//! that sleeps in it.
//!
//! While the cluster is well the filter lets nothing through but the announcements of a fail-over. What is heard is handed on as it is;
//! whether it is a conflict is the driver's to know, who has the addresses. Says the same no more than once in a while: a host that holds
//! one of our addresses says so with every frame.

use super::claims::{Claim, claim, filter};
use nix::sys::socket::{LinkAddr, recvfrom};
use recoverd::model::PublicAddress;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// The same claim is told again after so long.
const AGAIN: Duration = Duration::from_secs(10);
/// Claims that are remembered at most.
const REMEMBERED: usize = 1024;
const ETHERTYPE_ARP: u16 = 0x0806;

/// Starts listening. Other public addresses take force when they are announced in `public`. In a tokio runtime.
///
/// # Errors
/// No packet socket is to be had (CAP_NET_RAW), no thread, or the kernel refuses the filter.
pub fn listen(
    mut public: watch::Receiver<Arc<[PublicAddress]>>,
    claims: mpsc::UnboundedSender<Claim>,
) -> io::Result<()> {
    let protocol = Protocol::from(i32::from(ETHERTYPE_ARP.to_be()));
    let socket = Arc::new(Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?);
    let of = |list: &[PublicAddress]| filter(list.iter().map(|p| p.addr));
    socket.attach_filter(&of(&public.borrow_and_update()))?;
    let ears = Arc::clone(&socket);
    std::thread::Builder::new().name("arp-claims".into()).spawn(move || hear(&ears, &claims))?;
    tokio::spawn(async move {
        while public.changed().await.is_ok() {
            let program = of(&public.borrow_and_update());
            if let Err(e) = socket.attach_filter(&program) {
                tracing::warn!("others who have a new public address will not be heard: {e}");
            }
        }
    });
    Ok(())
}

fn hear(socket: &Socket, claims: &mpsc::UnboundedSender<Claim>) {
    let mut told: BTreeMap<Claim, Instant> = BTreeMap::new();
    let mut frame = [0; 128];
    loop {
        let len = match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame) {
            Ok((len, _)) => len,
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::ENETDOWN) => continue,
            Err(e) => {
                tracing::error!("others who have a public address are no longer heard: {e}");
                return;
            }
        };
        let Some(claim) = frame.get(..len).and_then(claim) else { continue };
        if told.get(&claim).is_some_and(|at| at.elapsed() < AGAIN) {
            continue;
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(claim, Instant::now());
        if claims.send(claim).is_err() {
            return;
        }
    }
}
