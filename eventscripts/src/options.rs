//! Reads what the built-in handlers need from `script.options` and `NN.name.options`: shell assignments.
//!
//! Scripts source these files themselves. Here only plain assignments are understood (`NAME=value`, `export NAME="value"`, quotes,
//! comments, `$NAME` of `CTDB_BASE` and of what was assigned before); no commands: their text stays as it is, and whoever reads the
//! value refuses it. The files are read anew for each event, as scripts do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::Chars;

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

    /// Performs the assignments of a text.
    fn assign(&mut self, text: &str, file: &Path) {
        let mut rest = text.chars();
        while let Some(statement) = Statement::next(&mut rest, &self.all) {
            let Statement::Assignment { name, value, at } = statement else { continue };
            let line = 1 + text[..text.len() - at].matches('\n').count();
            self.set(&name, value, format!("{}:{line}", file.display()));
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

/// A piece of a text up to its end of line or `;`.
enum Statement {
    Assignment {
        name: String,
        value: String,
        /// How much of the text is left behind the name.
        at: usize,
    },
    Other,
}

impl Statement {
    fn next(rest: &mut Chars<'_>, known: &BTreeMap<String, Setting>) -> Option<Self> {
        *rest = rest.as_str().trim_start_matches(|c: char| c.is_whitespace() || c == ';').chars();
        if rest.as_str().is_empty() {
            return None;
        }
        if let Some(exported) = rest.as_str().strip_prefix("export ") {
            *rest = exported.trim_start_matches(' ').chars();
        }
        let text = rest.as_str();
        let name = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let behind = &text[name.len()..];
        let assigned = behind.strip_prefix('=').filter(|_| !name.is_empty());
        let statement = match assigned {
            Some(value) => {
                *rest = value.chars();
                let at = value.len();
                Self::Assignment { name: name.to_owned(), value: word(rest, known), at }
            }
            None => Self::Other,
        };
        // What else stands on the line is not for us. The end of a comment is the end of its line, whatever it says.
        let comment = rest.as_str().trim_start_matches(' ').starts_with('#');
        let end = rest.as_str().find(|c| c == '\n' || (c == ';' && !comment));
        *rest = end.map_or("", |end| &rest.as_str()[end..]).chars();
        Some(statement)
    }
}

/// The word at the beginning of `rest`, without quotes, up to unquoted white space, `;` or the end.
fn word(rest: &mut Chars<'_>, known: &BTreeMap<String, Setting>) -> String {
    let mut quote = None;
    let mut word = String::new();
    loop {
        let before = rest.clone();
        let Some(c) = rest.next() else { return word };
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() || c == ';' => {
                *rest = before;
                return word;
            }
            None if c == '\\' => word.extend(rest.next().filter(|c| *c != '\n')),
            Some('\'') => word.push(c),
            _ if c == '$' => match variable(rest, known) {
                Some(value) => word.push_str(value),
                None => word.push(c),
            },
            _ => word.push(c),
        }
    }
}

/// The value of the variable whose name or `{name}` begins here; nothing is taken where none does.
fn variable<'a>(rest: &mut Chars<'_>, known: &'a BTreeMap<String, Setting>) -> Option<&'a str> {
    let text = rest.as_str();
    let inner = text.strip_prefix('{').unwrap_or(text);
    let name =
        inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|n| !n.is_empty())?;
    let behind = &inner[name.len()..];
    let behind = if text.starts_with('{') { behind.strip_prefix('}')? } else { behind };
    *rest = behind.chars();
    Some(known.get(name).map_or("", |s| s.value.as_str()))
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
