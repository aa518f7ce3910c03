//! The journal on disk, in sled 0.34 (what is known of it: reference/rust.md 5.3).
//!
//! Opened, read and written inside `catch_unwind`, because sled panics on some damaged files. A store that does not open is set aside and an
//! empty one begins. A lock file of our own beside the directory tells "in use by another daemon" from "damaged".

use super::{Journal, JournalEntry, NewEntry, StoreError};
use crate::admin_state::{make_dir, set_aside};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Entries are small and read rarely: a megabyte is plenty.
const CACHE_BYTES: u64 = 1 << 20;

/// The journal cannot be opened, also not as an empty one.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("journal {}: another ctdbd uses it; stop that one, or give this one its own CTDB_VARDIR", dir.display())]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// The file system refuses.
    #[error("journal {}: cannot {what}: {source}; check the owner and the free space of CTDB_VARDIR", dir.display())]
    Io {
        /// The journal's directory.
        dir: PathBuf,
        /// The step.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Even an empty store does not open.
    #[error("journal {}: {said}; check the file system of CTDB_VARDIR", dir.display())]
    Store {
        /// The journal's directory.
        dir: PathBuf,
        /// What sled says.
        said: String,
    },
}

/// The journal in a directory. Keys are entry numbers, big-endian; values are JSON.
#[derive(Debug)]
pub struct SledJournal {
    db: sled::Db,
    next: u64,
    keep: u64,
    _lock: File,
}

impl SledJournal {
    /// Opens the journal in `dir`, bounded to `keep` entries. A damaged one is set aside beside it, logged, and an empty one made.
    ///
    /// # Errors
    /// Another daemon uses it, or the directory cannot be written.
    pub fn open(dir: &Path, keep: u64) -> Result<Self, OpenError> {
        let io = |what| move |source| OpenError::Io { dir: dir.to_owned(), what, source };
        if let Some(parent) = dir.parent() {
            make_dir(parent).map_err(io("make its parent directory"))?;
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.with_extension("lock"))
            .map_err(io("open its lock file"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock its lock file")(source)),
        }
        let opened = match open_store(dir, keep) {
            Ok(opened) => opened,
            Err(damage) => {
                let aside = set_aside(dir).map_err(io("set the damaged journal aside"))?;
                tracing::error!(
                    dir = %dir.display(), %damage, kept_as = %aside.display(),
                    "journal is damaged: set aside, starting an empty one"
                );
                open_store(dir, keep).map_err(|said| OpenError::Store { dir: dir.to_owned(), said })?
            }
        };
        let (db, next) = opened;
        Ok(Self { db, next, keep, _lock: lock })
    }
}

impl Journal for SledJournal {
    fn append(&mut self, entry: NewEntry) -> Result<u64, StoreError> {
        let id = self.next;
        let value = serde_json::to_vec(&entry.numbered(id)).map_err(|e| StoreError(e.to_string()))?;
        guarded(|| {
            self.db.insert(id.to_be_bytes(), value)?;
            if let Some(old) = id.checked_sub(self.keep) {
                self.db.remove(old.to_be_bytes())?;
            }
            Ok(())
        })
        .map_err(StoreError)?;
        self.next += 1;
        Ok(id)
    }

    fn last(&mut self, n: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let values = guarded(|| self.db.iter().values().rev().take(n).collect::<sled::Result<Vec<_>>>())
            .map_err(StoreError)?;
        let mut entries: Vec<JournalEntry> = values
            .iter()
            .filter_map(|value| match serde_json::from_slice(value) {
                Ok(entry) => Some(entry),
                Err(error) => {
                    tracing::warn!(%error, "journal: an entry cannot be read and is left out");
                    None
                }
            })
            .collect();
        entries.reverse();
        Ok(entries)
    }

    fn next_id(&self) -> u64 {
        self.next
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        guarded(|| self.db.flush().map(|_bytes| ())).map_err(StoreError)
    }
}

/// Opens the store and drops what is beyond the bound; `Err` says why it cannot be used.
fn open_store(dir: &Path, keep: u64) -> Result<(sled::Db, u64), String> {
    // Our own lock is held, so if sled's is not free, then a former handle of this process is about to let go.
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        // Left at 500 ms, because only sled's own flusher calls fsync.
        let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(Some(500));
        let opened = guarded(|| {
            let db = config.open()?;
            let mut next = 0;
            if let Some((last, _)) = db.last()? {
                next = number(&last)?.saturating_add(1);
            }
            let first_kept = next.saturating_sub(keep).to_be_bytes();
            for key in db.range(..first_kept).keys().collect::<sled::Result<Vec<_>>>()? {
                db.remove(key)?;
            }
            Ok((db, next))
        });
        match opened {
            Err(said) if said.contains("could not acquire lock") && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// The entry number of a key; another key than ours is damage.
fn number(key: &[u8]) -> sled::Result<u64> {
    let bytes =
        key.try_into().map_err(|_| sled::Error::Unsupported(format!("key of {} bytes", key.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

/// Runs a call of sled; a panic in it is an error like others.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(format!("the store panicked: {text}"))
        }
    }
}
