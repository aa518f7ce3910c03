//! Where a piece of configuration stands, and how its text is quoted in a message.
//!
//! Every message of the configuration is one line, whatever the input was: text from outside only enters through [`quote`].

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a piece of configuration stands; printed as `file:line` or as the option's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, counted from 1.
    Line {
        /// The file as it was named, or `!command` for the output of a nodes list command.
        file: PathBuf,
        /// From 1.
        line: usize,
    },
    /// A file as a whole.
    File(PathBuf),
    /// An option of the command line, such as `--reclock`.
    Option(&'static str),
}

impl Place {
    /// The line, from 1; 0 for a whole file or an option.
    #[must_use]
    pub fn number(&self) -> usize {
        match self {
            Self::Line { line, .. } => *line,
            Self::File(_) | Self::Option(_) => 0,
        }
    }

    /// A line of a file.
    pub(super) fn line(file: &Path, line: usize) -> Self {
        Self::Line { file: file.to_owned(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Option(name) => f.write_str(name),
        }
    }
}

/// Text from outside, in double quotes, on one line and not longer than 60 characters.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{:?}", format!("{head}…"))
}

/// The known name that is nearest to `name`, when one is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().take(80).flat_map(char::to_lowercase).collect();
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace one character) between two words.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name() {
        for (given, wanted) in [
            ("KeepaliveIntervall", Some("KeepaliveInterval")),
            ("keepaliveinterval", Some("KeepaliveInterval")),
            ("IPAlocAlgoritm", Some("IPAllocAlgorithm")),
            ("Banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, ["KeepaliveInterval", "IPAllocAlgorithm"]), wanted, "{given}");
        }
    }

    #[test]
    fn quoted_text_stays_on_one_line() {
        assert_eq!(quote("a\nb"), r#""a\nb""#);
        assert!(quote(&"x".repeat(500)).len() < 80);
    }
}
