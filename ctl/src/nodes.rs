//! The nodes of `-n`, as CTDB's `onnode` writes them, and which of a cluster's nodes are meant.

use recoverd::model::{NodeFlags, Pnn};
use recoverd::view::{NodeRow, StatusView};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Highest node number that a range may name: more than any cluster has, and no range can fill the memory.
const HIGHEST: u32 = 9999;

/// What `-n` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// One node: the answer looks as it does without `-n`.
    One(Pnn),
    /// A node that runs the daemon: this one, since it answers.
    Any,
    /// All nodes that are not deleted.
    All,
    /// `ok`, `healthy`: not disconnected, banned, stopped, disabled or unhealthy.
    Healthy,
    /// `con`, `connected`: not disconnected.
    Connected,
    /// Numbers and ranges, in the order of the operator.
    List(Vec<RangeInclusive<u32>>),
}

impl FromStr for Nodes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "any" => Self::Any,
            "all" => Self::All,
            "ok" | "healthy" => Self::Healthy,
            "con" | "connected" => Self::Connected,
            _ => match text.parse() {
                Ok(pnn) => Self::One(Pnn(pnn)),
                Err(_) => Self::List(text.split(',').map(range).collect::<Result<_, _>>()?),
            },
        })
    }
}

fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let number = |word: &str| word.parse::<u32>().ok().filter(|n| *n <= HIGHEST);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(format!(
            "'{text}' is no node: write a number, numbers and ranges (0,2-4), all, ok, con or any"
        )),
    }
}

/// A node that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) pnn: Pnn,
    /// Its private address.
    pub(crate) addr: IpAddr,
    /// Why it cannot be asked.
    pub(crate) unreachable: Option<String>,
}

/// The node `pnn`, in CTDB's words when there is none.
pub(crate) fn find(status: &StatusView, pnn: Pnn) -> Result<&NodeRow, String> {
    let known = status.nodes.iter().find(|n| n.pnn == pnn);
    known.ok_or_else(|| format!("Node {pnn} does not exist"))
}

/// Why a node cannot be asked, in CTDB's words.
pub(crate) fn unreachable(node: &NodeRow) -> Option<String> {
    let gone = node.flags.intersects(NodeFlags::DELETED | NodeFlags::DISCONNECTED);
    gone.then(|| format!("Node {} has status {}", node.pnn, node.flags))
}

impl Nodes {
    /// Whether the answer is one of several, whatever their number is today: a script must find the same shape each time.
    pub(crate) fn several(&self) -> bool {
        !matches!(self, Self::One(_) | Self::Any)
    }

    /// Which nodes are meant. A number that no node has fails as a whole; a node that cannot be asked is listed with the reason, so that
    /// the others are asked.
    pub(crate) fn targets(&self, status: &StatusView) -> Result<Vec<Target>, String> {
        let target = |n: &NodeRow| Target { pnn: n.pnn, addr: n.addr, unreachable: unreachable(n) };
        let those = |meant: &dyn Fn(&NodeRow) -> bool| {
            let nodes = status.nodes.iter().filter(|n| !n.flags.intersects(NodeFlags::DELETED));
            nodes.filter(|n| meant(n)).map(target).collect()
        };
        Ok(match self {
            Self::One(pnn) => vec![target(find(status, *pnn)?)],
            Self::Any => those(&|n| n.pnn == status.this_node),
            Self::All => those(&|_| true),
            Self::Healthy => those(&|n| n.flags == NodeFlags::NONE),
            Self::Connected => those(&|n| !n.flags.intersects(NodeFlags::DISCONNECTED)),
            Self::List(ranges) => {
                let numbers = ranges.iter().flat_map(Clone::clone);
                let nodes = numbers.map(|n| find(status, Pnn(n)).map(target));
                nodes.collect::<Result<_, _>>()?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tests::three_nodes;

    fn meant(text: &str) -> Result<Vec<u32>, String> {
        let nodes: Nodes = text.parse()?;
        Ok(nodes.targets(&three_nodes())?.iter().map(|t| t.pnn.0).collect())
    }

    #[test]
    fn nodes_are_written_as_for_onnode() {
        // Node 1 is unhealthy, node 2 disconnected.
        for (text, want) in [
            ("1", &[1_u32] as &[u32]),
            ("all", &[0, 1, 2]),
            ("ok", &[0]),
            ("healthy", &[0]),
            ("con", &[0, 1]),
            ("connected", &[0, 1]),
            ("any", &[0]),
            ("0-2", &[0, 1, 2]),
            ("2,0-1", &[2, 0, 1]),
            ("1,1", &[1, 1]),
        ] {
            assert_eq!(meant(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_and_missing_nodes_are_named() {
        for text in ["", "x", "1,", "2-1", "-1", "1-", "0-99999", "all,1", "1-2-3"] {
            let error = meant(text).unwrap_err();
            assert!(error.contains("is no node: write a number"), "{text}: {error}");
        }
        assert_eq!(meant("7").unwrap_err(), "Node 7 does not exist");
        assert_eq!(meant("0-3").unwrap_err(), "Node 3 does not exist");
    }

    #[test]
    fn a_node_that_cannot_be_asked_says_why_and_a_deleted_one_is_not_meant_by_all() {
        let mut status = three_nodes();
        let why = |status: &StatusView, text: &str| {
            let targets = text.parse::<Nodes>().unwrap().targets(status).unwrap();
            targets.into_iter().map(|t| t.unreachable).collect::<Vec<_>>()
        };
        let gone = Some("Node 2 has status DISCONNECTED|INACTIVE".to_owned());
        assert_eq!(why(&status, "all"), [None, None, gone.clone()]);
        assert_eq!(why(&status, "2"), [gone]);
        status.nodes[1].flags = NodeFlags::STOPPED;
        assert_eq!(why(&status, "1"), [None], "a stopped node answers");
        status.nodes[1].flags = NodeFlags::DELETED;
        assert_eq!(why(&status, "all").len(), 2);
        assert!(why(&status, "1")[0].is_some());
    }

    #[test]
    fn one_number_and_any_answer_as_one_node_does() {
        let several = |text: &str| text.parse::<Nodes>().unwrap().several();
        assert!(!several("1") && !several("any"));
        assert!(several("all") && several("ok") && several("1,1") && several("0-1"));
    }
}
