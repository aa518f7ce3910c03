//! `ctdb event script list | enable | disable`: which scripts there are, and switching them on and off.
//!
//! As CTDB: enabling an installed script makes a link to it in the events directory, disabling removes the link; a local file gets
//! or loses its execute bits. A built-in handler is disabled by an empty file of its name without execute bits, and enabled
//! by removing it. Changes count from the next event on; nothing is kept in memory.

use crate::catalogue::{self, Script};
use crate::runner::Runner;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where a script comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptKind {
    /// A handler in the daemon.
    Builtin,
    /// In the directory of installed scripts; enabled by a link to it.
    Installed,
    /// The operator's own, in the events directory. CTDB lists these last, behind a blank line.
    Local,
}

/// A line of `ctdb event script list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptInfo {
    /// Name without `.script`.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// Where it comes from.
    pub kind: ScriptKind,
    /// The file; none for a built-in handler.
    pub path: Option<PathBuf>,
}

/// Why a script was not enabled or disabled. The first two are CTDB's words.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no script of this name.
    #[error("Script {name} does not exist in {}", dir.display())]
    Unknown {
        /// As it was asked for.
        name: String,
        /// The events directory.
        dir: PathBuf,
    },
    /// Something else has its name.
    #[error("Script {} is not a file or a link", path.display())]
    NotAFile {
        /// The thing.
        path: PathBuf,
    },
    /// The name is none.
    #[error("script name {name} is not of the form NN.name, as 50.samba")]
    BadName {
        /// As it was asked for.
        name: String,
    },
    /// The file system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AdminError {
    let path = path.to_owned();
    move |source| AdminError::Io { action, path, source }
}

impl Runner {
    /// All scripts, built-in and installed ones first, then local ones, each in their order.
    ///
    /// # Errors
    /// [`AdminError::Io`] when a directory cannot be read.
    pub fn list(&self) -> Result<Vec<ScriptInfo>, AdminError> {
        let mut enabled = self.read(&self.config.events_dir)?;
        let mut list = Vec::new();
        for handler in &self.config.handlers {
            let name = handler.name().to_owned();
            let masked = enabled.contains_key(&name);
            if enabled.get(&name).is_some_and(|s| is_mask(&s.path)) {
                enabled.remove(&name);
            }
            list.push(ScriptInfo { name, enabled: !masked, kind: ScriptKind::Builtin, path: None });
        }
        for (name, script) in self.installed()? {
            let linked = enabled.get(&name).filter(|s| same_file(&s.path, &script.path)).map(|s| s.enabled);
            if linked.is_some() {
                enabled.remove(&name);
            }
            let (enabled, path) = (linked.unwrap_or(false), Some(script.path));
            list.push(ScriptInfo { name, enabled, kind: ScriptKind::Installed, path });
        }
        list.sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
        list.extend(enabled.into_iter().map(|(name, script)| {
            let (enabled, path) = (script.enabled, Some(script.path));
            ScriptInfo { name, enabled, kind: ScriptKind::Local, path }
        }));
        Ok(list)
    }

    /// Enables a script: it runs from the next event on. One that is enabled stays so.
    ///
    /// # Errors
    /// [`AdminError`], nothing is changed then.
    pub fn enable(&self, name: &str) -> Result<(), AdminError> {
        let (name, path) = self.locate(name)?;
        let builtin = self.is_builtin(name);
        match fs::symlink_metadata(&path) {
            Ok(_) if builtin && is_mask(&path) => fs::remove_file(&path).map_err(io_error("removing", &path)),
            Ok(_) => set_executable(&path, true),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("looking at", &path)(e)),
            Err(_) if builtin => Ok(()),
            Err(_) => {
                let installed = self.installed()?.remove(name).ok_or_else(|| self.unknown(name))?;
                fs::create_dir_all(&self.config.events_dir)
                    .map_err(io_error("creating", &self.config.events_dir))?;
                std::os::unix::fs::symlink(&installed.path, &path).map_err(io_error("linking", &path))
            }
        }
    }

    /// Disables a script: it does not run from the next event on. One that is disabled stays so.
    ///
    /// # Errors
    /// [`AdminError`], nothing is changed then.
    pub fn disable(&self, name: &str) -> Result<(), AdminError> {
        let (name, path) = self.locate(name)?;
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => fs::remove_file(&path).map_err(io_error("removing", &path)),
            Ok(_) => set_executable(&path, false),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("looking at", &path)(e)),
            Err(_) => Ok(()),
        }?;
        if self.is_builtin(name) && !path.exists() {
            fs::create_dir_all(&self.config.events_dir)
                .and_then(|()| fs::write(&path, ""))
                .map_err(io_error("creating", &path))?;
            return set_executable(&path, false);
        }
        Ok(())
    }

    /// The name without `.script` and the place of its file in the events directory, whether or not it is there.
    fn locate<'a>(&self, name: &'a str) -> Result<(&'a str, PathBuf), AdminError> {
        let asked = name;
        let name = name.strip_suffix(".script").unwrap_or(name);
        if !catalogue::is_script_name(name) {
            return Err(AdminError::BadName { name: asked.to_owned() });
        }
        let path = self.config.events_dir.join(format!("{name}.script"));
        if path.is_dir() {
            return Err(AdminError::NotAFile { path });
        }
        let known = self.is_builtin(name)
            || fs::symlink_metadata(&path).is_ok()
            || self.installed()?.contains_key(name);
        if known { Ok((name, path)) } else { Err(self.unknown(name)) }
    }

    fn is_builtin(&self, name: &str) -> bool {
        self.config.handlers.iter().any(|h| h.name() == name)
    }

    fn unknown(&self, name: &str) -> AdminError {
        AdminError::Unknown { name: name.to_owned(), dir: self.config.events_dir.clone() }
    }

    fn installed(&self) -> Result<BTreeMap<String, Script>, AdminError> {
        self.config.installed_dir.as_deref().map_or_else(|| Ok(BTreeMap::new()), |dir| self.read(dir))
    }

    fn read(&self, dir: &Path) -> Result<BTreeMap<String, Script>, AdminError> {
        catalogue::read(dir).map_err(io_error("reading", dir))
    }
}

/// Whether this is the empty file that disables a built-in handler, and not somebody's work.
fn is_mask(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|m| m.is_file() && m.len() == 0 && m.permissions().mode() & 0o111 == 0)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Sets or clears the execute bits of whom may read.
fn set_executable(path: &Path, executable: bool) -> Result<(), AdminError> {
    let mode = fs::metadata(path).map_err(io_error("looking at", path))?.permissions().mode();
    let mode = if executable { mode | 0o100 | (mode & 0o044) >> 2 } else { mode & !0o111 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(io_error("changing the mode of", path))
}

#[cfg(test)]
mod tests;
