//! Turns: events of one kind wait for each other, in the order in which they came; different kinds do not.
//!
//! Decides only who goes next. An entry lives as long as somebody holds or awaits its turn.

use recoverd::model::Event;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// What may not run at the same time: events of one address, or node-wide events of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Addr(IpAddr),
    Name(&'static str),
}

impl Key {
    pub(crate) fn of(event: &Event) -> Self {
        event.addr().map_or(Self::Name(event.name()), |a| Self::Addr(a.to_canonical()))
    }
}

type Table = Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>;

#[derive(Debug, Default)]
pub(crate) struct Turns {
    table: Arc<Table>,
}

fn locked(table: &Table) -> MutexGuard<'_, HashMap<Key, Arc<tokio::sync::Mutex<()>>>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Waits until it is the caller's turn; first come, first served.
    pub(crate) async fn take(&self, key: Key) -> Turn {
        let mutex = Arc::clone(locked(&self.table).entry(key).or_default());
        Turn { guard: Some(mutex.lock_owned().await), table: Arc::clone(&self.table), key }
    }

    #[cfg(test)]
    pub(crate) fn entries(&self) -> usize {
        locked(&self.table).len()
    }
}

/// The turn of a key, ended by dropping it.
#[derive(Debug)]
pub(crate) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    table: Arc<Table>,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut table = locked(&self.table);
        if table.get(&self.key).is_some_and(|m| Arc::strong_count(m) == 1) {
            table.remove(&self.key);
        }
    }
}
