//! Waking the clients of an address that was taken.

use conn::Sender;
use recoverd::model::Connection;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The kernel makes the local route of an IPv6 address a little later than the address; without it the client's answer would be lost.
const MOMENT: Duration = Duration::from_millis(5);

/// A client's stack answers such a packet once in half a second (`tcp_invalid_ratelimit`).
const AGAIN: Duration = Duration::from_millis(600);

/// Sends tickle ACKs. Clones share their sockets.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    sender: Arc<Mutex<Sender>>,
}

impl Waker {
    /// Sends a tickle ACK to the client of each connection, in tasks of its own: after a moment, and again. Packets are lost without a
    /// word; what the kernel refuses is logged (DEBUG). Must be called inside a tokio runtime.
    pub fn wake(&self, connections: &Arc<[Connection]>) {
        if connections.is_empty() {
            return;
        }
        let (this, connections) = (self.clone(), Arc::clone(connections));
        tokio::spawn(async move {
            for pause in [MOMENT, AGAIN] {
                tokio::time::sleep(pause).await;
                this.send(&connections);
            }
        });
    }

    fn send(&self, connections: &Arc<[Connection]>) {
        let (sender, connections) = (Arc::clone(&self.sender), Arc::clone(connections));
        tokio::task::spawn_blocking(move || {
            let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            let mut refused = connections.iter().filter_map(|c| sender.tickle(c).err());
            if let Some(first) = refused.next() {
                tracing::debug!(
                    "{} of {} clients could not be woken: {first}",
                    1 + refused.count(),
                    connections.len()
                );
            }
        });
    }
}
