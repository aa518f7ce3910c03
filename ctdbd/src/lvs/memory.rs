//! What in the kernel is ours, for the next start: a director that died must not leave services, or sync daemons, that nobody removes.

use lvs::model::ServiceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What is ours in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ours {
    /// Services.
    pub(super) services: BTreeSet<ServiceId>,
    /// Whether we have started connection sync daemons.
    pub(super) sync: bool,
}

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    written: Option<Ours>,
}

impl Memory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, written: None }
    }

    /// Writes what is ours, unless the file says it already. What cannot be written is logged; it matters only after a crash.
    pub(super) fn write(&mut self, ours: Ours) {
        if self.written.as_ref() == Some(&ours) {
            return;
        }
        match write(&self.path, &ours) {
            Ok(()) => self.written = Some(ours),
            Err(e) => tracing::warn!("lvs: {}: {e}", self.path.display()),
        }
    }
}

fn write(path: &Path, ours: &Ours) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    std::fs::write(&fresh, serde_json::to_vec(ours)?)?;
    std::fs::rename(&fresh, path)
}

/// What an earlier director left; nothing when there is no file, or none that can be read.
pub(super) fn read(path: &Path) -> Ours {
    match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ours::default(),
        Err(e) => complain(path, &e),
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| complain(path, &e)),
    }
}

fn complain(path: &Path, e: &dyn std::error::Error) -> Ours {
    tracing::warn!(
        "lvs: {}: {e}; services that an earlier daemon left in the kernel and that are not configured any more stay there",
        path.display()
    );
    Ours::default()
}
