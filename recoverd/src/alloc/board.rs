//! The working state that all algorithms share: the sorted list, present owners, counts, reasons (SEMANTICS A.3).

use super::problem::{AddrState, Allocation, Assigned, Problem, Step};
use super::reason::{Reason, Vacancy};
use crate::model::{AddrKey, Pnn, addr_key};
use std::cmp::Reverse;

/// Addresses are indexes into the list in descending key order, nodes are indexes from 0.
pub(super) struct Board<'a> {
    pub(super) problem: &'a Problem,
    /// Number of nodes.
    pub(super) nodes: usize,
    /// The list; every table below has the same index.
    addrs: Vec<&'a AddrState>,
    pub(super) keys: Vec<AddrKey>,
    /// Owner right now. Change it with [`Board::give`] and [`Board::take`] only.
    pub(super) owner: Vec<Option<usize>>,
    pub(super) vacancy: Vec<Vacancy>,
    reason: Vec<Reason>,
    /// Number of addresses of each node, right now.
    pub(super) counts: Vec<u32>,
    pub(super) trace: Vec<Step>,
}

impl<'a> Board<'a> {
    /// Sorts the list and takes over the present owners, suitable or not.
    pub(super) fn new(problem: &'a Problem) -> Self {
        let mut addrs: Vec<&AddrState> = problem.addrs.iter().collect();
        // The rest of the entry only orders entries that should not be there twice, so that input order never matters.
        addrs.sort_by_key(|a| (Reverse(addr_key(a.addr)), *a));
        let nodes = problem.num_nodes as usize;
        let mut board = Self {
            problem,
            nodes,
            keys: addrs.iter().map(|a| addr_key(a.addr)).collect(),
            owner: vec![None; addrs.len()],
            vacancy: vec![Vacancy::Unassigned; addrs.len()],
            reason: vec![Reason::Kept; addrs.len()],
            counts: vec![0; nodes],
            trace: Vec::new(),
            addrs,
        };
        for i in 0..board.len() {
            match board.addrs[i].owner {
                Some(pnn) if pnn.index() < nodes => board.give(i, pnn.index(), Reason::Kept),
                Some(pnn) => board.vacancy[i] = Vacancy::OwnerCannotHost(pnn),
                None => {}
            }
        }
        board
    }

    pub(super) fn len(&self) -> usize {
        self.addrs.len()
    }

    pub(super) fn addr(&self, i: usize) -> std::net::IpAddr {
        self.addrs[i].addr
    }

    /// Address i gets owner n.
    pub(super) fn give(&mut self, i: usize, n: usize, reason: Reason) {
        self.take(i);
        self.owner[i] = Some(n);
        self.counts[n] += 1;
        self.reason[i] = reason;
    }

    /// Address i becomes unassigned.
    pub(super) fn take(&mut self, i: usize) {
        if let Some(n) = self.owner[i].take() {
            self.counts[n] -= 1;
        }
    }

    /// Whether the address is available on the node.
    pub(super) fn can_host(&self, i: usize, n: usize) -> bool {
        n < self.nodes && self.addrs[i].available.contains(pnn(n))
    }

    /// The nodes that can take the address, ascending: none under NoIPTakeover.
    pub(super) fn takers(&self, i: usize) -> impl Iterator<Item = usize> + use<'_> {
        let nodes = if self.problem.no_ip_takeover { 0 } else { self.nodes };
        self.addrs[i].available.iter().map(Pnn::index).take_while(move |n| *n < nodes)
    }

    /// Addresses whose owner cannot host them become unassigned. NoIPTakeover does not protect them.
    pub(super) fn drop_unsuitable(&mut self, vacancy: fn(Pnn) -> Vacancy) {
        for i in 0..self.len() {
            if let Some(n) = self.owner[i]
                && !self.can_host(i, n)
            {
                self.vacancy[i] = vacancy(pnn(n));
                self.take(i);
            }
        }
    }

    /// The node that can take the address and has the fewest now; ties go to the lowest number.
    pub(super) fn find_node(&self, i: usize) -> Option<usize> {
        self.takers(i).min_by_key(|n| (self.counts[*n], *n))
    }

    /// Each unassigned address in list order goes to the node with the fewest addresses at that moment.
    pub(super) fn simple_fill(&mut self) {
        for i in self.unassigned() {
            if let Some(n) = self.find_node(i) {
                let reason = Reason::FewestAddresses { vacancy: self.vacancy[i], count: self.counts[n] };
                self.give(i, n, reason);
            }
        }
    }

    /// The addresses without an owner, in list order.
    pub(super) fn unassigned(&self) -> Vec<usize> {
        (0..self.len()).filter(|i| self.owner[*i].is_none()).collect()
    }

    /// The addresses of each node, in list order.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.nodes];
        for (i, owner) in self.owner.iter().enumerate() {
            if let Some(n) = owner {
                members[*n].push(i);
            }
        }
        members
    }

    /// The answer.
    pub(super) fn finish(self) -> Allocation {
        let owners: Vec<Assigned> = (0..self.len())
            .map(|i| {
                let a = self.addrs[i];
                let vacancy = self.vacancy[i];
                let reason = match self.owner[i] {
                    Some(_) => self.reason[i],
                    None if a.available.iter().any(|n| n.index() < self.nodes) => {
                        Reason::NoIpTakeover { vacancy }
                    }
                    None => Reason::NobodyCanHost { vacancy },
                };
                Assigned { addr: a.addr, from: a.owner, to: self.owner[i].map(pnn), reason }
            })
            .collect();
        let unallocatable = owners.iter().filter(|a| a.to.is_none()).map(|a| a.addr).collect();
        Allocation { owners, unallocatable, trace: self.trace }
    }
}

/// The number of the node with this index.
pub(super) fn pnn(n: usize) -> Pnn {
    Pnn(n as u32)
}
