//! Statements as text, in keepalived's usual layout.

use crate::config::token::Word;
use crate::config::tree::Statement;
use std::fmt::Write as _;

/// The text of statements; reading it gives the same statements.
#[must_use]
pub fn print(statements: &[Statement]) -> String {
    let mut out = String::new();
    for (n, s) in statements.iter().enumerate() {
        if n > 0 && (s.block.is_some() || statements[n - 1].block.is_some()) {
            out.push('\n');
        }
        statement(s, 0, &mut out);
    }
    out
}

fn statement(s: &Statement, depth: usize, out: &mut String) {
    let indent = "    ".repeat(depth);
    out.push_str(&indent);
    out.push_str(&word(&s.keyword));
    for arg in &s.args {
        let _ = write!(out, " {}", word(arg));
    }
    if let Some(block) = &s.block {
        out.push_str(" {\n");
        for inner in block {
            statement(inner, depth + 1, out);
        }
        out.push_str(&indent);
        out.push('}');
    }
    out.push('\n');
}

/// A word with the quotes that it needs.
fn word(w: &Word) -> String {
    let special = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\' | '#' | '!' | '{' | '}')
    };
    if !w.quoted && !w.text.is_empty() && !w.text.contains(special) {
        return w.text.clone();
    }
    let mut quoted = String::from("\"");
    for c in w.text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
