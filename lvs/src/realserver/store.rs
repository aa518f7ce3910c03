//! The file that remembers what `up` changed, and its lock.

use super::{RealServerError, State};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file's name, below `CTDB_VARDIR` (/var/lib/ctdb).
pub const FILE: &str = "lvs-realserver.json";

/// The state file, locked while this lives: two commands at once would each undo a half.
pub struct Store {
    file: PathBuf,
    _lock: Flock<File>,
}

impl Store {
    /// Opens it below a directory, which is made when it is not there. Waits for another command to end.
    ///
    /// # Errors
    /// When the directory or the lock file cannot be made.
    pub fn open(dir: &Path) -> Result<Self, RealServerError> {
        let file = dir.join(FILE);
        let failed = |source| error("lock", &file, source);
        fs::create_dir_all(dir).map_err(failed)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(format!("{FILE}.lock")))
            .map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, e)| failed(e.into()))?;
        Ok(Self { file, _lock: lock })
    }

    /// What was remembered in this boot; nothing when there is no file, or one of another boot.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn load(&self, boot: &str) -> Result<State, RealServerError> {
        read(&self.file, boot)
    }

    /// Replaces the file at once, and removes it when there is nothing to remember.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, state: &State) -> Result<(), RealServerError> {
        let write = || -> io::Result<()> {
            if state.vips.is_empty() && state.settings.is_empty() {
                return match fs::remove_file(&self.file) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                    _ => Ok(()),
                };
            }
            let new = self.file.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(state)?)?;
            file.sync_all()?;
            fs::rename(&new, &self.file)
        };
        write().map_err(|source| error("write", &self.file, source))
    }
}

/// What is remembered below a directory, without a lock, to show it.
///
/// # Errors
/// As [`Store::load`].
pub fn peek(dir: &Path, boot: &str) -> Result<State, RealServerError> {
    read(&dir.join(FILE), boot)
}

fn read(file: &Path, boot: &str) -> Result<State, RealServerError> {
    let none = State { boot: boot.to_owned(), ..State::default() };
    let failed = |source| error("read", file, source);
    match fs::read(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(none),
        Err(e) => Err(failed(e)),
        Ok(bytes) => {
            let state: State = serde_json::from_slice(&bytes).map_err(|e| failed(e.into()))?;
            Ok(if state.boot == boot { state } else { none })
        }
    }
}

fn error(what: &'static str, file: &Path, source: io::Error) -> RealServerError {
    RealServerError::Store { what, file: file.display().to_string(), source }
}
