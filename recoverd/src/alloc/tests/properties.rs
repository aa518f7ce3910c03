//! What holds for every algorithm and every input.

use super::super::{Reason, Vacancy, allocate};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn input_order_does_not_matter(mut p in problems(6, 20), algorithm in any_algorithm(), turn in 0..20_usize) {
        p.algorithm = algorithm;
        let answer = allocate(&p);
        p.addrs.reverse();
        prop_assert_eq!(&allocate(&p), &answer);
        let turn = turn.min(p.addrs.len());
        p.addrs.rotate_left(turn);
        prop_assert_eq!(&allocate(&p), &answer);
        let keys: Vec<_> = answer.owners.iter().map(|a| std::cmp::Reverse(addr_key(a.addr))).collect();
        prop_assert!(keys.is_sorted(), "descending: {keys:?}");
    }

    #[test]
    fn owners_can_host_and_nothing_hostable_is_left(mut p in problems(6, 20), algorithm in any_algorithm()) {
        p.algorithm = algorithm;
        let answer = allocate(&p);
        prop_assert_eq!(answer.owners.len(), p.addrs.len());
        for decided in &answer.owners {
            let asked = p.addrs.iter().find(|a| a.addr == decided.addr).unwrap();
            prop_assert_eq!(decided.from, asked.owner);
            match decided.to {
                Some(n) => prop_assert!(n.0 < p.num_nodes && asked.available.contains(n), "{decided:?}"),
                None => prop_assert!(asked.available.is_empty() || p.no_ip_takeover, "{decided:?}"),
            }
            prop_assert_eq!(decided.to.is_none(), answer.unallocatable.contains(&decided.addr));
        }
    }

    #[test]
    fn the_switches_hold(mut p in problems(6, 20), algorithm in 1..4_u32) {
        p.algorithm = Algorithm::from_tunable(algorithm);
        for decided in allocate(&p).owners {
            let asked = p.addrs.iter().find(|a| a.addr == decided.addr).unwrap();
            let suitable = asked.owner.filter(|o| asked.available.contains(*o));
            if p.no_ip_takeover {
                prop_assert_eq!(decided.to, suitable);
            } else if p.no_ip_failback && suitable.is_some() {
                prop_assert_eq!(decided.to, suitable);
            }
        }
    }

    #[test]
    fn reasons_fit_the_outcome(mut p in problems(6, 20), algorithm in any_algorithm()) {
        p.algorithm = algorithm;
        for a in allocate(&p).owners {
            let vacancy = match a.reason {
                Reason::NobodyCanHost { vacancy } | Reason::NoIpTakeover { vacancy } => {
                    prop_assert_eq!(a.to, None);
                    Some(vacancy)
                }
                Reason::Kept => {
                    prop_assert!(a.to.is_some() && a.to == a.from, "{a:?}");
                    None
                }
                Reason::FewestAddresses { vacancy, .. } | Reason::LeastAlike { vacancy, .. } | Reason::EvenShare { vacancy, .. } => Some(vacancy),
                _ => None,
            };
            match vacancy {
                Some(Vacancy::OwnerCannotHost(n)) => prop_assert_eq!(Some(n), a.from),
                Some(Vacancy::Unassigned) => prop_assert!(a.from.is_none(), "{a:?}"),
                _ => {}
            }
            if let Reason::Evened { .. } = a.reason {
                prop_assert!(a.from.is_some() && a.to != a.from, "{a:?}");
            }
            let clause = a.reason.to_string();
            prop_assert!(!clause.is_empty() && !clause.ends_with('.'));
            prop_assert_eq!(serde_json::from_str::<Reason>(&serde_json::to_string(&a.reason).unwrap()).unwrap(), a.reason);
        }
    }
}
