//! Reads `virtual_servers.conf`. Blocking; a task that may wait does it.

use lvs::config::{Config, Diagnostic};
use lvs::surroundings::FileSystem;
use std::io;
use std::path::{Path, PathBuf};

/// What became of it.
#[derive(Debug)]
pub(super) enum Loaded {
    /// There is no such file: no director is wanted.
    Absent,
    /// It cannot be used, a line for each finding.
    Refused(Vec<String>),
    /// The configuration with its warnings.
    Config(Box<Config>, Vec<String>),
}

/// Reads and judges the file.
pub(super) fn load(file: &Path) -> Loaded {
    match std::fs::metadata(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Loaded::Absent,
        Err(e) => return Loaded::Refused(vec![format!("{}: {e}", file.display())]),
        Ok(_) => {}
    }
    let lines = |found: Vec<Diagnostic>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    match lvs::config::load(&file.display().to_string(), &FileSystem::default()) {
        Err(found) => Loaded::Refused(lines(found)),
        Ok((config, warnings)) => match lvs::probe::vet(&config) {
            unusable if !unusable.is_empty() => Loaded::Refused(lines(unusable)),
            _ => Loaded::Config(Box::new(config), lines(warnings)),
        },
    }
}

/// As [`load`], for a task.
pub(super) async fn load_aside(file: PathBuf) -> Loaded {
    let read = tokio::task::spawn_blocking(move || load(&file)).await;
    read.unwrap_or_else(|e| Loaded::Refused(vec![format!("reading it failed: {e}")]))
}
