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

/// What is wrong with a line. CTDB then works without the *whole* table; ctdbd refuses to start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeNodesError {
    /// The first word of a line is no address. There is no comment syntax.
    #[error("`{0}` is not an address; write `ADDRESS NODE`, without comments")]
    Address(String),
    /// The second word of a line is no node number.
    #[error("`{0}` is not a node number; write `ADDRESS NODE` with NODE from 0")]
    Node(String),
}

impl HomeNodes {
    /// Parses lines `ADDR NODE`. Lines with fewer than two words are skipped, further words are ignored, the first line of an
    /// address wins.
    ///
    /// # Errors
    /// Every line, from 1, with an address or number that cannot be read; nothing of the table is used then.
    pub fn parse(text: &str) -> Result<Self, Vec<(usize, HomeNodesError)>> {
        let mut table = Self::default();
        let mut errors = Vec::new();
        for (i, line) in text.lines().enumerate() {
            match Self::parse_line(line) {
                Ok(Some((addr, node))) => table.add(addr, node),
                Ok(None) => {}
                Err(error) => errors.push((i + 1, error)),
            }
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// Parses one line; `None` when it has fewer than two words.
    ///
    /// # Errors
    /// [`HomeNodesError`]
    pub fn parse_line(line: &str) -> Result<Option<(IpAddr, Pnn)>, HomeNodesError> {
        let mut words = line.split_ascii_whitespace();
        let (Some(addr), Some(node)) = (words.next(), words.next()) else { return Ok(None) };
        let text = |word: &str| word.escape_debug().to_string();
        let addr = addr.parse().map_err(|_| HomeNodesError::Address(text(addr)))?;
        let node = node.parse().map_err(|_| HomeNodesError::Node(text(node)))?;
        Ok(Some((addr, Pnn(node))))
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
        let errors = HomeNodes::parse("10.0.0.1 -1\n10.0.0.1 2\n# comment").unwrap_err();
        let expected = [(1, HomeNodesError::Node("-1".into())), (3, HomeNodesError::Address("#".into()))];
        assert_eq!(errors, expected, "and every bad word is named");
    }
}
