//! Reads what the built-in handlers need from `script.options` and `NN.name.options`: shell assignments.
//!
//! Scripts source these files themselves. Here only plain assignments are understood (`NAME=value`, `export NAME="value"`,
//! quotes, comments); no expansion, no commands.

use std::path::Path;

/// The value of a variable after the assignments of `text`, `None` when it is not assigned.
fn lookup(text: &str, name: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        Some(value(line.strip_prefix(name)?.strip_prefix('=')?))
    })
}

/// The word behind `=`, without quotes, up to unquoted white space, `;` or the end.
fn value(text: &str) -> String {
    let mut quote = None;
    let mut word = String::new();
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() || c == ';' => break,
            _ => word.push(c),
        }
    }
    word
}

/// Whether `name` is `yes` after the assignments of all `files` in order; files that cannot be read assign nothing.
pub(crate) fn is_yes(files: &[impl AsRef<Path>], name: &str) -> bool {
    let values = files.iter().filter_map(|file| {
        let file = file.as_ref();
        let text = std::fs::read_to_string(file)
            .inspect_err(|e| {
                if e.kind() != std::io::ErrorKind::NotFound {
                    tracing::warn!("reading {}: {e}; its options are not in force", file.display());
                }
            })
            .ok()?;
        lookup(&text, name)
    });
    values.last().is_some_and(|v| v == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_assignments_are_read() {
        for (text, want) in [
            ("A=yes", Some("yes")),
            ("A=yes # comment", Some("yes")),
            ("  export A=\"yes\"\n", Some("yes")),
            ("A='y es';B=1", Some("y es")),
            ("A=no\nA=yes", Some("yes")),
            ("A=yes\nA=", Some("")),
            ("# A=yes", None),
            ("AA=yes", None),
            ("A =yes", None),
            ("", None),
        ] {
            assert_eq!(lookup(text, "A").as_deref(), want, "{text:?}");
        }
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
