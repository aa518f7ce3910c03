//! `natgw_nodes` and `lvs_nodes`: the nodes of a group of which one leads.
//!
//! Pure. One line is `IP [follower-only]`, the private address of a node; `slave-only`, the word before CTDB 4.14, means the same. Any
//! other option is an error, as in CTDB. Blank lines and lines that start with `#` are skipped. Who
//! leads follows from the nodes' numbers and states (`recoverd::group`), not from the order of the lines.

use crate::parsed::Parsed;
use crate::place::{Place, quote};
use std::net::IpAddr;
use std::path::Path;

/// A node of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its private address.
    pub addr: IpAddr,
    /// It never leads.
    pub follower_only: bool,
    /// Its line, from 1.
    pub line: usize,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupFault {
    /// Not an address.
    #[error("{0} is not a node's private IP address; write IP or IP follower-only")]
    Address(String),
    /// An option that nobody knows.
    #[error("{0} is not an option of a node; write follower-only (or the older slave-only) or nothing")]
    Option(String),
    /// The same node twice.
    #[error("{addr} stands already on line {first}; remove one of the two lines")]
    Duplicate {
        /// The address.
        addr: IpAddr,
        /// Where it stood first.
        first: usize,
    },
}

/// Reads the text of such a file.
pub fn parse(text: &str, file: &Path) -> Parsed<Vec<Member>, GroupFault> {
    let mut parsed: Parsed<Vec<Member>, GroupFault> = Parsed { value: Vec::new(), faults: Vec::new() };
    for (index, raw) in text.lines().enumerate() {
        let (line, text) = (index + 1, raw.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let member =
            member(text, line).and_then(|new| match parsed.value.iter().find(|m| m.addr == new.addr) {
                Some(first) => Err(GroupFault::Duplicate { addr: new.addr, first: first.line }),
                None => Ok(new),
            });
        match member {
            Ok(member) => parsed.value.push(member),
            Err(fault) => parsed.faults.push((Place::line(file, line), fault)),
        }
    }
    parsed
}

fn member(text: &str, line: usize) -> Result<Member, GroupFault> {
    let (word, option) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let addr: IpAddr = word.parse().map_err(|_| GroupFault::Address(quote(word)))?;
    let follower_only = match option.trim() {
        "" => false,
        "follower-only" | "slave-only" => true,
        other => return Err(GroupFault::Option(quote(other))),
    };
    Ok(Member { addr: addr.to_canonical(), follower_only, line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::told;

    #[test]
    fn good_lines() {
        let text = "# gateway\n\n10.0.0.1\n 10.0.0.2\tfollower-only \n10.0.0.3 slave-only\r\nfd00::4\n";
        let found: Vec<_> = told(parse(text, Path::new("g")))
            .unwrap()
            .iter()
            .map(|m| (m.addr.to_string(), m.follower_only, m.line))
            .collect();
        let expected =
            [("10.0.0.1", false, 3), ("10.0.0.2", true, 4), ("10.0.0.3", true, 5), ("fd00::4", false, 6)];
        assert_eq!(found, expected.map(|(addr, follower, line)| (addr.to_owned(), follower, line)));
    }

    #[test]
    fn every_bad_line_is_named() {
        let text = "node1\n10.0.0.1 leader\n10.0.0.2\n10.0.0.2 follower-only\n10.0.0.3 follower-only now\n";
        let said = told(parse(text, Path::new("g"))).unwrap_err();
        let expected = [
            "g:1: \"node1\" is not a node's private IP address; write IP",
            "g:2: \"leader\" is not an option of a node; write follower-only",
            "g:4: 10.0.0.2 stands already on line 3;",
            "g:5: \"follower-only now\" is not an option",
        ];
        assert_eq!(said.lines().count(), expected.len(), "{said}");
        for (line, expected) in said.lines().zip(expected) {
            assert!(line.starts_with(expected), "{line}");
        }
    }
}
