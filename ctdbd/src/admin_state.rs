//! The few facts that a restart must not forget: highest epoch seen, `ctdb disable`/`stop`, the end of a ban.
//!
//! One small JSON file in the state directory, written as temporary file + fsync + rename + fsync of the directory *before* what it says
//! is acted on (DESIGN §3). A damaged file is set aside and logged, and the node starts with defaults; it then learns the epoch from
//! its peers. CTDB forgets all of this at a restart. Every call blocks on the disk: not for an async task.

use recoverd::model::Epoch;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminState {
    /// Highest epoch that this node has seen.
    pub epoch: Epoch,
    /// `ctdb disable` was given.
    #[serde(default)]
    pub disabled: bool,
    /// `ctdb stop` was given.
    #[serde(default)]
    pub stopped: bool,
    /// Banned until then, in seconds since 1970 by the wall clock.
    #[serde(default)]
    pub banned_until: Option<u64>,
}

impl Default for AdminState {
    fn default() -> Self {
        Self { epoch: Epoch::NONE, disabled: false, stopped: false, banned_until: None }
    }
}

/// The state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("state file {}: cannot {what}: {source}; check the owner and the free space of CTDB_VARDIR", path.display())]
pub struct AdminStateError {
    path: PathBuf,
    what: &'static str,
    source: io::Error,
}

/// The state file of one daemon.
#[derive(Debug)]
pub struct AdminFile {
    path: PathBuf,
}

impl AdminFile {
    /// Opens `admin.json` in `vardir`, which is made when missing, and reads it.
    ///
    /// # Errors
    /// The directory cannot be made, or the file is there and cannot be read. Damaged content is no error.
    pub fn open(vardir: &Path) -> Result<(Self, AdminState), AdminStateError> {
        let file = Self { path: vardir.join("admin.json") };
        make_dir(vardir).map_err(|e| file.error("make its directory", e))?;
        let bytes = match fs::read(&file.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((file, AdminState::default())),
            Err(e) => return Err(file.error("read it", e)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(state) => Ok((file, state)),
            Err(damage) => {
                let aside = set_aside(&file.path).map_err(|e| file.error("set the damaged file aside", e))?;
                tracing::error!(
                    file = %file.path.display(), %damage, kept_as = %aside.display(),
                    "state file is damaged: set aside, starting with defaults"
                );
                Ok((file, AdminState::default()))
            }
        }
    }

    /// Writes the state; when this returns `Ok` it survives a power failure.
    ///
    /// # Errors
    /// A step failed; the former state is still there.
    pub fn save(&self, state: &AdminState) -> Result<(), AdminStateError> {
        let mut text = serde_json::to_vec(state).map_err(|e| self.error("encode it", e.into()))?;
        text.push(b'\n');
        replace(&self.path, &text).map_err(|e| self.error("replace it", e))
    }

    fn error(&self, what: &'static str, source: io::Error) -> AdminStateError {
        AdminStateError { path: self.path.clone(), what, source }
    }
}

/// Puts a file with this text in the place of another one, or of none; when this returns `Ok` it survives a power failure, and at no
/// moment is there half a file.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("json.tmp");
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let mut file = open.open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Makes a directory that only its owner may enter, and its parents.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Renames a damaged file or directory to `NAME.damaged-UNIXTIME` and returns the new name.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".damaged-{now}"));
    let mut aside = path.with_file_name(&name);
    for count in 1_u32.. {
        if fs::symlink_metadata(&aside).is_err() {
            break;
        }
        let mut numbered = name.clone();
        numbered.push(format!("-{count}"));
        aside = path.with_file_name(numbered);
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use recoverd::model::Pnn;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_restart_remembers() {
        let dir = tempfile::tempdir().unwrap();
        let vardir = dir.path().join("a/b");
        let (file, state) = AdminFile::open(&vardir).unwrap();
        assert_eq!(state, AdminState::default());
        let state = AdminState {
            epoch: Epoch { number: 7, pnn: Pnn(2) },
            disabled: true,
            stopped: false,
            banned_until: Some(1_800_000_000),
        };
        file.save(&AdminState { stopped: true, ..state }).unwrap();
        file.save(&state).unwrap();
        assert_eq!(AdminFile::open(&vardir).unwrap().1, state);
        assert_eq!(names(&vardir), ["admin.json"]);
    }

    #[test]
    fn damage_is_set_aside() {
        for damaged in ["", "{", "{}", "\0\0\0\0", "[1]", r#"{"epoch":"x"}"#] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("admin.json");
            for _ in 0..2 {
                fs::write(&path, damaged).unwrap();
                let (file, state) = AdminFile::open(dir.path()).unwrap();
                assert_eq!(state, AdminState::default(), "{damaged:?}");
                file.save(&state).unwrap();
            }
            let all = names(dir.path());
            assert_eq!(all.len(), 3, "{all:?}");
            assert!(all[1].starts_with("admin.json.damaged-"), "{all:?}");
            assert_eq!(fs::read_to_string(dir.path().join(&all[1])).unwrap(), damaged);
        }
    }

    #[test]
    fn what_an_older_version_did_not_write_is_default() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("admin.json"), r#"{"epoch":{"number":3,"pnn":1}}"#).unwrap();
        let (_, state) = AdminFile::open(dir.path()).unwrap();
        assert_eq!(state, AdminState { epoch: Epoch { number: 3, pnn: Pnn(1) }, ..AdminState::default() });
    }

    #[test]
    fn an_unusable_directory_is_an_error_with_the_path() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let error = AdminFile::open(&dir.path().join("file")).unwrap_err().to_string();
        assert!(error.contains("admin.json: cannot") && error.contains("os error"), "{error}");
    }
}
