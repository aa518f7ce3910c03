//! TCP connections, tried side by side and closed at once.

use super::Connect;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long an answer may take: two retransmissions of the SYN.
const PATIENCE: Duration = Duration::from_millis(3500);
/// So many at a time.
const WIDTH: usize = 64;

/// Tries all of them, each once.
pub(super) fn all(targets: BTreeSet<SocketAddr>) -> BTreeMap<SocketAddr, Connect> {
    each(targets.into_iter().collect()).into_iter().collect()
}

/// Tries each as often as it is named.
pub(super) fn each(targets: Vec<SocketAddr>) -> Vec<(SocketAddr, Connect)> {
    let mut found = Vec::new();
    for some in targets.chunks(WIDTH) {
        thread::scope(|scope| {
            let tries: Vec<_> = some.iter().map(|to| (*to, scope.spawn(move || one(*to)))).collect();
            for (to, task) in tries {
                let seen =
                    task.join().unwrap_or_else(|_| Connect::NotTried("the attempt was cut short".to_owned()));
                found.push((to, seen));
            }
        });
    }
    found
}

fn one(to: SocketAddr) -> Connect {
    let begin = Instant::now();
    match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(_) => Connect::Made,
        Err(e) => match e.kind() {
            ErrorKind::ConnectionRefused => Connect::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Connect::Silent(begin.elapsed().as_millis()),
            _ => Connect::Failed(e.to_string()),
        },
    }
}
