//! A drained destination gets weight 0 at once and goes when it is quiet or its time has come; nothing else moves.

use super::*;
use crate::model::Service;

const S: Duration = Duration::from_secs(1);

fn id() -> ServiceId {
    "tcp 192.0.2.1:80".parse().unwrap()
}

fn dest(n: u8) -> DestId {
    DestId::new(std::net::IpAddr::from([10, 0, 0, n]), 80)
}

fn table(dests: &[(u8, u32)]) -> Table {
    let dests = dests
        .iter()
        .map(|(n, weight)| (dest(*n), DestSettings { weight: *weight, ..DestSettings::default() }))
        .collect();
    Table { services: [(id(), Service { dests, ..Service::default() })].into() }
}

fn laid(
    drains: &mut Drains,
    desired: &[(u8, u32)],
    actual: &[(u8, u32)],
    conns: Option<u64>,
    now: Duration,
) -> Vec<(u8, u32)> {
    let mut t = table(desired);
    let connections = conns.map(|n| ((id(), dest(2)), n)).into_iter().collect();
    drains.lay_over(&mut t, &table(actual), &connections, now);
    let dests = &t.services[&id()].dests;
    (0..9).filter_map(|n| dests.get(&dest(n)).map(|s| (n, s.weight))).collect()
}

#[test]
fn an_operator_drains_until_quiet_or_late() {
    for (conns, now, gone) in
        [(Some(4), S * 5, false), (Some(0), S * 5, true), (Some(4), S * 10, true), (None, S * 5, false)]
    {
        let mut d = Drains::default();
        d.start(id(), dest(2), DestSettings::default(), S * 10);
        let both = [(1, 1), (2, 1)];
        assert_eq!(
            laid(&mut d, &both, &both, Some(0), S),
            [(1, 1), (2, 0)],
            "not before the kernel has the weight"
        );
        let now_has = laid(&mut d, &both, &[(1, 1), (2, 0)], conns, now);
        assert_eq!(now_has, if gone { vec![(1, 1)] } else { vec![(1, 1), (2, 0)] }, "{conns:?} {now:?}");
        assert_eq!(d.next_deadline(), (!gone).then_some(S * 10));
        if gone {
            assert_eq!(laid(&mut d, &both, &[(1, 1)], None, S * 60), [(1, 1)], "it stays out");
        }
        assert!(d.undrain(id(), dest(2)));
        assert_eq!(laid(&mut d, &both, &[(1, 1)], None, S * 61), both);
    }
}

#[test]
fn what_left_the_configuration_drains_and_is_forgotten() {
    let mut d = Drains::default();
    let all = [(id(), vec![dest(1)])].into();
    d.left(&table(&[(1, 1), (2, 7)]), &all, |_| S * 10);
    assert_eq!(laid(&mut d, &[(1, 1)], &[(1, 1), (2, 7)], Some(3), S), [(1, 1), (2, 0)]);
    assert_eq!(laid(&mut d, &[(1, 1)], &[(1, 1), (2, 0)], Some(3), S * 10), [(1, 1)]);
    assert!(d.all().is_empty());
}

#[test]
fn what_comes_back_is_not_drained() {
    let mut d = Drains::default();
    d.left(&table(&[(1, 1), (2, 7)]), &[(id(), vec![dest(1)])].into(), |_| S * 10);
    d.left(&table(&[(1, 1), (2, 0)]), &[(id(), vec![dest(1), dest(2)])].into(), |_| S * 10);
    assert!(d.all().is_empty());
    d.start(id(), dest(2), DestSettings::default(), S * 10);
    d.left(&table(&[(1, 1)]), &[(id(), vec![dest(1)])].into(), |_| S * 10);
    assert_eq!(laid(&mut d, &[(1, 1)], &[(1, 1), (2, 0)], None, S * 10), [(1, 1)]);
    assert!(
        d.all().is_empty(),
        "an operator's drain of what left the configuration is forgotten when it ends"
    );
    d.start(id(), dest(1), DestSettings::default(), S);
    d.left(&table(&[]), &BTreeMap::new(), |_| S);
    assert!(d.all().is_empty(), "the service went, and its drains with it");
}
