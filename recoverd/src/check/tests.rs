//! Each rule alone. That every real plan passes and spoilt ones do not is a property test of the takeover run.

use super::*;
use crate::control::{NodeInfo, PublicIp};
use crate::model::{Epoch, RunId, RunState};

const ADDR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// Node 0 has the address, nodes 0 to 2 can host it, node 3 cannot, node 4 is disconnected and has it too.
fn snapshot() -> Snapshot {
    let mut s = Snapshot::default();
    for n in 0..5 {
        let flags = if n == 4 { NodeFlags::DISCONNECTED } else { NodeFlags::NONE };
        s.nodes.push(NodeInfo { pnn: Pnn(n), flags, runstate: RunState::Running });
        let has = n == 0 || n == 4;
        let ip = PublicIp {
            addr: ADDR,
            owner: has.then_some(Pnn(n)),
            held: has,
            unavailable: None,
            ifaces: Vec::new(),
        };
        s.set_known(Pnn(n), vec![ip.clone()]);
        if n < 3 {
            s.set_available(Pnn(n), &[ip]);
        }
    }
    s
}

/// The address goes from node 0 to node 1.
fn good() -> Plan {
    Plan {
        id: RunId { epoch: Epoch::NONE, count: 1 },
        releases: [(Pnn(0), vec![(ADDR, Some(Pnn(1)))])].into(),
        takeovers: [(Pnn(1), vec![ADDR])].into(),
        moves: Vec::new(),
        owners: vec![(ADDR, Some(Pnn(1)))],
        unallocatable: Vec::new(),
    }
}

fn spoilt(spoil: impl Fn(&mut Plan)) -> Vec<Violation> {
    let mut plan = good();
    spoil(&mut plan);
    check(&plan, &snapshot())
}

#[test]
fn a_good_plan_passes() {
    assert_eq!(spoilt(|_| {}), []);
}

#[test]
fn each_rule_is_seen() {
    let (addr, first, second) = (ADDR, Pnn(1), Pnn(2));
    let twice = Violation::GivenTwice { addr, first, second };
    assert!(spoilt(|p| drop(p.takeovers.insert(Pnn(2), vec![ADDR]))).contains(&twice));
    assert!(spoilt(|p| p.owners.push((ADDR, Some(Pnn(2))))).contains(&twice));
    assert_eq!(spoilt(|p| p.releases.clear()), [Violation::NotReleased { addr, node: Pnn(0) }]);
    assert_eq!(spoilt(|p| p.takeovers.clear()), [Violation::NotTaken { addr, node: Pnn(1) }]);
    assert_eq!(
        spoilt(|p| p.owners.clear()).iter().filter(|v| **v == Violation::Forgotten { addr }).count(),
        5
    );
    let wrong = Violation::WrongNewOwner { addr, node: Pnn(0) };
    assert_eq!(spoilt(|p| drop(p.releases.insert(Pnn(0), vec![(ADDR, None)]))), [wrong]);
    let own = Violation::ReleasedByOwner { addr, node: Pnn(1) };
    assert_eq!(spoilt(|p| drop(p.releases.insert(Pnn(1), vec![(ADDR, Some(Pnn(1)))]))), [own]);
    let unable = spoilt(|p| {
        p.owners = vec![(ADDR, Some(Pnn(3)))];
        p.releases = [(Pnn(0), vec![(ADDR, Some(Pnn(3)))])].into();
        p.takeovers = [(Pnn(3), vec![ADDR])].into();
    });
    assert_eq!(unable, [Violation::CannotHost { addr, node: Pnn(3) }]);
    let other = spoilt(|p| p.takeovers = [(Pnn(2), vec![ADDR])].into());
    assert!(other.contains(&Violation::TakenByOther { addr, node: Pnn(2) }));
    let gone = spoilt(|p| drop(p.releases.insert(Pnn(4), vec![(ADDR, Some(Pnn(1)))])));
    assert_eq!(gone, [Violation::NotConnected { addr, node: Pnn(4) }]);
}
