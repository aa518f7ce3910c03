//! Reads what the built-in handlers need from `script.options` and `NN.name.options`: shell assignments.
//!
//! Scripts source these files themselves. Here plain assignments are understood (`config::shell`; `$NAME` of `CTDB_BASE` and of what
//! was assigned before); no commands: their text stays as it is, and whoever reads the value refuses it. The files are read anew for
//! each event, as scripts do.

use config::shell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A value and where it was assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: String,
    /// `FILE:LINE`, for messages.
    pub(crate) place: String,
}

/// All assignments of some files, the last one of each name.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    all: BTreeMap<String, Setting>,
}

impl Settings {
    /// Reads files in order; one that is absent assigns nothing, one that cannot be read neither, with a warning.
    pub(crate) fn read(files: &[impl AsRef<Path>], base: Option<&Path>) -> Self {
        let mut settings = Self::default();
        if let Some(base) = base {
            settings.set("CTDB_BASE", base.display().to_string(), String::new());
        }
        for file in files {
            let file = file.as_ref();
            match std::fs::read_to_string(file) {
                Ok(text) => settings.assign(&text, file),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    tracing::warn!("reading {}: {e}; its options are not in force", file.display());
                }
            }
        }
        settings
    }

    /// The value of a variable; an empty one counts as unset, as in CTDB's scripts.
    pub(crate) fn get(&self, name: &str) -> Option<&Setting> {
        self.all.get(name).filter(|s| !s.value.is_empty())
    }

    fn set(&mut self, name: &str, value: String, place: String) {
        self.all.insert(name.to_owned(), Setting { value, place });
    }

    /// Performs the assignments of a text. An unset variable is empty, as in a shell; what a shell would choke on assigns nothing.
    fn assign(&mut self, text: &str, file: &Path) {
        let known = |name: &str| Some(self.all.get(name).map_or_else(String::new, |s| s.value.clone()));
        for new in shell::parse(text, file, &known).value.all {
            self.set(&new.name, new.value, format!("{}:{}", file.display(), new.line));
        }
    }
}

/// The options of one script: `script.options`, over it `events/legacy/NAME.options`.
#[derive(Debug)]
pub(crate) struct Options {
    base: PathBuf,
    files: [PathBuf; 2],
}

impl Options {
    /// Those of the script `name` (`NN.name`) below `CTDB_BASE`.
    pub(crate) fn new(base: &Path, name: &str) -> Self {
        let own = base.join("events/legacy").join(format!("{name}.options"));
        Self { base: base.to_owned(), files: [base.join("script.options"), own] }
    }

    /// What is assigned now.
    pub(crate) fn read(&self) -> Settings {
        Settings::read(&self.files, Some(&self.base))
    }
}

/// Whether `name` is `yes` after the assignments of all `files` in order; files that cannot be read assign nothing.
pub(crate) fn is_yes(files: &[impl AsRef<Path>], name: &str) -> bool {
    Settings::read(files, None).get(name).is_some_and(|s| s.value == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(text: &str) -> Option<String> {
        let mut settings = Settings::default();
        settings.set("CTDB_BASE", "/b".to_owned(), String::new());
        settings.assign(text, Path::new("f"));
        settings.all.get("A").map(|s| s.value.clone())
    }

    #[test]
    fn plain_assignments_are_read() {
        for (text, want) in [
            ("A=yes", Some("yes")),
            ("A=yes # comment", Some("yes")),
            ("  export A=\"yes\"\n", Some("yes")),
            ("A='y es';B=1", Some("y es")),
            ("B=1; A=2", Some("2")),
            ("A=no\nA=yes", Some("yes")),
            ("A=yes\nA=", Some("")),
            ("# A=yes", None),
            ("# see; A=yes", None),
            ("B=1 # x; A=yes", None),
            ("AA=yes", None),
            ("A =yes", None),
            ("", None),
            ("A=\"one\n two\"\n", Some("one\n two")),
            ("A=$CTDB_BASE/x", Some("/b/x")),
            ("A=\"${CTDB_BASE}x\"", Some("/bx")),
            ("A='$CTDB_BASE'", Some("$CTDB_BASE")),
            ("B=1\nA=$B$NONE", Some("1")),
            ("A=\\\none", Some("one")),
            ("A=$(hostname)", Some("$(hostname)")),
        ] {
            assert_eq!(lookup(text).as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn a_value_knows_its_line() {
        let mut settings = Settings::default();
        settings.assign("\n# x\nB=\"1\n2\"\nA=3\n", Path::new("/f"));
        assert_eq!(settings.get("B").unwrap().place, "/f:3");
        assert_eq!(settings.get("A").unwrap().place, "/f:5");
        assert_eq!(settings.get("C"), None);
    }

    #[test]
    fn later_files_override_and_absent_ones_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("script.options"), dir.path().join("10.interface.options"));
        std::fs::write(&first, "A=no\n").unwrap();
        assert!(!is_yes(&[&first, &second], "A"));
        std::fs::write(&second, "A=yes\n").unwrap();
        assert!(is_yes(&[&first, &second], "A"));
        std::fs::write(&second, "B=1\n").unwrap();
        assert!(!is_yes(&[&first, &second], "A"));
    }
}
