//! A look at the host of a peer that cannot be dialled: does it answer otherwise? What follows is `recoverd::host`'s.
//!
//! Cheap, and in the dialling task: one echo request, and where ICMP cannot be sent or is not answered one TCP connection to a port that
//! is refused or accepted by any host. No right is needed for the latter.

use super::LinkEvent;
use recoverd::host::{HostSeen, PortSeen};
use recoverd::model::Pnn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// Between two looks at one host.
const EVERY: Duration = Duration::from_secs(3);
/// How long each question waits for an answer.
const LIMIT: Duration = Duration::from_secs(1);
/// ssh: most firewalls let it pass; a host without it refuses, which is an answer, too.
const PORT: u16 = 22;

/// What the connection to the node service's port came to, noted by who makes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tried {
    connected: Arc<AtomicBool>,
    error: Arc<Mutex<Option<io::ErrorKind>>>,
}

impl Tried {
    /// Notes how it ended.
    pub(super) fn note<T>(&self, result: &io::Result<T>) {
        match result {
            Ok(_) => self.connected.store(true, Ordering::Relaxed),
            Err(e) => *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.kind()),
        }
    }

    /// What was seen; none for an error of our own end, which says nothing about the peer.
    fn seen(&self) -> Option<PortSeen> {
        if self.connected.load(Ordering::Relaxed) {
            return Some(PortSeen::Mute);
        }
        match *self.error.lock().unwrap_or_else(PoisonError::into_inner) {
            None | Some(io::ErrorKind::TimedOut) => Some(PortSeen::Nothing),
            Some(io::ErrorKind::ConnectionRefused) => Some(PortSeen::Refused),
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => Some(PortSeen::NoWay),
            Some(_) => None,
        }
    }
}

/// The looks at one peer.
#[derive(Debug, Default)]
pub(super) struct Looks {
    last: Option<Instant>,
}

impl Looks {
    /// After a try that failed with `why`: looks, if that is due and would tell anything.
    pub(super) async fn after(
        &mut self,
        pnn: Pnn,
        (from, to): (IpAddr, IpAddr),
        tried: &Tried,
        why: &str,
    ) -> Option<LinkEvent> {
        let port = tried.seen()?;
        if self.last.is_some_and(|at| at.elapsed() < EVERY) {
            return None;
        }
        self.last = Some(Instant::now());
        let answers = match port {
            PortSeen::Refused | PortSeen::Mute => None,
            PortSeen::Nothing | PortSeen::NoWay => answers(from, to).await,
        };
        let seen = HostSeen::judge(port, answers.is_some());
        let evidence = match answers {
            Some(how) => format!("{why}, but {how}"),
            None => why.to_owned(),
        };
        Some(LinkEvent::Host { pnn, seen, evidence })
    }
}

/// How the host answers, if it does.
async fn answers(from: IpAddr, to: IpAddr) -> Option<String> {
    if lvs::probe::echo(to, Some(from), LIMIT).await.is_ok() {
        return Some(format!("{to} answers echo requests"));
    }
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.ok()?;
    socket.bind(SocketAddr::new(from, 0)).ok()?;
    match timeout(LIMIT, socket.connect(SocketAddr::new(to, PORT))).await {
        Ok(Ok(_)) => Some(format!("{to} accepts connections to port {PORT}")),
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            Some(format!("{to} refuses connections to port {PORT}"))
        }
        Ok(Err(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (IpAddr, IpAddr) =
        (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn failed(kind: io::ErrorKind) -> Tried {
        let tried = Tried::default();
        tried.note::<()>(&Err(kind.into()));
        tried
    }

    #[test]
    fn each_end_of_a_try_says_what_it_says() {
        assert_eq!(Tried::default().seen(), Some(PortSeen::Nothing), "it was still waited for");
        assert_eq!(failed(io::ErrorKind::TimedOut).seen(), Some(PortSeen::Nothing));
        assert_eq!(failed(io::ErrorKind::ConnectionRefused).seen(), Some(PortSeen::Refused));
        assert_eq!(failed(io::ErrorKind::HostUnreachable).seen(), Some(PortSeen::NoWay));
        assert_eq!(failed(io::ErrorKind::AddrNotAvailable).seen(), None, "our own address is gone");
        let tried = Tried::default();
        tried.note(&Ok(()));
        assert_eq!(tried.seen(), Some(PortSeen::Mute));
    }

    /// This host answers itself, by echo or by refusing: a port from which nothing comes is filtered.
    #[tokio::test]
    async fn a_host_that_answers_otherwise_is_alive_and_is_not_asked_all_the_time() {
        let mut looks = Looks::default();
        let look = looks.after(Pnn(1), HERE, &Tried::default(), "no answer").await;
        let Some(LinkEvent::Host { seen: HostSeen::Filtered, evidence, .. }) = look else {
            panic!("{look:?}")
        };
        assert!(evidence.starts_with("no answer, but 127.0.0.1 "), "{evidence}");
        assert!(looks.after(Pnn(1), HERE, &Tried::default(), "no answer").await.is_none(), "too soon");
    }
}
