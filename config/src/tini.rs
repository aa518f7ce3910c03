//! The dialect of `ctdb.conf` (Samba's *tini*): sections, `key = value`, line numbers.
//!
//! Decides only what the lines are, not what they mean (that is `ctdb_conf`). The rules, from CTDB's documents and
//! reference/rust.md 5.11: blank lines and lines whose first character after blanks is `#` or `;` are skipped; a backslash at
//! the end of a line joins the next one; runs of blanks become one and blanks at either end are dropped, in names and in values;
//! there are no quotes, no other escapes and no comments behind a value. Names are compared without regard to case.

use super::parsed::Parsed;
use super::place::{Place, quote};
use std::path::Path;

/// One `key = value` with its section and the line on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Section, in lower case.
    pub section: String,
    /// Key, in lower case.
    pub key: String,
    /// Value; may be empty.
    pub value: String,
    /// From 1.
    pub line: usize,
}

/// What can be wrong with a line of such a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TiniFault {
    /// `[name` without the closing bracket.
    #[error("section header {0} has no closing bracket; write [NAME] on a line of its own")]
    OpenSection(String),
    /// `[]`.
    #[error("section header without a name; write [NAME], for example [cluster]")]
    NamelessSection,
    /// `[name] something`.
    #[error("text {0} after the section header; write it on the next line")]
    AfterSection(String),
    /// A line that is neither a header nor `key = value`.
    #[error("{0} is neither a section nor a setting; write KEY = VALUE")]
    NoEquals(String),
    /// `= value`.
    #[error("setting without a key; write KEY = VALUE")]
    NoKey,
    /// A setting before the first section.
    #[error("setting {0} stands before any section; put its [SECTION] line above it")]
    NoSection(String),
}

/// Reads the text of a file of this dialect.
///
/// Settings below a section header that cannot be read are left out: their section is not known.
pub fn parse(text: &str, file: &Path) -> Parsed<Vec<Entry>, TiniFault> {
    let mut parsed = Parsed { value: Vec::new(), faults: Vec::new() };
    let mut section = Section::None;
    for (line, logical) in logical_lines(text) {
        match read_line(&logical, line, &mut section) {
            Ok(entry) => parsed.value.extend(entry),
            Err(fault) => parsed.faults.push((Place::line(file, line), fault)),
        }
    }
    parsed
}

/// The section that a line stands in.
enum Section {
    /// None yet.
    None,
    /// One whose header cannot be read.
    Unreadable,
    /// This one.
    Named(String),
}

/// Reads one logical line: a header changes `section` and gives no entry.
fn read_line(logical: &str, line: usize, section: &mut Section) -> Result<Option<Entry>, TiniFault> {
    if let Some(header) = logical.strip_prefix('[') {
        *section = Section::Unreadable;
        let Some((name, rest)) = header.split_once(']') else {
            return Err(TiniFault::OpenSection(quote(logical)));
        };
        if name.trim().is_empty() {
            return Err(TiniFault::NamelessSection);
        }
        *section = Section::Named(name.trim().to_lowercase());
        if !rest.trim().is_empty() {
            return Err(TiniFault::AfterSection(quote(rest.trim())));
        }
        return Ok(None);
    }
    let Some((key, value)) = logical.split_once('=') else {
        return Err(TiniFault::NoEquals(quote(logical)));
    };
    let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
    if key.is_empty() {
        return Err(TiniFault::NoKey);
    }
    match section {
        Section::None => Err(TiniFault::NoSection(quote(&key))),
        Section::Unreadable => Ok(None),
        Section::Named(section) => Ok(Some(Entry { section: section.clone(), key, value, line })),
    }
}

/// Lines after joining continued ones and squeezing blanks, without empty ones and comments; each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        if first.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let mut whole = first.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match lines.next() {
                Some((_, next)) => whole.push_str(next),
                None => break,
            }
        }
        let squeezed = whole.split_whitespace().collect::<Vec<_>>().join(" ");
        if !squeezed.is_empty() {
            found.push((index + 1, squeezed));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::told;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<(String, String, String, usize)>, String> {
        told(parse(text, Path::new("f")))
            .map(|all| all.into_iter().map(|e| (e.section, e.key, e.value, e.line)).collect())
    }

    #[test]
    fn good_lines() {
        for (text, key, value, line) in [
            ("[s]\nkey = value", "key", "value", 2),
            ("[s]\nkey=value", "key", "value", 2),
            ("\n\n[ S ]\n  Two   Words\t= a  b \n", "two words", "a b", 4),
            (
                "# c\n; c\n  # c\n[s]\nk = v # not a comment ; nor this",
                "k",
                "v # not a comment ; nor this",
                5,
            ),
            ("[s]\nk = one \\\n  two\\\nthree", "k", "one twothree", 2),
            ("[s]\nk = v\\", "k", "v", 2),
            ("[s]\nk = a\\x\"q\"", "k", "a\\x\"q\"", 2),
            ("[s]\nk = a = b", "k", "a = b", 2),
            ("[s]\nk =", "k", "", 2),
            ("[s]\r\nk = v\r\n", "k", "v", 2),
            ("[s]\n# comments are not continued \\\nk = v", "k", "v", 3),
            ("[s]\nlong \\\nkey = v", "long key", "v", 2),
        ] {
            let expected = vec![("s".to_owned(), key.to_owned(), value.to_owned(), line)];
            assert_eq!(read(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn bad_lines_name_the_line() {
        for (text, expected) in [
            ("[s\n", "f:1: section header \"[s\" has no closing bracket"),
            ("\n[]", "f:2: section header without a name"),
            ("[s] # what", "f:1: text \"# what\" after the section header"),
            ("[s]\njust words", "f:2: \"just words\" is neither a section nor a setting; write KEY = VALUE"),
            ("[s]\n= v", "f:2: setting without a key"),
            ("k = v", "f:1: setting \"k\" stands before any section"),
            ("[s]\na = 1\\\n2\n\nbad", "f:5: \"bad\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn every_bad_line_is_found() {
        let text = "k = v\n[a\nlost = 1\n[b] x\nkept = 2\nwords\n";
        let parsed = parse(text, Path::new("f"));
        let lines: Vec<_> = parsed.faults.iter().map(|(place, _)| place.to_string()).collect();
        assert_eq!(lines, ["f:1", "f:2", "f:4", "f:6"]);
        let kept: Vec<_> = parsed.value.iter().map(|e| (e.section.as_str(), e.key.as_str())).collect();
        assert_eq!(kept, [("b", "kept")], "settings below an unreadable header belong nowhere");
    }

    #[test]
    fn a_later_section_may_come_back() {
        assert_eq!(read("[a]\nk=1\n[b]\nk=2\n[a]\nk=3").unwrap().len(), 3);
    }

    proptest! {
        #[test]
        fn any_text_gives_one_line_a_fault(text in "\\PC*|[\\[\\]a= #;\\\\\n\t]*") {
            if let Err(error) = read(&text) {
                prop_assert_eq!(error.lines().count(), parse(&text, Path::new("f")).faults.len());
            }
        }

        #[test]
        fn what_is_written_is_read_back(key in "[a-z]{1,8}( [a-z]{1,8}){0,2}", value in "[!-\\[\\]-~]{0,12}( [!-\\[\\]-~]{1,8}){0,2}") {
            let text = format!("[x]\n{key} = {value}\n");
            prop_assert_eq!(read(&text), Ok(vec![("x".to_owned(), key, value.trim().to_owned(), 2)]));
        }
    }
}
