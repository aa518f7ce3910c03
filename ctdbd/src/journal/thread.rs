//! The journal's thread: takes entries without making anybody wait, answers reads, survives a failing disk.

use super::{Journal, JournalEntry, KEEP, MemoryJournal, NewEntry, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// Entries that may wait for a slow disk; more are counted and dropped.
const WAITING: usize = 4096;

/// The journal did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal does not answer; its disk may hang (see the daemon's log)")]
pub struct Unavailable;

enum Request {
    Append(NewEntry),
    Last(usize, oneshot::Sender<Vec<JournalEntry>>),
    Close(oneshot::Sender<()>),
}

/// Access to the journal, for any number of tasks.
#[derive(Clone)]
pub struct JournalHandle {
    requests: SyncSender<Request>,
    dropped: Arc<AtomicU64>,
}

/// Moves a journal to a thread of its own, which ends when all handles are gone or one of them closes it.
///
/// # Errors
/// The system refuses a thread.
pub fn start(journal: Box<dyn Journal>) -> std::io::Result<JournalHandle> {
    let (requests, inbox) = sync_channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&dropped);
    std::thread::Builder::new().name("journal".into()).spawn(move || serve(journal, &inbox, &counter))?;
    Ok(JournalHandle { requests, dropped })
}

impl JournalHandle {
    /// Records something that happened now. Never blocks and never fails: what finds no room is counted, and the count is recorded.
    pub fn record(&self, kind: impl Into<String>, text: impl Into<String>, data: serde_json::Value) {
        let wall = micros_since_1970();
        let entry = NewEntry { wall, kind: kind.into(), text: text.into(), data };
        if self.requests.try_send(Request::Append(entry)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The last `n` entries, oldest first, those included that were recorded before this call.
    ///
    /// # Errors
    /// [`Unavailable`] after `limit`, or when the journal is closed.
    pub async fn last(&self, n: usize, limit: Duration) -> Result<Vec<JournalEntry>, Unavailable> {
        self.ask(limit, |answer| Request::Last(n, answer)).await
    }

    /// Writes everything down and ends the journal.
    ///
    /// # Errors
    /// [`Unavailable`] after `limit`, or when it is closed already.
    pub async fn close(&self, limit: Duration) -> Result<(), Unavailable> {
        self.ask(limit, Request::Close).await
    }

    async fn ask<T>(
        &self,
        limit: Duration,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Unavailable> {
        let (answer, receiver) = oneshot::channel();
        self.requests.try_send(request(answer)).map_err(|_| Unavailable)?;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(Unavailable),
        }
    }
}

/// The thread. When the store fails it says so once and goes on in memory, with the numbers continued.
fn serve(mut journal: Box<dyn Journal>, inbox: &Receiver<Request>, dropped: &AtomicU64) {
    let mut closing = None;
    while let Ok(request) = inbox.recv() {
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} entries were lost: the journal's disk was too slow");
            let data = serde_json::json!({ "lost": lost });
            let entry = NewEntry { wall: micros_since_1970(), kind: "journal".into(), text, data };
            or_memory(&mut journal, |journal| journal.append(entry.clone()));
        }
        match request {
            Request::Append(entry) => {
                or_memory(&mut journal, |journal| journal.append(entry.clone()));
            }
            Request::Last(n, answer) => {
                let entries = or_memory(&mut journal, |journal| journal.last(n)).unwrap_or_default();
                let _asker_left = answer.send(entries);
            }
            Request::Close(answer) => {
                closing = Some(answer);
                break;
            }
        }
    }
    or_memory(&mut journal, |journal| journal.flush());
    drop(journal);
    if let Some(answer) = closing {
        let _asker_left = answer.send(());
    }
}

/// Does something with the journal; when that fails, puts a journal in memory in its place and does it there.
fn or_memory<T>(
    journal: &mut Box<dyn Journal>,
    mut act: impl FnMut(&mut dyn Journal) -> Result<T, StoreError>,
) -> Option<T> {
    match act(journal.as_mut()) {
        Ok(done) => Some(done),
        Err(error) => {
            tracing::error!(%error, "the journal goes on in memory until the daemon is started again; check its disk");
            *journal = Box::new(MemoryJournal::new(KEEP, journal.next_id()));
            act(journal.as_mut()).ok()
        }
    }
}

/// The wall clock.
fn micros_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
