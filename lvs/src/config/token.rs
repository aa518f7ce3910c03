//! Words, braces and line ends of keepalived's syntax.
//!
//! From keepalived.conf(5): `#` and `!` start a comment anywhere outside quotes; `"` and `'` enclose blanks and may stand in the middle
//! of a word; within quotes a backslash escapes. A brace may stand at the end of a word (`HTTP_GET{`), not within one (`a{3}` is a word).

use super::report::{Place, Report};
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

/// One word without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Text with escapes resolved.
    pub text: String,
    /// Whether any part of it was in quotes: then it is never a brace, keyword or comment.
    pub quoted: bool,
    /// Where it begins.
    pub at: Place,
}

/// What a file is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word.
    Word(Word),
    /// `{`
    Open(Place),
    /// `}`
    Close(Place),
    /// End of a line that had something on it.
    End,
}

/// Splits a file. Problems (a quote that does not end on its line) go to `report`, and the rest is still split.
pub fn tokens(file: &Arc<str>, text: &str, report: &mut Report) -> Vec<Token> {
    let mut out = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let at = Place { file: file.clone(), line: u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1) };
        let before = out.len();
        split(line, &at, report, &mut out);
        if out.len() > before {
            out.push(Token::End);
        }
    }
    out
}

fn split(line: &str, at: &Place, report: &mut Report, out: &mut Vec<Token>) {
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#' | '!') => return,
            Some(_) => {
                let (word, comment) = word(&mut chars, at, report);
                push(word, out);
                if comment {
                    return;
                }
            }
        }
    }
}

/// Reads one word; also whether a comment ended it.
fn word(chars: &mut Peekable<Chars<'_>>, at: &Place, report: &mut Report) -> (Word, bool) {
    let mut word = Word { text: String::new(), quoted: false, at: at.clone() };
    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
        match c {
            '#' | '!' => {
                let said = format!(
                    "a comment begins within the word after \"{}\": quote the word if {c} belongs to it",
                    word.text
                );
                report.warn(at, said);
                return (word, true);
            }
            '"' | '\'' => {
                word.quoted = true;
                if !quoted(c, chars, &mut word.text) {
                    report.error(at, format!("a quoted string has no closing {c} on its line"));
                }
            }
            '\\' if chars.peek().is_some_and(|q| matches!(q, '"' | '\'')) => word.text.extend(chars.next()),
            c => word.text.push(c),
        }
    }
    (word, false)
}

/// Reads to the closing quote; whether there was one. Within single quotes double quotes are plain, and the reverse.
fn quoted(quote: char, chars: &mut Peekable<Chars<'_>>, text: &mut String) -> bool {
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return true,
            '\\' => escape(chars, text),
            c => text.push(c),
        }
    }
    false
}

/// Escapes of keepalived.conf(5): `\a \b \E \f \n \r \t \v`, octal, `\xXX`, `\cC`; any other character stands for itself.
fn escape(chars: &mut Peekable<Chars<'_>>, text: &mut String) {
    let Some(c) = chars.next() else { return };
    let plain = match c {
        'a' => '\x07',
        'b' => '\x08',
        'E' => '\x1b',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => number(chars, 16, 2, 0),
        'c' => chars.next().map_or('\0', |c| char::from((c.to_ascii_uppercase() as u8) & 0x1f)),
        '0'..='7' => number(chars, 8, 2, c.to_digit(8).unwrap_or(0)),
        c => c,
    };
    text.push(plain);
}

fn number(chars: &mut Peekable<Chars<'_>>, radix: u32, most: usize, first: u32) -> char {
    let mut n = first;
    for _ in 0..most {
        let Some(d) = chars.next_if(|c| c.is_digit(radix)).and_then(|c| c.to_digit(radix)) else { break };
        n = n * radix + d;
    }
    char::from_u32(n).unwrap_or('\0')
}

/// Takes braces off the ends of a word.
fn push(word: Word, out: &mut Vec<Token>) {
    if word.quoted {
        out.push(Token::Word(word));
        return;
    }
    let Word { mut text, at, .. } = word;
    if let Some(rest) = text.strip_prefix('{') {
        out.push(Token::Open(at.clone()));
        text = rest.to_owned();
    }
    let mut after = Vec::new();
    loop {
        let open = text.ends_with('{') && !text.ends_with("${");
        let close = text.ends_with('}') && !text.contains('{');
        if !open && !close {
            break;
        }
        text.pop();
        after.push(if open { Token::Open(at.clone()) } else { Token::Close(at.clone()) });
    }
    if !text.is_empty() {
        out.push(Token::Word(Word { text, quoted: false, at }));
    }
    out.extend(after.into_iter().rev());
}
