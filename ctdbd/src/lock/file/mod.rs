//! The cluster lock on a file in a shared file system.
//!
//! As CTDB's built-in lock, an exclusive lock on the whole file; unlike it an *open file description* lock, which no other use of the
//! file by this process can drop. A node queues with a blocking request, so that the lock changes hands the instant its holder
//! dies. The holder writes its [`LockRecord`] (epoch, session, host) into the file and *proves* the lock anew by the means of
//! `reference/leases.md` part 2: write through, lock test from a second open file, re-open by name and inode compare, record
//! still its own. It never proves by locking again, which would silently re-take a lock that was lost.
//!
//! A hung file system may block any of this for ever, so it happens on threads of its own: one per handle that works ([`worker`])
//! and at most one per file that waits in the queue. [`LockFile`] is one open lock file; its calls block.

mod worker;

#[cfg(test)]
mod tests;

pub(super) use worker::spawn;

use super::record::{BLOCK, LockRecord};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why there is no proof.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unproven {
    /// The lock is certainly not ours any more.
    Lost(String),
    /// The store did not answer as it should; nothing is known.
    Unknown(String),
}

/// An open lock file, locked by us or not. Closing it releases the lock.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    file: File,
}

impl LockFile {
    /// Opens the file and creates it if there is none; not the directory, whose absence usually means "not mounted".
    fn open(path: &Path) -> Result<Self, String> {
        let open =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = open().map_err(|e| {
            format!("cannot open cluster lock file {}: {e}; {}", path.display(), open_remedy(path, &e))
        })?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Locks if nobody else holds the lock, and says whether it did.
    fn try_lock(&self) -> Result<bool, String> {
        match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(e) => Err(self.lock_failed(e)),
        }
    }

    /// Waits for the lock, for ever if need be.
    fn wait_lock(&self) -> Result<(), String> {
        loop {
            match fcntl(&self.file, FcntlArg::F_OFD_SETLKW(&whole_file(libc::F_WRLCK))) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(self.lock_failed(e)),
            }
        }
    }

    /// Whether the path still leads to this file.
    fn check_path(&self) -> Result<(), Unproven> {
        self.reopen().map(drop)
    }

    /// The record in the file; one that cannot be read as such is warned about and counts as none.
    fn read_record(&self) -> Result<Option<LockRecord>, String> {
        let content = self.content(&self.file)?;
        Ok(LockRecord::parse(&content).unwrap_or_else(|what| {
            tracing::warn!("ignored the content of cluster lock file {}: {what}", self.path.display());
            None
        }))
    }

    /// Writes the record and waits until it is on the disk, or with the server.
    fn write_record(&self, record: &LockRecord) -> Result<(), String> {
        let write = || {
            self.file.write_all_at(&record.to_block()?, 0)?;
            self.file.sync_data()
        };
        write().map_err(|e: io::Error| {
            format!(
                "cannot write the record into cluster lock file {}: {e}; check that the file system is writable and not full",
                self.path.display()
            )
        })
    }

    /// Whether the lock is still ours. `mine` is what [`LockFile::write_record`] wrote last.
    ///
    /// The order matters: the record is read before it is written again, so that a rival's is seen and not covered up; the lock is
    /// tested last. From a second open file it must be seen locked (by someone), from our own it must not be seen locked (by
    /// another): together, locked by us.
    fn prove(&self, mine: Option<&LockRecord>) -> Result<(), Unproven> {
        let lost = |reason: &str| Err(Unproven::Lost(reason.to_owned()));
        let second = self.reopen()?;
        if let Some(mine) = mine {
            match LockRecord::parse(&self.content(&second).map_err(Unproven::Unknown)?) {
                Ok(Some(found)) if found.epoch == mine.epoch && found.session == mine.session => {}
                Ok(Some(other)) => {
                    return lost(&format!("the record is that of epoch {} on {}", other.epoch, other.host));
                }
                Ok(None) => return lost("the record was wiped out"),
                Err(what) => return lost(&format!("the record was overwritten: {what}")),
            }
            self.write_record(mine).map_err(Unproven::Unknown)?;
        }
        if !self.locked_for(&second).map_err(Unproven::Unknown)? {
            return lost("the file is not locked any more: the lock store dropped our lock");
        }
        if self.locked_for(&self.file).map_err(Unproven::Unknown)? {
            return lost("another node holds the lock: the lock store gave it away");
        }
        Ok(())
    }

    /// Opens by name and compares inodes: a `stat` alone may be answered from a cache of attributes.
    fn reopen(&self) -> Result<File, Unproven> {
        let shown = self.path.display();
        let second = OpenOptions::new().read(true).write(true).open(&self.path).map_err(|e| {
            if e.kind() == io::ErrorKind::NotFound {
                Unproven::Lost(format!("cluster lock file {shown} was removed or moved away"))
            } else {
                Unproven::Unknown(format!("cannot open cluster lock file {shown} again: {e}"))
            }
        })?;
        let inode = |file: &File| file.metadata().map(|m| (m.dev(), m.ino()));
        match (inode(&self.file), inode(&second)) {
            (Ok(ours), Ok(there)) if ours == there => Ok(second),
            (Ok(_), Ok(_)) => {
                Err(Unproven::Lost(format!("cluster lock file {shown} was replaced by another file")))
            }
            (Err(e), _) | (_, Err(e)) => {
                Err(Unproven::Unknown(format!("cannot read the inode of cluster lock file {shown}: {e}")))
            }
        }
    }

    /// Whether a lock through `file` would meet somebody else's.
    fn locked_for(&self, file: &File) -> Result<bool, String> {
        let mut lock = whole_file(libc::F_WRLCK);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).map_err(|e| self.lock_failed(e))?;
        Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
    }

    fn content(&self, file: &File) -> Result<Vec<u8>, String> {
        let mut block = vec![0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match file.read_at(&mut block[have..], have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(format!("cannot read cluster lock file {}: {e}", self.path.display())),
            }
        }
        block.truncate(have);
        Ok(block)
    }

    fn lock_failed(&self, errno: Errno) -> String {
        let remedy = match errno {
            Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS => {
                "this file system or its server has no locks: use one that does (see docs/cluster-lock.md)"
            }
            Errno::EIO | Errno::ESTALE => "the file system lost its server: check the mount",
            _ => "check the mount and its server",
        };
        format!(
            "cannot lock cluster lock file {}: {errno:?} ({}); {remedy}",
            self.path.display(),
            errno.desc()
        )
    }

    #[cfg(test)]
    fn unlock_behind_the_back(&self) {
        fcntl(&self.file, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK))).unwrap();
    }
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

fn open_remedy(path: &Path, error: &io::Error) -> String {
    let dir = path.parent().unwrap_or(Path::new("/")).display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "create the directory {dir} or mount the shared file system there; tried again every second"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("give the daemon's user write access to {dir}; tried again every second")
        }
        io::ErrorKind::IsADirectory => {
            "`cluster lock` must name a file: add a file name to the path in ctdb.conf".to_owned()
        }
        _ => format!("check the file system of {dir}; tried again every second"),
    }
}
