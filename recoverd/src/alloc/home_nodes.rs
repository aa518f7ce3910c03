//! The `home_nodes` file: which node an address should be on when that node can host it.
//!
//! Parsing only, from text that the caller read. Mirrors CTDB: read by the deterministic algorithm (SEMANTICS A.4); here also a
//! preference of algorithm 3.

use crate::model::{AddrKey, Pnn, addr_key};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Address to home node. May name addresses and nodes that do not exist; they have no effect.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct HomeNodes(BTreeMap<AddrKey, Pnn>);

/// Why the file cannot be used. CTDB then works without the *whole* table, and so should the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeNodesError {
    /// The first word of a line is no address. There is no comment syntax.
    #[error(
        "line {line}: `{word}` is not an address; write `ADDRESS NODE`, without comments (the whole table is ignored)"
    )]
    Address {
        /// Line number, from 1.
        line: usize,
        /// The word found.
        word: String,
    },
    /// The second word of a line is no node number.
    #[error(
        "line {line}: `{word}` is not a node number; write `ADDRESS NODE` with NODE from 0 (the whole table is ignored)"
    )]
    Node {
        /// Line number, from 1.
        line: usize,
        /// The word found.
        word: String,
    },
}

impl HomeNodes {
    /// Parses lines `ADDR NODE`. Lines with fewer than two words are skipped, further words are ignored, the first line of an
    /// address wins.
    ///
    /// # Errors
    /// Any address or number that cannot be read; nothing of the table is used then.
    pub fn parse(text: &str) -> Result<Self, HomeNodesError> {
        let mut table = Self::default();
        for (i, line) in text.lines().enumerate() {
            let mut words = line.split_ascii_whitespace();
            let (Some(addr), Some(node)) = (words.next(), words.next()) else { continue };
            let addr = addr
                .parse::<IpAddr>()
                .map_err(|_| HomeNodesError::Address { line: i + 1, word: addr.to_owned() })?;
            let node =
                node.parse().map_err(|_| HomeNodesError::Node { line: i + 1, word: node.to_owned() })?;
            table.add(addr, Pnn(node));
        }
        Ok(table)
    }

    /// Adds a line at the end: no effect if the address has a home already.
    pub fn add(&mut self, addr: IpAddr, node: Pnn) {
        self.0.entry(addr_key(addr)).or_insert(node);
    }

    /// The node that the file names for an address.
    #[must_use]
    pub fn get(&self, addr: IpAddr) -> Option<Pnn> {
        self.0.get(&addr_key(addr)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ctdb_reads() {
        let t =
            HomeNodes::parse("10.0.0.1 2\n\nlonely\n10.0.0.1 1\n ::ffff:10.0.0.2\t7 more words\nfd00::1 0")
                .unwrap();
        assert_eq!(t.get("10.0.0.1".parse().unwrap()), Some(Pnn(2)), "the first line wins");
        assert_eq!(t.get("10.0.0.2".parse().unwrap()), Some(Pnn(7)));
        assert_eq!(t.get("fd00::1".parse().unwrap()), Some(Pnn(0)));
        assert_eq!(t.get("10.0.0.3".parse().unwrap()), None);
    }

    #[test]
    fn one_bad_word_discards_the_table() {
        let e = HomeNodes::parse("10.0.0.1 2\n# comment").unwrap_err();
        assert_eq!(e, HomeNodesError::Address { line: 2, word: "#".into() });
        let e = HomeNodes::parse("10.0.0.1 -1").unwrap_err();
        assert!(e.to_string().contains("line 1") && e.to_string().contains("-1"), "{e}");
    }
}
