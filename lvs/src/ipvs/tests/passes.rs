//! What a pass makes of refusals: R0-2, R0-3, R0-4, R0-6 on a table in memory. The same runs on a real kernel in `tests/kernel`.

use super::*;

const EINVAL: i32 = 22;
const NOW: Duration = Duration::from_secs(100);

fn dest(n: u8) -> (DestId, DestSettings) {
    (
        DestId::new(IpAddr::from([10, 0, 0, n]), 80),
        DestSettings { forward: Forward::Dr, ..DestSettings::default() },
    )
}

fn table(dests: &[u8]) -> Table {
    let service = Service { dests: dests.iter().map(|n| dest(*n)).collect(), ..Service::default() };
    Table { services: [(web(), service)].into() }
}

fn run(fake: &mut Fake, reconciler: &mut Reconciler, desired: &Table, now: Duration) -> Vec<Answer> {
    let reading = fake.read().unwrap();
    pass(fake, reconciler, desired, &reading.table, &BTreeSet::from([web()]), now)
}

#[test]
fn one_refused_destination_is_alone_with_it() {
    let (mut fake, mut reconciler) = (Fake::default(), Reconciler::default());
    fake.faults.insert(Object { service: web(), dest: Some(dest(2).0) }, EINVAL);
    let answers = run(&mut fake, &mut reconciler, &table(&[1, 2, 3]), NOW);
    let refused: Vec<_> = answers.iter().filter(|a| matches!(a.outcome, Outcome::Refused { .. })).collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].is_news());
    assert_eq!(
        refused[0].to_string(),
        "add 10.0.0.2:80 (DR, weight 1) to tcp 192.0.2.1:80: refused: EINVAL (errno 22): Invalid argument; only this is affected, \
         trying again"
    );
    assert_eq!(fake.table, table(&[1, 3]));
    // It waits, and nothing else is sent meanwhile.
    assert_eq!(run(&mut fake, &mut reconciler, &table(&[1, 2, 3]), NOW), []);
    let due = reconciler.next_deadline().unwrap();
    let again = run(&mut fake, &mut reconciler, &table(&[1, 2, 3]), due);
    assert!(!again[0].is_news(), "said once");
    fake.faults.clear();
    let due = reconciler.next_deadline().unwrap();
    run(&mut fake, &mut reconciler, &table(&[1, 2, 3]), due);
    assert_eq!(fake.table, table(&[1, 2, 3]));
    assert!(reconciler.failures().is_empty());
}

#[test]
fn what_is_gone_already_is_done() {
    let (mut fake, mut reconciler) =
        (Fake { table: table(&[1, 2]), ..Fake::default() }, Reconciler::default());
    let actual = fake.read().unwrap().table;
    fake.table = table(&[1]);
    let answers = pass(&mut fake, &mut reconciler, &table(&[1]), &actual, &BTreeSet::from([web()]), NOW);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert!(answer.is_news());
    assert_eq!(
        answer.to_string(),
        "delete 10.0.0.2:80 from tcp 192.0.2.1:80: was not there any more, so it is done; ENOENT (errno 2): No such file or directory"
    );
    assert_eq!(fake.table, table(&[1]));
    assert!(reconciler.failures().is_empty());
}

#[test]
fn a_refused_service_keeps_its_destinations_back() {
    let (mut fake, mut reconciler) = (Fake::default(), Reconciler::default());
    let other = ServiceId::Fwmark { mark: 1, family: Family::Inet };
    let mut desired = table(&[1, 2]);
    desired.services.insert(other, Service::default());
    fake.faults.insert(Object { service: web(), dest: None }, 1);
    let answers = run(&mut fake, &mut reconciler, &desired, NOW);
    let skipped = answers.iter().filter(|a| a.outcome == Outcome::Skipped).count();
    assert_eq!((answers.len(), skipped), (4, 2));
    assert!(fake.table.services.contains_key(&other));
}

#[test]
fn what_others_added_meanwhile_gets_our_settings() {
    let (mut fake, mut reconciler) = (Fake::default(), Reconciler::default());
    fake.table = table(&[1]);
    let answers = pass(&mut fake, &mut reconciler, &table(&[1]), &Table::new(), &BTreeSet::new(), NOW);
    assert!(answers.iter().all(|a| a.outcome == Outcome::Adopted), "{answers:?}");
    assert_eq!(diff(&table(&[1]), &fake.table, &BTreeSet::new()), []);
}

#[test]
fn a_reading_says_its_connections_and_is_json() {
    let mut fake = Fake { table: table(&[1, 2]), ..Fake::default() };
    let counters = DestCounters { active: 2, inactive: 3, ..DestCounters::default() };
    fake.counters.insert((web(), dest(1).0), counters);
    let reading = fake.read().unwrap();
    assert_eq!(reading.connections().get(&(web(), dest(1).0)), Some(&5));
    assert_eq!(reading.connections().get(&(web(), dest(2).0)), Some(&0));
    let json = serde_json::to_string(&reading).unwrap();
    assert_eq!(serde_json::from_str::<Reading>(&json).unwrap(), reading);
}
