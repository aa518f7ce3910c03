//! Waking the clients of an address that was taken.

use conn::Sender;
use recoverd::model::Connection;
use std::sync::{Arc, Mutex, PoisonError};

/// Sends tickle ACKs. Clones share their sockets.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    sender: Arc<Mutex<Sender>>,
}

impl Waker {
    /// Sends a tickle ACK to the client of each connection, on a thread of its own. Packets are lost without a word; what the kernel
    /// refuses is logged once. Must be called inside a tokio runtime.
    pub fn wake(&self, connections: &Arc<[Connection]>) {
        if connections.is_empty() {
            return;
        }
        let (sender, connections) = (Arc::clone(&self.sender), Arc::clone(connections));
        tokio::task::spawn_blocking(move || {
            let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
            let mut refused = connections.iter().filter_map(|c| sender.tickle(c).err());
            if let Some(first) = refused.next() {
                tracing::warn!(
                    "{} of {} clients could not be woken: {first}",
                    1 + refused.count(),
                    connections.len()
                );
            }
        });
    }
}
