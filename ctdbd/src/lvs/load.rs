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
        Ok((config, warnings)) => Loaded::Config(Box::new(config), lines(warnings)),
    }
}

/// As [`load`], for a task.
pub(super) async fn load_aside(file: PathBuf) -> Loaded {
    let read = tokio::task::spawn_blocking(move || load(&file)).await;
    read.unwrap_or_else(|e| Loaded::Refused(vec![format!("reading it failed: {e}")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no probe could use is refused here with the very line that `ctdb lvs check` prints.
    #[test]
    fn what_the_check_refuses_is_refused_here() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("virtual_servers.conf");
        let check = "HTTP_GET {\nurl {\npath /\nregex \"(?<!x)y\"\n}\n}";
        std::fs::write(
            &file,
            format!("virtual_server 192.0.2.1 80 {{\nreal_server 10.0.0.1 80 {{\n{check}\n}}\n}}\n"),
        )
        .unwrap();
        let Loaded::Refused(lines) = load(&file) else { panic!("it was taken") };
        let (_, failed, said) = lvs::config::check(&file.display().to_string(), &FileSystem::default());
        assert!(failed && lines == said.iter().map(ToString::to_string).collect::<Vec<_>>(), "{lines:?}");
        assert!(lines[0].starts_with(&format!("{}:6: regex ", file.display())), "{lines:?}");
    }
}
