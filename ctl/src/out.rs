//! What a command leaves: text for stdout, notes for stderr, an exit status; and the three styles of output.

use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, Write};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For a person.
    Plain,
    /// `-X`, `-Y`, `-x`: columns between separators.
    Table(char),
    /// `--json`.
    Json,
}

/// What a command leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// For stdout.
    pub(crate) text: String,
    /// For stderr, a line each.
    pub(crate) notes: Vec<String>,
    /// Exit status.
    pub(crate) code: u8,
}

impl Output {
    /// Success that prints nothing.
    pub(crate) fn silent() -> Self {
        Self::default()
    }

    /// Success with text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Success with the same facts in one of the three styles.
    pub(crate) fn styled(
        style: Style,
        plain: impl FnOnce() -> String,
        table: impl FnOnce(char) -> String,
        json: impl FnOnce() -> Value,
    ) -> Self {
        Self::text(match style {
            Style::Plain => plain(),
            Style::Table(sep) => table(sep),
            Style::Json => json_text(&json()),
        })
    }

    /// One line whose shape CTDB does not change with `-X`.
    pub(crate) fn line(style: Style, plain: impl Display, json: impl FnOnce() -> Value) -> Self {
        let line = format!("{plain}\n");
        Self::styled(style, || line.clone(), |_| line.clone(), json)
    }

    /// This with a document when there is none: with `--json` a command that is silent must still print one.
    pub(crate) fn never_silent(mut self, style: Style) -> Self {
        if style == Style::Json && self.text.is_empty() {
            self.text = json_text(&json!({ "ok": self.code == 0, "notes": self.notes }));
        }
        self
    }

    /// This with an exit status.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

/// A command that failed: one message for stderr and an exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For stderr.
    pub(crate) message: String,
    /// Exit status, not 0.
    pub(crate) code: u8,
}

impl Failure {
    /// Exit status 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
}

/// How commands end.
pub(crate) type Outcome = Result<Output, Failure>;

/// A row of a table: every cell between separators.
pub(crate) fn row<T: Display>(sep: char, cells: impl IntoIterator<Item = T>) -> String {
    let mut text = String::from(sep);
    for cell in cells {
        text.push_str(&cell.to_string());
        text.push(sep);
    }
    text.push('\n');
    text
}

/// JSON as CTDB prints it: indented by two, one line end.
pub(crate) fn json_text(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Writes what a command leaves and says with which status to exit. A reader that has gone away (`ctdb ip | head -1`) is no error.
pub(crate) fn finish(outcome: Outcome) -> u8 {
    let (text, notes, code) = match outcome {
        Ok(o) => (o.text, o.notes, o.code),
        Err(f) => (String::new(), vec![f.message], f.code),
    };
    let mut stdout = io::stdout().lock();
    if let Err(e) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        if e.kind() == io::ErrorKind::BrokenPipe {
            return 0;
        }
        complain(&format!("cannot write to stdout: {e}"));
        return 1;
    }
    notes.iter().for_each(|note| complain(note));
    code
}

/// A line on stderr; nothing can be done when that fails.
pub(crate) fn complain(line: &str) {
    let _lost = writeln!(io::stderr().lock(), "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_and_end_with_the_separator() {
        assert_eq!(row('|', ["Node", "IP"]), "|Node|IP|\n");
        assert_eq!(row(':', [1, 2]), ":1:2:\n");
    }

    #[test]
    fn json_is_indented_by_two_and_keeps_its_order() {
        let value = json!({ "z": 1, "a": [true] });
        assert_eq!(json_text(&value), "{\n  \"z\": 1,\n  \"a\": [\n    true\n  ]\n}\n");
    }

    #[test]
    fn silence_is_a_document_with_json_only() {
        let silent = Output { notes: vec!["already".into()], ..Output::default() };
        let json: Value = serde_json::from_str(&silent.clone().never_silent(Style::Json).text).unwrap();
        assert_eq!(json, json!({ "ok": true, "notes": ["already"] }));
        assert_eq!(silent.never_silent(Style::Plain).text, "");
        assert_eq!(Output::text("[]\n").never_silent(Style::Json).text, "[]\n");
    }

    #[test]
    fn a_line_is_the_same_in_plain_and_table() {
        for style in [Style::Plain, Style::Table('|')] {
            assert_eq!(Output::line(style, 7, || Value::Null).text, "7\n");
        }
        assert_eq!(Output::line(Style::Json, 7, || 7.into()).text, "7\n");
    }
}
