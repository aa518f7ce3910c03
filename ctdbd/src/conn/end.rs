//! Ending the connections to addresses that are let go.

use conn::{Destroyed, Diag, Sender};
use recoverd::model::Connection;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A release waits at most so long; what is not ended then is ended beside it.
const LIMIT: Duration = Duration::from_millis(200);

/// Where sockets cannot be destroyed: how long clients may take to answer.
const ANSWERS: Duration = Duration::from_millis(100);

/// Ends connections. Clones share one worker: however many addresses are let go at once, the kernel's sockets are looked at a few times only.
#[derive(Debug, Clone, Default)]
pub struct Ender {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<(IpAddr, oneshot::Sender<()>)>,
    working: bool,
}

impl Ender {
    /// Ends all connections to a local address. Returns when that is done, or after 200 ms; whatever goes wrong is logged and does not
    /// keep the address. Must be called inside a tokio runtime.
    pub async fn end(&self, addr: IpAddr) {
        let (done, ended) = oneshot::channel();
        let idle = {
            let mut queue = self.queue();
            queue.waiting.push((addr, done));
            !std::mem::replace(&mut queue.working, true)
        };
        if idle {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.work());
        }
        if tokio::time::timeout(LIMIT, ended).await.is_err() {
            tracing::warn!(
                "{addr} is let go before all its connections are ended: that takes more than {} ms",
                LIMIT.as_millis()
            );
        }
    }

    fn work(&self) {
        loop {
            let waiting = {
                let mut queue = self.queue();
                queue.working = !queue.waiting.is_empty();
                std::mem::take(&mut queue.waiting)
            };
            if waiting.is_empty() {
                return;
            }
            end_all(&waiting.iter().map(|(addr, _)| *addr).collect());
            for (_, done) in waiting {
                // It may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends all connections to these local addresses, and returns how many there were; blocks. What goes wrong is logged.
pub fn end_all(addrs: &BTreeSet<IpAddr>) -> usize {
    match destroy(addrs) {
        Ok((found, left)) => {
            if found > 0 {
                tracing::debug!("{found} connection(s) to addresses that are let go");
            }
            if !left.is_empty() {
                reset(&left);
            }
            found
        }
        Err(e) => {
            tracing::warn!("clients may wait for addresses that are let go: {e}");
            0
        }
    }
}

/// How many connections there were, and those that this kernel cannot destroy.
fn destroy(addrs: &BTreeSet<IpAddr>) -> Result<(usize, Vec<Connection>), conn::DiagError> {
    let mut diag = Diag::open()?;
    let mut found = diag.connections()?;
    found.retain(|f| addrs.contains(&f.connection.server.ip()));
    let mut left = Vec::new();
    for socket in &found {
        if diag.destroy(socket)? == Destroyed::Unsupported {
            left.extend(found.iter().filter(|f| f.alive).map(|f| f.connection));
            break;
        }
    }
    Ok((found.len(), left))
}

fn reset(left: &[Connection]) {
    match conn::reset(&mut Sender::default(), left, ANSWERS) {
        Ok(deaf) if deaf.is_empty() => {}
        Ok(deaf) => tracing::debug!(
            "{} of {} clients did not answer and got no RST, the first is {}",
            deaf.len(),
            left.len(),
            deaf[0]
        ),
        Err(e) => tracing::warn!("clients may wait for addresses that are let go: {e}"),
    }
}
