//! `script.options` and `NN.name.options`: the shell assignments that event scripts source.
//!
//! Pure. Understood are `NAME=value` and `export NAME=value` with both kinds of quotes, over several lines too, comments, and the
//! value of variables that were assigned before or that the caller knows (`CTDB_BASE`). Nothing is run: a value that takes a command
//! or an unknown variable is marked as [`Assignment::dynamic`], any other statement is an [`OptionsFault`] of the kind that a shell would
//! choke on, or comes back as a statement that only scripts see.

use crate::parsed::Parsed;
use crate::place::{Place, quote};
use std::path::Path;

/// One variable that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its name.
    pub name: String,
    /// Its value without quotes.
    pub value: String,
    /// The value holds something that only a shell can work out; it stands in `value` as it was written.
    pub dynamic: bool,
    /// The line it begins on, from 1.
    pub line: usize,
}

/// All of a file of options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignments {
    /// In the order of the file; of two with one name the later counts.
    pub all: Vec<Assignment>,
    /// Lines of statements that are no assignments, such as `if`.
    pub statements: Vec<(usize, String)>,
}

impl Assignments {
    /// What a variable is set to at the end.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Assignment> {
        self.all.iter().rfind(|a| a.name == name)
    }
}

/// What a shell would choke on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsFault {
    /// `A=b c`.
    #[error("{rest} after the value of {name} would be run as a command; write {name}=\"VALUE WITH BLANKS\"")]
    Words {
        /// The variable.
        name: String,
        /// What follows, quoted.
        rest: String,
    },
    /// `A = b`.
    #[error("{0} would be run as a command; write NAME=VALUE without blanks around the \"=\"")]
    Blanks(String),
    /// A quote that is not closed.
    #[error("the quote {0} that begins here has no end; close it")]
    OpenQuote(char),
}

/// Reads the text of a file of options; `known` gives the value of variables that are set outside.
pub fn parse(
    text: &str,
    file: &Path,
    known: &dyn Fn(&str) -> Option<String>,
) -> Parsed<Assignments, OptionsFault> {
    let mut parsed = Parsed { value: Assignments::default(), faults: Vec::new() };
    let mut reader = Reader { rest: text, line: 1 };
    while !reader.rest.is_empty() {
        let line = reader.line;
        let found = &parsed.value;
        let lookup = |name: &str| match found.get(name) {
            Some(assigned) => Some(assigned.value.clone()).filter(|_| !assigned.dynamic),
            None => known(name),
        };
        match reader.statement(&lookup) {
            Ok(words) => match assignments(words, line) {
                Ok(Statement::Assignments(new)) => parsed.value.all.extend(new),
                Ok(Statement::Other(text)) => parsed.value.statements.push((line, text)),
                Err(fault) => parsed.faults.push((Place::line(file, line), fault)),
            },
            Err((line, quote)) => {
                parsed.faults.push((Place::line(file, line), OptionsFault::OpenQuote(quote)));
            }
        }
    }
    parsed
}

enum Statement {
    Assignments(Vec<Assignment>),
    Other(String),
}

/// What the words of one statement are.
fn assignments(words: Vec<Word>, line: usize) -> Result<Statement, OptionsFault> {
    let mut found: Vec<Assignment> = Vec::new();
    let mut words = words.into_iter().peekable();
    if words.peek().is_some_and(|w| w.text == "export" && !w.quoted) {
        words.next();
    }
    while let Some(word) = words.next() {
        match word.text.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, value)) => found.push(Assignment {
                name: name.to_owned(),
                value: value.to_owned(),
                dynamic: word.dynamic,
                line,
            }),
            None => {
                let rest: Vec<String> = words.map(|w| w.text).collect();
                if let Some(last) = found.pop() {
                    return Err(OptionsFault::Words { name: last.name, rest: quote(&word.text) });
                }
                if is_name(&word.text) && rest.first().is_some_and(|next| next.starts_with('=')) {
                    return Err(OptionsFault::Blanks(quote(&word.text)));
                }
                return Ok(Statement::Other(format!("{} {}", word.text, rest.join(" ")).trim().to_owned()));
            }
        }
    }
    Ok(Statement::Assignments(found))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[derive(Default)]
struct Word {
    text: String,
    quoted: bool,
    dynamic: bool,
}

/// Walks through the text and counts lines.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// The words up to an unquoted `;` or line end. A quote that is not closed is told with its line; all text is used up then.
    fn statement(&mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Word>, (usize, char)> {
        let mut words: Vec<Word> = Vec::new();
        let mut word: Option<Word> = None;
        while let Some(c) = self.next() {
            match c {
                '\n' | ';' => break,
                '#' if word.is_none() => {
                    while !self.rest.is_empty() && !self.rest.starts_with('\n') {
                        self.next();
                    }
                }
                c if c.is_whitespace() => words.extend(word.take()),
                '\\' if self.rest.starts_with('\n') => {
                    self.next();
                }
                '\'' | '"' => self.quoted(c, word.get_or_insert_default(), lookup)?,
                '\\' => word.get_or_insert_default().text.extend(self.next()),
                c => self.plain(c, word.get_or_insert_default(), lookup),
            }
        }
        words.extend(word);
        Ok(words)
    }

    fn quoted(
        &mut self,
        quote: char,
        word: &mut Word,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), (usize, char)> {
        let began = self.line;
        word.quoted = true;
        loop {
            match self.next() {
                None => return Err((began, quote)),
                Some(c) if c == quote => return Ok(()),
                Some('\\') if quote == '"' && self.rest.starts_with(['"', '\\', '$', '`', '\n']) => {
                    word.text.extend(self.next().filter(|c| *c != '\n'));
                }
                Some(c) if quote == '"' => self.plain(c, word, lookup),
                Some(c) => word.text.push(c),
            }
        }
    }

    /// A character outside single quotes: the value of a variable, or itself.
    fn plain(&mut self, c: char, word: &mut Word, lookup: &dyn Fn(&str) -> Option<String>) {
        if c == '$' {
            let braced = self.rest.starts_with('{');
            let from = &self.rest[usize::from(braced)..];
            let name_end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
            let (name, after) = from.split_at(name_end);
            let after = if braced { after.strip_prefix('}') } else { Some(after) };
            if let (Some(after), Some(value)) = (after, lookup(name).filter(|_| is_name(name))) {
                word.text.push_str(&value);
                self.rest = after;
                return;
            }
        }
        word.dynamic |= c == '$' || c == '`';
        word.text.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::told;
    use proptest::prelude::*;

    fn known(name: &str) -> Option<String> {
        (name == "CTDB_BASE").then(|| "/etc/ctdb".to_owned())
    }

    fn read(text: &str) -> Result<Assignments, String> {
        told(parse(text, Path::new("o"), &known))
    }

    #[test]
    fn values() {
        for (text, value, line) in [
            ("A=yes", "yes", 1),
            ("# c\n\nA=yes # comment", "yes", 3),
            ("  export A=\"y es\"\n", "y es", 1),
            ("B=1; A='y;#es'", "y;#es", 1),
            ("A=no\nA=\"one\n two\"\nB=3", "one\n two", 2),
            ("A=one\\\ntwo", "onetwo", 1),
            ("A=$CTDB_BASE/x", "/etc/ctdb/x", 1),
            ("A=\"${CTDB_BASE}y\"", "/etc/ctdby", 1),
            ("B=b\nA=$B$B", "bb", 2),
            ("A='$CTDB_BASE'", "$CTDB_BASE", 1),
            ("A=a\\ b\\$", "a b$", 1),
            ("A=", "", 1),
            ("A=x#y", "x#y", 1),
            ("A=\"1:2\"'3'4", "1:234", 1),
        ] {
            let read = read(text).unwrap();
            let found = read.get("A").unwrap_or_else(|| panic!("{text:?}: {read:?}"));
            assert_eq!((found.value.as_str(), found.line, found.dynamic), (value, line, false), "{text:?}");
        }
    }

    #[test]
    fn what_only_a_shell_can_work_out_is_marked() {
        for text in ["A=$(hostname)", "A=\"`date`\"", "A=$UNKNOWN", "A=${CTDB_BASE:-x}", "B=$X\nA=$B"] {
            assert!(read(text).unwrap().get("A").unwrap().dynamic, "{text:?}");
        }
        let read = read("if [ -e /x ] ; then\nA=1\nfi\n. /other\n").unwrap();
        let statements: Vec<_> = read.statements.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(statements, [(1, "if [ -e /x ]"), (1, "then"), (3, "fi"), (4, ". /other")]);
        assert_eq!(read.get("A").unwrap().value, "1");
    }

    #[test]
    fn what_a_shell_would_choke_on() {
        for (text, expected) in [
            ("A=b c", "o:1: \"c\" after the value of A would be run as a command; write A=\"VALUE"),
            ("\nA = b", "o:2: \"A\" would be run as a command; write NAME=VALUE without blanks"),
            ("A=1\nB=\"x\ny", "o:2: the quote \" that begins here has no end"),
            ("A='", "o:1: the quote ' that"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(expected) && said.lines().count() == 1, "{text:?}: {said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "\\PC*|[A-C=a $\"'`;#\\\\\n{}]*") {
            if let Err(said) = read(&text) {
                prop_assert!(said.lines().all(|l| l.starts_with("o:")), "{}", said);
            }
        }

        #[test]
        fn what_is_quoted_is_read_back(value in "[^']{0,40}") {
            let text = format!("A='{value}'\n");
            let read = read(&text).unwrap();
            prop_assert_eq!(&read.get("A").unwrap().value, &value);
        }
    }
}
