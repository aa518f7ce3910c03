//! Which services in the kernel are ours, for the next start: a director that died must not leave services that nobody removes.

use lvs::model::ServiceId;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    written: Option<BTreeSet<ServiceId>>,
}

impl Memory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, written: None }
    }

    /// Writes what is ours, unless the file says it already. What cannot be written is logged; it matters only after a crash.
    pub(super) fn write(&mut self, owned: &BTreeSet<ServiceId>) {
        if self.written.as_ref() == Some(owned) {
            return;
        }
        match write(&self.path, owned) {
            Ok(()) => self.written = Some(owned.clone()),
            Err(e) => tracing::warn!("lvs: {}: {e}", self.path.display()),
        }
    }
}

fn write(path: &Path, owned: &BTreeSet<ServiceId>) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    std::fs::write(&fresh, serde_json::to_vec(owned)?)?;
    std::fs::rename(&fresh, path)
}

/// What an earlier director left; nothing when there is no file, or none that can be read.
pub(super) fn read(path: &Path) -> BTreeSet<ServiceId> {
    match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
        Err(e) => complain(path, &e),
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| complain(path, &e)),
    }
}

fn complain(path: &Path, e: &dyn std::error::Error) -> BTreeSet<ServiceId> {
    tracing::warn!(
        "lvs: {}: {e}; services that an earlier daemon left in the kernel and that are not configured any more stay there",
        path.display()
    );
    BTreeSet::new()
}
