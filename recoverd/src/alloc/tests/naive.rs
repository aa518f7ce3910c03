//! A straightforward reading of SEMANTICS A.3 to A.6, with nothing kept between steps: what the engine must agree with.

use super::super::{Algorithm, Problem, Step, allocate};
use super::*;

struct Naive<'a> {
    p: &'a Problem,
    list: Vec<&'a AddrState>,
    owner: Vec<Option<u32>>,
    trace: Vec<Step>,
}

impl Naive<'_> {
    fn can_host(&self, n: u32, i: usize) -> bool {
        n < self.p.num_nodes && self.list[i].available.contains(Pnn(n))
    }

    fn can_take(&self, n: u32, i: usize) -> bool {
        !self.p.no_ip_takeover && self.can_host(n, i)
    }

    fn count(&self, n: u32) -> usize {
        self.owner.iter().filter(|o| **o == Some(n)).count()
    }

    fn drop_unsuitable(&mut self) {
        for i in 0..self.list.len() {
            if self.owner[i].is_some_and(|o| !self.can_host(o, i)) {
                self.owner[i] = None;
            }
        }
    }

    fn find_node(&mut self, i: usize) {
        let mut best: Option<u32> = None;
        for n in 0..self.p.num_nodes {
            if self.can_take(n, i) && best.is_none_or(|b| self.count(n) < self.count(b)) {
                best = Some(n);
            }
        }
        if best.is_some() {
            self.owner[i] = best;
        }
    }

    fn fill(&mut self) {
        for i in 0..self.list.len() {
            if self.owner[i].is_none() {
                self.find_node(i);
            }
        }
    }

    fn deterministic(&mut self) {
        for i in 0..self.list.len() {
            let home = self.p.home_nodes.get(self.list[i].addr).filter(|h| h.0 < self.p.num_nodes);
            self.owner[i] = Some(home.map_or(i as u32 % self.p.num_nodes, |h| h.0));
        }
        self.drop_unsuitable();
        self.fill();
    }

    fn nondeterministic(&mut self) {
        self.drop_unsuitable();
        self.fill();
        if self.p.no_ip_failback {
            return;
        }
        let limit = self.list.len() + 5;
        let mut retries = 0;
        'restart: loop {
            for t in 0..self.list.len() {
                let takers: Vec<u32> = (0..self.p.num_nodes).filter(|n| self.can_take(*n, t)).collect();
                if self.owner[t].is_none() || takers.is_empty() {
                    continue;
                }
                let (mut max, mut min) = (takers[0], takers[0]);
                for &n in &takers {
                    if self.count(n) > self.count(max) {
                        max = n;
                    }
                    if self.count(n) < self.count(min) {
                        min = n;
                    }
                }
                if self.count(max) > self.count(min) + 1 && retries < limit {
                    let x = self.owner.iter().position(|o| *o == Some(max)).unwrap();
                    self.find_node(x);
                    retries += 1;
                    continue 'restart;
                }
            }
            return;
        }
    }

    fn weight(&self, i: usize, j: usize) -> u64 {
        let (a, b) = (key(self.list[i]).words(), key(self.list[j]).words());
        let bits: u64 = (0..4).map(|w| u64::from((a[w] ^ b[w]).leading_zeros())).sum();
        bits * bits
    }

    fn sum(&self, i: usize, n: u32) -> u64 {
        (0..self.list.len()).filter(|j| *j != i && self.owner[*j] == Some(n)).map(|j| self.weight(i, j)).sum()
    }

    fn imbalance(&self, n: u32) -> u64 {
        let on: Vec<usize> = (0..self.list.len()).filter(|j| self.owner[*j] == Some(n)).collect();
        on.iter()
            .enumerate()
            .flat_map(|(k, i)| on[..k].iter().map(move |j| (*i, *j)))
            .map(|(i, j)| self.weight(i, j))
            .sum()
    }

    fn lcp2(&mut self) {
        self.drop_unsuitable();
        let nodes = self.p.num_nodes;
        let candidate: Vec<bool> =
            (0..nodes).map(|n| self.count(n) == 0 || self.p.force_rebalance.contains(&Pnn(n))).collect();
        loop {
            let mut best: Option<(u64, usize, u32)> = None;
            for i in 0..self.list.len() {
                for n in 0..nodes {
                    if self.owner[i].is_none() && self.can_take(n, i) {
                        let s = self.sum(i, n);
                        if best.is_none_or(|b| s < b.0) {
                            best = Some((s, i, n));
                        }
                    }
                }
            }
            let Some((cost, i, n)) = best else { break };
            self.owner[i] = Some(n);
            self.trace.push(Step::Assign { addr: self.list[i].addr, to: Pnn(n), cost });
        }
        if self.p.no_ip_failback || !candidate.contains(&true) {
            return;
        }
        while self.rebalance_once(&candidate) {}
    }

    fn rebalance_once(&mut self, candidate: &[bool]) -> bool {
        let mut order: Vec<u32> = (0..self.p.num_nodes).collect();
        order.sort_by_key(|n| std::cmp::Reverse(self.imbalance(*n)));
        for src in order {
            let at_src = self.imbalance(src);
            if at_src == 0 {
                return false;
            }
            let mut best: Option<(u64, usize, u32)> = None;
            for i in 0..self.list.len() {
                for dst in 0..self.p.num_nodes {
                    if self.owner[i] != Some(src) || !candidate[dst as usize] || !self.can_take(dst, i) {
                        continue;
                    }
                    let (gain, cost, at_dst) = (self.sum(i, src), self.sum(i, dst), self.imbalance(dst));
                    let total = (at_src - gain) + (at_dst + cost);
                    if at_dst + cost < at_src && cost < gain && best.is_none_or(|b| total < b.0) {
                        best = Some((total, i, dst));
                    }
                }
            }
            if let Some((_, i, dst)) = best {
                let (gain, cost) = (self.sum(i, src), self.sum(i, dst));
                self.owner[i] = Some(dst);
                self.trace.push(Step::Move {
                    addr: self.list[i].addr,
                    from: Pnn(src),
                    gain,
                    to: Pnn(dst),
                    cost,
                });
                return true;
            }
        }
        false
    }
}

fn solve(p: &Problem) -> (Vec<Option<u32>>, Vec<Step>) {
    let mut list: Vec<&AddrState> = p.addrs.iter().collect();
    list.sort_by_key(|a| std::cmp::Reverse(key(a)));
    let owner = list.iter().map(|a| a.owner.map(|n| n.0)).collect();
    let mut naive = Naive { p, list, owner, trace: vec![] };
    match p.algorithm {
        Algorithm::Deterministic => naive.deterministic(),
        Algorithm::NonDeterministic => naive.nondeterministic(),
        _ => naive.lcp2(),
    }
    (naive.owner, naive.trace)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_a_naive_reading(mut p in problems(6, 24), algorithm in 0..3_u32) {
        p.algorithm = Algorithm::from_tunable(algorithm);
        let answer = allocate(&p);
        let (expected, trace) = solve(&p);
        prop_assert_eq!(owners(&answer), expected);
        prop_assert_eq!(answer.trace, trace);
    }
}
