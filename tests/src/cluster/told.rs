//! What a cluster says of itself: recmaster, flags, journal, log; and what the kernels said of its addresses.

use super::{Cluster, SOON};
use crate::lab::wait_for;
use std::collections::BTreeSet;
use std::time::Duration;

impl Cluster {
    /// The recmaster as a node sees it, once there is one.
    ///
    /// # Panics
    /// When none turns up.
    #[must_use]
    pub fn leader_seen_by(&self, node: usize) -> usize {
        let known = |out: &str| out.trim().parse::<usize>().is_ok_and(|n| n < self.daemons.len());
        self.wait_output(node, &["leader"], known).trim().parse().unwrap_or_default()
    }

    /// The journal of a node, oldest entry first: the objects of `ctdb timeline --json`.
    ///
    /// # Panics
    /// When the command fails or prints no JSON.
    #[must_use]
    pub fn timeline(&self, node: usize) -> Vec<serde_json::Value> {
        let text = self.ctdb(node, &["--json", "timeline", "1000"]);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("timeline of node {node}: {e}\n{text}"))
    }

    /// The texts of the entries of one kind in the journal of a node.
    ///
    /// # Panics
    /// As [`Self::timeline`].
    #[must_use]
    pub fn entries(&self, node: usize, kind: &str) -> Vec<String> {
        let all = self.timeline(node).into_iter().filter(|e| e["kind"] == kind);
        all.map(|e| e["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until the journal of a node has an entry of this kind whose text is good; its text.
    ///
    /// # Panics
    /// When none turns up.
    pub fn wait_entry(&self, node: usize, kind: &str, good: impl Fn(&str) -> bool) -> String {
        let waited =
            wait_for(&format!("an entry of kind {kind} in the journal of node {node}"), SOON, || {
                let entries = self.entries(node, kind);
                entries.iter().find(|t| good(t)).cloned().ok_or_else(|| entries.join("\n"))
            });
        waited.unwrap_or_else(|e| panic!("{e}\n{}", self.describe()))
    }

    /// The runs in a node's journal, by id.
    ///
    /// # Panics
    /// As [`Self::timeline`].
    #[must_use]
    pub fn runs(&self, node: usize) -> Vec<String> {
        let all = self.timeline(node).into_iter().filter(|e| e["kind"] == "run");
        all.map(|e| e["run"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The log of a node's daemon; in the foreground (`-i`) it goes to standard error.
    #[must_use]
    pub fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.lab.paths(node).stderr).unwrap_or_default()
    }

    /// Waits until `ctdb status` on node `at` shows node `of` with these flags, e.g. `OK` or `DISABLED`.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_flags(&self, at: usize, of: usize, flags: &str) {
        let start = format!("pnn:{of} ");
        self.wait_output(at, &["status"], |out| {
            let line = out.lines().find(|l| l.starts_with(&start));
            line.and_then(|l| l.split_whitespace().nth(2)) == Some(flags)
        });
    }

    /// Waits until no node wants anything of the recmaster any more: a run asked for now has nothing to move.
    ///
    /// # Panics
    /// When the run fails.
    pub fn settle(&self, node: usize) {
        let _ = self.ctdb(node, &["ipreallocate"]);
    }

    /// Times during which the kernels of two nodes had one address, as the lab saw it; shorter ones than `ignore` may only seem so,
    /// as the kernels' words are stamped when they are read.
    ///
    /// # Panics
    /// When the lab does not answer.
    #[must_use]
    pub fn overlaps(&self, since_ns: u64, ignore: Duration) -> Vec<String> {
        let mut events = self.lab.address_events().unwrap_or_else(|e| panic!("address events: {e}"));
        events.sort_by_key(|e| e.at_ns);
        let mut found = Vec::new();
        for address in &self.addresses {
            let mut on: BTreeSet<usize> = BTreeSet::new();
            let mut since = None;
            for e in events.iter().filter(|e| e.address == *address) {
                if e.added {
                    on.insert(e.host)
                } else {
                    on.remove(&e.host)
                };
                match since {
                    None if on.len() > 1 => since = Some(e.at_ns),
                    Some(start) if on.len() < 2 => {
                        since = None;
                        let long = e.at_ns.saturating_sub(start);
                        if e.at_ns >= since_ns && u128::from(long) > ignore.as_nanos() {
                            found.push(format!("{address} on two nodes for {} us", long / 1000));
                        }
                    }
                    _ => {}
                }
            }
            if since.is_some() {
                found.push(format!("{address} on nodes {on:?} to the end"));
            }
        }
        found
    }
}
