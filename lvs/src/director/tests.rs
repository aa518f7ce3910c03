//! The director against a model kernel: faults stay where they are, reloads change what changed, and the table is what is wanted.

use super::*;
use crate::config::load;
use crate::diff::{Change, diff};
use crate::testkit::{Host, Kernel};
use proptest::prelude::*;

const S: Duration = Duration::from_secs(1);

fn config(text: &str) -> Config {
    load("vs.conf", &Host::of(text)).unwrap_or_else(|e| panic!("{e:#?}")).0
}

/// `192.0.2.1:80` with real servers `10.0.0.N`, each with one TCP check without warm-up.
fn web(lines: &str, servers: &[u8]) -> Config {
    let servers: String = servers
        .iter()
        .map(|n| format!("real_server 10.0.0.{n} 80 {{\nTCP_CHECK {{\nwarmup 0\nretry 0\n}}\n}}\n"))
        .collect();
    config(&format!("virtual_server 192.0.2.1 80 {{\ndelay_loop 10\n{lines}\n{servers}}}"))
}

/// A director, its kernel, and what is running.
struct Rig {
    director: Director,
    kernel: Kernel,
    probes: BTreeMap<CheckerId, (u64, IpAddr)>,
    now: Duration,
    events: Vec<Event>,
}

impl Rig {
    fn new(config: Config) -> Self {
        let mut rig = Self {
            director: Director::new(1, BTreeSet::new()),
            kernel: Kernel::default(),
            probes: BTreeMap::new(),
            now: S,
            events: Vec::new(),
        };
        rig.reload(config);
        rig
    }

    fn reload(&mut self, config: Config) -> Vec<Change> {
        let actions = self.director.reload(config, self.now);
        self.perform(actions)
    }

    fn tell(&mut self, fact: Fact) -> Vec<Change> {
        let actions = self.director.handle(fact, self.now);
        self.perform(actions)
    }

    /// Does what is asked and brings the kernel to what is wanted; the requests that it took.
    fn perform(&mut self, actions: Vec<Action>) -> Vec<Change> {
        for action in actions {
            match action {
                Action::Probe { checker, probe, check } => {
                    self.probes.insert(checker, (probe, check.target.addr));
                }
                Action::Abort { checker, probe } => {
                    assert_eq!(self.probes.remove(&checker).map(|p| p.0), Some(probe))
                }
                Action::Happened(event) => self.events.push(event),
                Action::Log { .. } => {}
            }
        }
        let connections = Connections::new();
        let desired = self.director.desired(self.kernel.table(), &connections, self.now);
        let changes = diff(&desired, self.kernel.table(), self.director.owned());
        for change in &changes {
            self.kernel.apply(change).unwrap_or_else(|e| panic!("{change}: errno {e}"));
        }
        assert_eq!(self.kernel.table(), &desired);
        changes
    }

    /// Lets every due probe run; `10.0.0.N` passes unless N is among the broken.
    fn round(&mut self, broken: &[u8]) -> Vec<Change> {
        self.now += S * 10;
        let mut changes = self.tell(Fact::Tick);
        for (checker, (probe, addr)) in std::mem::take(&mut self.probes) {
            let pass = !broken.iter().any(|n| addr == IpAddr::from([10, 0, 0, *n]));
            let result = ProbeResult { pass, reason: "r".to_owned(), status: None };
            changes.extend(self.tell(Fact::Result { checker, probe, result }));
        }
        changes
    }
}

fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

/// R0-2: fail, remove, recover, again and again: one request each, and the table is what is wanted after each.
#[test]
fn a_server_goes_and_comes() {
    let mut rig = Rig::new(web("lvs_method DR", &[1, 2]));
    for _ in 0..3 {
        assert_eq!(texts(&rig.round(&[2])), ["delete 10.0.0.2:80 from tcp 192.0.2.1:80"]);
        assert_eq!(texts(&rig.round(&[2])), [""; 0]);
        assert_eq!(texts(&rig.round(&[])), ["add 10.0.0.2:80 (DR, weight 1) to tcp 192.0.2.1:80"]);
    }
    let said: Vec<_> = rig.events.iter().map(|e| (e.server.clone(), e.up)).collect();
    let server = |up| (Some("10.0.0.2:80".to_owned()), up);
    assert_eq!(
        said,
        [(None, true), server(false), server(true), server(false), server(true), server(false), server(true)]
    );
}

/// R0-4: a dead checker touches nothing, and the others go on.
#[test]
fn a_dead_checker_is_nobody_elses_trouble() {
    let mut rig = Rig::new(web("", &[1, 2]));
    rig.tell(Fact::Tick);
    let (first, (probe, _)) = rig.probes.pop_first().unwrap();
    assert_eq!(rig.tell(Fact::Died { checker: first, probe, why: "killed".to_owned() }), []);
    assert_eq!(texts(&rig.round(&[2])), ["delete 10.0.0.2:80 from tcp 192.0.2.1:80"]);
    let mut rig = Rig::new(web("", &[1, 2]));
    rig.tell(Fact::Tick);
    let (first, (probe, _)) = rig.probes.pop_first().unwrap();
    rig.tell(Fact::Died { checker: first, probe, why: "killed".to_owned() });
    let view = rig.director.view();
    let server = &view[0].servers[0];
    assert_eq!((server.state, server.up), (checker::State::Unknown, true));
    assert_eq!(server.reason, "error: the check does not run: killed");
}

/// R1-4: what did not change is not touched, its checkers go on with their probes, and a weight is one edit.
#[test]
fn a_reload_changes_what_changed() {
    let mut rig = Rig::new(web("", &[1, 2, 3]));
    rig.round(&[2]);
    rig.now += S * 10;
    rig.tell(Fact::Tick);
    let running = rig.probes.clone();
    assert_eq!(rig.reload(web("", &[1, 2, 3])), []);
    assert_eq!(rig.reload(web("# moved\n\n", &[3, 2, 1])), [], "order and lines do not matter");
    assert_eq!(rig.probes, running);
    let up: Vec<bool> = rig.director.view()[0].servers.iter().map(|s| s.up).collect();
    assert_eq!(up, [true, false, true], "2 is still down");
    let mut heavier = web("", &[1, 2, 3]);
    heavier.virtual_servers[0].real_servers[0].weight = 5;
    assert_eq!(texts(&rig.reload(heavier)), ["change 10.0.0.1:80 (NAT, weight 5) of tcp 192.0.2.1:80"]);
    assert_eq!(
        texts(&rig.reload(web("lvs_sched rr", &[1, 2, 3]))),
        ["change service tcp 192.0.2.1:80 (rr)", "change 10.0.0.1:80 (NAT, weight 1) of tcp 192.0.2.1:80"]
    );
    let slower = web("lvs_sched rr\ndelay_before_retry 9", &[1, 2, 3]);
    assert_eq!(rig.reload(slower), [], "another check, but the server stays as it was");
    assert!(rig.probes.is_empty(), "probes of the old checks are ended");
    assert_eq!(texts(&rig.reload(Config::default())), ["delete service tcp 192.0.2.1:80"]);
}

/// What leaves the configuration drains when there is a drain_timeout, and goes at once otherwise.
#[test]
fn leaving_servers_drain() {
    let mut rig = Rig::new(web("drain_timeout 30", &[1, 2]));
    assert_eq!(
        texts(&rig.reload(web("drain_timeout 30", &[1]))),
        ["change 10.0.0.2:80 (NAT, weight 0) of tcp 192.0.2.1:80"]
    );
    rig.now += S * 29;
    assert_eq!(rig.tell(Fact::Tick), []);
    assert_eq!(rig.director.drains().next_deadline(), Some(S * 31));
    rig.now += S;
    assert_eq!(texts(&rig.tell(Fact::Tick)), ["delete 10.0.0.2:80 from tcp 192.0.2.1:80"]);
    let mut rig = Rig::new(web("", &[1, 2]));
    assert_eq!(texts(&rig.reload(web("", &[1]))), ["delete 10.0.0.2:80 from tcp 192.0.2.1:80"]);
}

#[test]
fn an_operator_drains() {
    let mut rig = Rig::new(web("", &[1, 2]));
    let (service, dest): (ServiceId, DestId) =
        ("tcp 192.0.2.1:80".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    assert!(!rig.director.drain(service, "10.0.0.9:80".parse().unwrap(), S));
    assert!(rig.director.drain(service, dest, S * 500));
    assert_eq!(texts(&rig.tell(Fact::Tick)), ["change 10.0.0.2:80 (NAT, weight 0) of tcp 192.0.2.1:80"]);
    assert!(rig.director.undrain(service, dest));
    assert_eq!(texts(&rig.tell(Fact::Tick)), ["change 10.0.0.2:80 (NAT, weight 1) of tcp 192.0.2.1:80"]);
}

/// Only what still means something goes on in another life.
#[test]
fn drains_of_an_earlier_director_go_on() {
    let mut rig = Rig::new(web("", &[1, 2]));
    let service: ServiceId = "tcp 192.0.2.1:80".parse().unwrap();
    let dest = |n: u32| -> DestId { format!("10.0.0.{n}:80").parse().unwrap() };
    let drain = |by_operator| Drain {
        deadline: S * 500,
        settings: DestSettings::default(),
        by_operator,
        ended: false,
    };
    assert!(!rig.director.restore_drain(service, dest(9), drain(true)), "it is not configured any more");
    assert!(!rig.director.restore_drain(service, dest(1), drain(false)), "it is configured again");
    let gone = "tcp 192.0.2.9:80".parse().unwrap();
    assert!(!rig.director.restore_drain(gone, dest(9), drain(false)), "there is no such service");
    assert_eq!(rig.tell(Fact::Tick), []);
    assert!(rig.director.restore_drain(service, dest(2), drain(true)));
    assert!(rig.director.restore_drain(service, dest(9), drain(false)));
    assert_eq!(texts(&rig.tell(Fact::Tick)), ["change 10.0.0.2:80 (NAT, weight 0) of tcp 192.0.2.1:80"]);
    assert_eq!(
        rig.director.drains().all().len(),
        1,
        "what left the configuration is gone from the kernel, too"
    );
}

#[test]
fn checks_rest_where_the_address_is_not() {
    let here: BTreeSet<IpAddr> = ["192.0.2.1".parse().unwrap()].into();
    for (lines, rests) in [("ha_suspend", true), ("", false)] {
        let mut rig = Rig::new(web(lines, &[1]));
        rig.tell(Fact::Addresses(BTreeSet::new()));
        rig.tell(Fact::Tick);
        assert_eq!(rig.probes.is_empty(), rests, "{lines:?}");
        rig.tell(Fact::Addresses(here.clone()));
        rig.tell(Fact::Tick);
        assert_eq!(rig.probes.len(), 1);
        rig.tell(Fact::Addresses(BTreeSet::new()));
        assert_eq!(rig.probes.is_empty(), rests);
        rig.reload(web(lines, &[1, 2]));
        rig.tell(Fact::Tick);
        assert_eq!(rig.probes.is_empty(), rests, "a new server's checks rest with the others");
    }
}

/// What an earlier director left is removed; what others made, before or after, is not.
#[test]
fn only_ours_is_removed() {
    let ids: Vec<ServiceId> = (1..=3).map(|n| format!("tcp 192.0.2.{n}:80").parse().unwrap()).collect();
    let full = Table { services: ids.iter().map(|id| (*id, Default::default())).collect() };
    let mut d = Director::new(1, [ids[0]].into());
    let desired = d.desired(&full, &Connections::new(), S);
    let changes = diff(&desired, &full, d.owned());
    assert_eq!(changes, [Change::DelService { service: ids[0] }]);
    d.desired(&Table::new(), &Connections::new(), S);
    assert!(d.owned().is_empty(), "it is gone; one that comes under its name is another's");
}

proptest! {
    /// Random healths, deaths and reloads: the model kernel always has what is wanted (asserted in `perform`), and no service that
    /// stays is deleted or added.
    #[test]
    fn histories(steps in proptest::collection::vec((0u8..6, 0u8..8, any::<bool>()), 1..40)) {
        let mut rig = Rig::new(web("quorum 2\nsorry_server 10.0.0.99 80", &[1, 2, 3]));
        for (what, bits, flag) in steps {
            let some: Vec<u8> = (1..=3).filter(|n| bits & (1 << (n - 1)) != 0).collect();
            let changes = match what {
                0..=2 => rig.round(&some),
                3 => {
                    let lines = if flag { "drain_timeout 25" } else { "inhibit_on_failure" };
                    rig.reload(web(lines, &some))
                }
                4 => {
                    rig.now += S * 10;
                    rig.tell(Fact::Tick);
                    match rig.probes.pop_first() {
                        Some((checker, (probe, _))) => rig.tell(Fact::Died { checker, probe, why: "w".to_owned() }),
                        None => vec![],
                    }
                }
                _ => {
                    rig.now += S * u32::from(bits);
                    rig.tell(Fact::Tick)
                }
            };
            let rebuilt = changes.iter().any(|c| matches!(c, Change::AddService { .. } | Change::DelService { .. }));
            prop_assert!(!rebuilt);
        }
    }
}
