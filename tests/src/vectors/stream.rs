//! JSON objects from a stream: one per line, concatenated, or pretty-printed over many lines.
//!
//! A bad object costs only itself: the objects before and after it are still delivered.

use serde_json::Value;
use std::io::{self, BufRead};

/// What was found, with the line on which it begins (from 1).
#[derive(Debug)]
pub struct Item {
    /// Line of the input, from 1.
    pub line: usize,
    /// The object, or what is wrong with it.
    pub value: Result<Value, String>,
}

/// Reads objects until the input ends. `vector` recognizes a whole object of the expected kind: when such an object stands on a
/// line of its own inside another one that never ended, the unfinished one is reported and the whole one delivered.
pub struct Objects<R> {
    input: R,
    vector: fn(&Value) -> bool,
    line: usize,
    /// An object that is not complete yet, and its first line.
    open: Option<(usize, String, Depth)>,
    ready: std::collections::VecDeque<Item>,
}

impl<R: BufRead> Objects<R> {
    /// Over an input.
    pub fn new(input: R, vector: fn(&Value) -> bool) -> Self {
        Self { input, vector, line: 0, open: None, ready: std::collections::VecDeque::new() }
    }

    /// The next object.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            let mut bytes = Vec::new();
            if self.input.read_until(b'\n', &mut bytes)? == 0 {
                let Some((line, ..)) = self.open.take() else { return Ok(None) };
                return Ok(Some(unfinished(line, "the input ends")));
            }
            self.line += 1;
            match String::from_utf8(bytes) {
                Ok(text) => self.feed(text),
                Err(e) => {
                    let value = Err(format!("not UTF-8 text: {e}"));
                    self.ready.push_back(Item { line: self.line, value });
                }
            }
        }
    }

    fn feed(&mut self, text: String) {
        if let Some((line, mut whole, mut depth)) = self.open.take() {
            if serde_json::from_str::<Value>(&text).is_ok_and(|v| (self.vector)(&v)) {
                self.ready.push_back(unfinished(line, &format!("another one begins on line {}", self.line)));
                self.parse(self.line, text);
                return;
            }
            whole.push_str(&text);
            depth.feed(&text);
            if depth.open > 0 {
                self.open = Some((line, whole, depth));
            } else {
                self.parse(line, whole);
            }
        } else if !text.trim().is_empty() {
            self.parse(self.line, text);
        }
    }

    /// All objects of a text; the last one may go on in the next line.
    fn parse(&mut self, line: usize, text: String) {
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        let mut done = 0;
        while let Some(value) = values.next() {
            match value {
                Ok(value) => {
                    done = values.byte_offset();
                    self.ready.push_back(Item { line, value: Ok(value) });
                }
                Err(e) if e.is_eof() => {
                    let rest = text[done..].to_owned();
                    let mut depth = Depth::default();
                    depth.feed(&rest);
                    self.open = Some((line, rest, depth));
                    return;
                }
                Err(e) => {
                    self.ready.push_back(Item { line, value: Err(format!("not JSON: {e}")) });
                    return;
                }
            }
        }
    }
}

fn unfinished(line: usize, how: &str) -> Item {
    Item { line, value: Err(format!("the object that begins here is not complete: {how}")) }
}

/// Depth of brackets outside strings, so that a long object is parsed once, not at each of its lines.
#[derive(Default)]
struct Depth {
    open: usize,
    in_string: bool,
    escaped: bool,
}

impl Depth {
    fn feed(&mut self, text: &str) {
        for b in text.bytes() {
            match b {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.open += 1,
                b'}' | b']' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let mut objects = Objects::new(text.as_bytes(), |v| v.get("v").is_some());
        let mut found = Vec::new();
        while let Some(item) = objects.next_item().unwrap() {
            let what = item.value.map_or_else(|e| format!("ERR {e}"), |v| v.to_string());
            found.push(format!("{}: {what}", item.line));
        }
        found
    }

    #[test]
    fn lines_concatenations_and_pretty_print() {
        let text = "{\"v\":1}\n\n{\"v\":2}{\"v\":3}\n{\n \"v\": [\n {\"a\": \"}{\\\"\"}\n]\n}\n{\"v\":5}";
        assert_eq!(
            read(text),
            [
                "1: {\"v\":1}",
                "3: {\"v\":2}",
                "3: {\"v\":3}",
                "4: {\"v\":[{\"a\":\"}{\\\"\"}]}",
                "9: {\"v\":5}"
            ]
        );
        assert!(read("").is_empty());
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let found =
            read("{\"v\":1}\nnonsense\n{\"v\":2}\n{\"v\":\n{\"v\":3}\n{\"v\": 4,}\n{\"v\":5}\n{\"v\":");
        assert_eq!(found.len(), 8, "{found:?}");
        assert_eq!(
            (&*found[0], &*found[2], &*found[4], &*found[6]),
            ("1: {\"v\":1}", "3: {\"v\":2}", "5: {\"v\":3}", "7: {\"v\":5}")
        );
        assert!(found[1].starts_with("2: ERR not JSON"), "{found:?}");
        assert!(found[3].starts_with("4: ERR") && found[3].contains("line 5"), "{found:?}");
        assert!(found[5].starts_with("6: ERR") && found[7].starts_with("8: ERR"), "{found:?}");
    }
}
