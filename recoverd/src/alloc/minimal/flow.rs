//! How many addresses of each class go to which node: the exact part of minimal move (argument in [`super`]).

use crate::alloc::board::pnn;
use crate::alloc::nodeset::NodeSet;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Being away from home costs more than all moves together.
const AWAY: i64 = 1 << 32;
/// No way.
const FAR: i64 = i64::MAX;

/// Addresses that are alike for the flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    /// The nodes that can host them, ascending, not empty.
    pub(super) takers: Vec<usize>,
    /// Their home, if it is one of `takers`.
    pub(super) home: Option<usize>,
    /// Their present owner, one of `takers`.
    pub(super) owner: Option<usize>,
}

impl Class {
    /// Cost of one address of the class on node n.
    fn cost(&self, n: usize) -> i64 {
        AWAY * i64::from(self.home.is_some_and(|h| h != n)) + i64::from(self.owner.is_some_and(|o| o != n))
    }
}

/// What one address more, or less, on a node changes in the sum of load² / weight. Weight 0 is above everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marginal {
    change: u64,
    weight: u32,
}

impl Ord for Marginal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.weight == 0 || other.weight == 0 {
            return (self.weight == 0, self.change).cmp(&(other.weight == 0, other.change));
        }
        let cross = |a: &Self, b: &Self| u128::from(a.change) * u128::from(b.weight);
        cross(self, other).cmp(&cross(other, self))
    }
}

impl PartialOrd for Marginal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The cheapest way to hand one address from a node to another: the change of cost, and the class it is of.
#[derive(Clone, Copy)]
struct Edge {
    cost: i64,
    class: usize,
}

/// Classes that could take an edge, cheapest first: (change of cost, class).
type Offers = BTreeSet<(i64, usize)>;

const NO_EDGE: Edge = Edge { cost: FAR, class: 0 };

/// Shortest chains from some start: change of cost to each node, and the node before it.
struct Chains {
    cost: Vec<i64>,
    previous: Vec<Option<usize>>,
}

pub(super) struct Flow<'a> {
    classes: &'a [Class],
    nodes: usize,
    weights: Vec<u32>,
    /// Addresses on each node, those that cannot move included.
    load: Vec<u64>,
    /// Addresses on each node by class; never a zero count.
    on: Vec<BTreeMap<usize, u32>>,
    /// Row n: the edges out of node n.
    edges: Vec<Edge>,
    /// For each edge all that could take it.
    offers: Vec<Offers>,
}

impl<'a> Flow<'a> {
    /// `fixed`: addresses of each node that do not take part.
    pub(super) fn new(classes: &'a [Class], fixed: Vec<u64>, weights: Vec<u32>) -> Self {
        let nodes = fixed.len();
        Self {
            classes,
            nodes,
            weights,
            load: fixed,
            on: vec![BTreeMap::new(); nodes],
            edges: vec![NO_EDGE; nodes * nodes],
            offers: vec![Offers::new(); nodes * nodes],
        }
    }

    /// Addresses of each node by class.
    pub(super) fn placement(&self) -> &[BTreeMap<usize, u32>] {
        &self.on
    }

    /// Puts the addresses of a class on their present owner if they cost nothing there. To be called for all classes first.
    pub(super) fn seat(&mut self, class: usize, count: u32) {
        if let Some(owner) = self.seat_of(class) {
            self.load[owner] += u64::from(count);
            self.put(owner, class, count);
        }
    }

    fn seat_of(&self, class: usize) -> Option<usize> {
        let class = &self.classes[class];
        class.owner.filter(|o| class.cost(*o) == 0)
    }

    /// Brings in the addresses of a class that have no seat, one by one, each along the shortest chain to the node with the
    /// smallest marginal load.
    pub(super) fn enter(&mut self, class: usize, count: u32) {
        if self.seat_of(class).is_some() {
            return;
        }
        let takers = &self.classes[class].takers;
        for _ in 0..count {
            let chains = self.chains(takers.iter().map(|n| (*n, self.classes[class].cost(*n))));
            let Some((target, _)) = self.best_target(&chains, |_| true) else { return };
            let first = self.hand_on(&chains, target);
            self.load[target] += 1;
            self.put(first, class, 1);
        }
    }

    /// Applies chains that gain until there is none.
    pub(super) fn level(&mut self) {
        // For each node from which no chain gains: the nodes that its chains can reach.
        let mut settled: Vec<Option<NodeSet>> = vec![None; self.nodes];
        loop {
            let source = (0..self.nodes)
                .filter(|n| settled[*n].is_none() && self.load[*n] > 0)
                .max_by(|a, b| self.less(*a).cmp(&self.less(*b)).then(b.cmp(a)));
            let Some(source) = source else { return };
            let chains = self.chains([(source, 0)].into_iter());
            let gain = self
                .best_target(&chains, |n| n != source)
                .filter(|(target, cost)| (self.more(*target), *cost) < (self.less(source), 0));
            let Some((target, _)) = gain else {
                settled[source] = Some((0..self.nodes).filter(|n| chains.cost[*n] != FAR).map(pnn).collect());
                continue;
            };
            let touched: NodeSet =
                std::iter::successors(Some(target), |n| chains.previous[*n]).map(pnn).collect();
            self.hand_on(&chains, target);
            self.load[source] -= 1;
            self.load[target] += 1;
            for reach in &mut settled {
                if reach.as_ref().is_some_and(|r| r.intersects(&touched)) {
                    *reach = None;
                }
            }
        }
    }

    /// What one address more on n adds.
    fn more(&self, n: usize) -> Marginal {
        Marginal { change: 2 * self.load[n] + 1, weight: self.weights[n] }
    }

    /// What one address less on n (which has one) takes away.
    fn less(&self, n: usize) -> Marginal {
        Marginal { change: 2 * self.load[n] - 1, weight: self.weights[n] }
    }

    /// The node within reach where one more adds least, then the cheapest chain, then the lowest number.
    fn best_target(&self, chains: &Chains, may: impl Fn(usize) -> bool) -> Option<(usize, i64)> {
        (0..self.nodes)
            .filter(|n| chains.cost[*n] != FAR && may(*n))
            .min_by_key(|n| (self.more(*n), chains.cost[*n]))
            .map(|n| (n, chains.cost[n]))
    }

    /// Shortest chains from the starts (Bellman and Ford with a queue: edges may be negative, rounds are not).
    fn chains(&self, starts: impl Iterator<Item = (usize, i64)>) -> Chains {
        let mut chains = Chains { cost: vec![FAR; self.nodes], previous: vec![None; self.nodes] };
        let mut queue = VecDeque::new();
        let mut queued = vec![false; self.nodes];
        for (n, cost) in starts {
            chains.cost[n] = cost;
            queued[n] = true;
            queue.push_back(n);
        }
        while let Some(n) = queue.pop_front() {
            queued[n] = false;
            let base = chains.cost[n];
            for (m, edge) in self.edges[n * self.nodes..][..self.nodes].iter().enumerate() {
                if edge.cost != FAR && base + edge.cost < chains.cost[m] {
                    chains.cost[m] = base + edge.cost;
                    chains.previous[m] = Some(n);
                    if !queued[m] {
                        queued[m] = true;
                        queue.push_back(m);
                    }
                }
            }
        }
        chains
    }

    /// Hands one address along each edge of the chain that ends at `target`. Answers with the node at which the chain starts.
    fn hand_on(&mut self, chains: &Chains, target: usize) -> usize {
        // All edges are read before the first address moves.
        let mut hops: Vec<(usize, usize, Edge)> = Vec::new();
        let mut at = target;
        while let Some(from) = chains.previous[at] {
            hops.push((from, at, self.edges[from * self.nodes + at]));
            at = from;
        }
        for (from, to, edge) in hops {
            self.put(to, edge.class, 1);
            self.take(from, edge.class);
        }
        at
    }

    /// Addresses of a class come to a node.
    fn put(&mut self, n: usize, class: usize, count: u32) {
        let on = self.on[n].entry(class).or_insert(0);
        *on += count;
        if *on == count {
            self.offer(n, class, Offers::insert);
        }
    }

    /// One address of a class leaves a node.
    fn take(&mut self, n: usize, class: usize) {
        if let Some(count) = self.on[n].get_mut(&class) {
            *count -= 1;
            if *count == 0 {
                self.on[n].remove(&class);
                self.offer(n, class, |offers, offer| offers.remove(&offer));
            }
        }
    }

    /// The node begins or ceases to have addresses of a class to hand on.
    fn offer(&mut self, n: usize, class: usize, change: fn(&mut Offers, (i64, usize)) -> bool) {
        let here = self.classes[class].cost(n);
        for &m in self.classes[class].takers.iter().filter(|m| **m != n) {
            let at = n * self.nodes + m;
            change(&mut self.offers[at], (self.classes[class].cost(m) - here, class));
            self.edges[at] =
                self.offers[at].first().map_or(NO_EDGE, |(cost, class)| Edge { cost: *cost, class: *class });
        }
    }
}
