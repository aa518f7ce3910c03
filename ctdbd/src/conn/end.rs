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
    waiting: Vec<(IpAddr, oneshot::Sender<Arc<[Connection]>>)>,
    working: bool,
}

impl Ender {
    /// Ends all connections to a local address and returns them. Comes back when that is done, or after 200 ms; whatever goes wrong is
    /// logged and does not keep the address. Must be called inside a tokio runtime.
    pub async fn end(&self, addr: IpAddr) -> Vec<Connection> {
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
        match tokio::time::timeout(LIMIT, ended).await {
            Ok(ended) => {
                let ended = ended.unwrap_or_default();
                ended.iter().filter(|c| c.server.ip() == addr).copied().collect()
            }
            Err(_) => {
                tracing::warn!(
                    "{addr} is let go before all its connections are ended: that takes more than {} ms",
                    LIMIT.as_millis()
                );
                Vec::new()
            }
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
            let ended: Arc<[Connection]> = end_all(&waiting.iter().map(|(addr, _)| *addr).collect()).into();
            for (_, done) in waiting {
                // It may have stopped waiting.
                let _ = done.send(Arc::clone(&ended));
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends all connections to these local addresses, and returns which there were; blocks. What goes wrong is logged.
pub fn end_all(addrs: &BTreeSet<IpAddr>) -> Vec<Connection> {
    match destroy(addrs) {
        Ok((found, left)) => {
            if !found.is_empty() {
                tracing::debug!("{} connection(s) to addresses that are let go", found.len());
            }
            if !left.is_empty() {
                reset(&left);
            }
            found
        }
        Err(e) => {
            tracing::warn!("clients may wait for addresses that are let go: {e}");
            Vec::new()
        }
    }
}

/// Which connections there were, and those that this kernel cannot destroy.
fn destroy(addrs: &BTreeSet<IpAddr>) -> Result<(Vec<Connection>, Vec<Connection>), conn::DiagError> {
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
    Ok((found.into_iter().map(|f| f.connection).collect(), left))
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
