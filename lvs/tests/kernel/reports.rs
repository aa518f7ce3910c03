//! The field reports' failures on a real kernel: R0-2, R0-3, R0-4, R0-6, R1-4, R3-4.

use crate::net::{alone, ipvsadm, others, read, run, wait_for};
use crate::table::{dest, id, settings, table};
use lvs::checker::ProbeResult;
use lvs::config::{Config, Surroundings};
use lvs::diff::Change;
use lvs::director::{Action, Director, Fact};
use lvs::ipvs::{Answer, Ipvs, Kernel, Outcome, pass};
use lvs::model::*;
use lvs::reconcile::Reconciler;
use std::collections::BTreeSet;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

/// A host that is nothing but one configuration.
struct Text(&'static str);

impl Surroundings for Text {
    fn read(&self, _: &str) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
    fn expand(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    fn executable(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn service_port(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }
    fn account(&self, _: Option<&str>, _: Option<&str>) -> Result<(), String> {
        Ok(())
    }
}

pub(crate) fn config(text: &'static str) -> Config {
    lvs::config::load("vs.conf", &Text(text)).unwrap_or_else(|e| panic!("{e:#?}")).0
}

/// Director and kernel together, as the daemon has them.
struct Daemon {
    kernel: Kernel,
    director: Director,
    reconciler: Reconciler,
    now: Duration,
}

impl Daemon {
    fn new(text: &'static str) -> Self {
        let kernel = Kernel::open().expect("IPVS");
        let mut director = Director::new(1, BTreeSet::new());
        director.reload(config(text), Duration::ZERO);
        Self { kernel, director, reconciler: Reconciler::default(), now: Duration::ZERO }
    }

    fn pass(&mut self) -> Vec<Answer> {
        let reading = self.kernel.read().expect("the table");
        let desired = self.director.desired(&reading.table, &reading.connections(), self.now);
        let owned = self.director.owned().clone();
        pass(&mut self.kernel, &mut self.reconciler, &desired, &reading.table, &owned, self.now)
    }

    /// Lets time pass; each probe gets the result that `judge` has for the address that it is to connect to.
    fn probe(&mut self, judge: impl Fn(&str) -> bool) {
        for _ in 0..6 {
            self.now += S * 10;
            for action in self.director.handle(Fact::Tick, self.now) {
                if let Action::Probe { checker, probe, check } = action {
                    let at = format!("{}:{}", check.target.addr, check.target.port);
                    let result =
                        ProbeResult { pass: judge(&at), reason: "said by the test".to_owned(), status: None };
                    self.director.handle(Fact::Result { checker, probe, result }, self.now);
                }
            }
        }
    }
}

const TWO_METHODS: &str = "
virtual_server 192.0.2.1 80 {
    delay_loop 5
    lvs_method DR
    real_server 10.0.0.1 80 { TCP_CHECK
    }
    real_server 10.0.0.2 8080 { lvs_method NAT
        TCP_CHECK
    }
    real_server 10.0.0.3 { lvs_method TUN
        inhibit_on_failure
        TCP_CHECK
    }
}";

/// R0-2. Whatever port was added is the port that is deleted, for every method.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r0_2_fail_and_recover_cycles_are_exact() {
    alone(|| {
        let mut d = Daemon::new(TWO_METHODS);
        assert!(d.pass().iter().all(|a| a.outcome == Outcome::Done));
        let service = "-A -t 192.0.2.1:80 -s wlc".to_owned();
        let line = |real: &str| format!("-a -t 192.0.2.1:80 -r {real}");
        let all = [
            service.clone(),
            line("10.0.0.1:80 -g -w 1"),
            line("10.0.0.2:8080 -m -w 1"),
            line("10.0.0.3:80 -i -w 1 --tun-type ipip"),
        ];
        assert_eq!(ipvsadm(), all);
        for round in 0..5 {
            d.probe(|at| at == "10.0.0.9:1");
            let answers = d.pass();
            assert!(answers.iter().all(|a| a.outcome == Outcome::Done), "{round}: {answers:#?}");
            assert_eq!(ipvsadm(), [service.clone(), line("10.0.0.3:80 -i -w 0 --tun-type ipip")], "{round}");
            d.probe(|at| at != "10.0.0.1:80");
            assert!(d.pass().iter().all(|a| a.outcome == Outcome::Done));
            assert_eq!(ipvsadm(), [service.clone(), all[2].clone(), all[3].clone()], "{round}");
            d.probe(|_| true);
            assert!(d.pass().iter().all(|a| a.outcome == Outcome::Done));
            assert_eq!(ipvsadm(), all, "{round}");
            assert_eq!(d.pass(), [], "{round}");
        }
    });
}

/// R0-3. Somebody was quicker: the destination is gone already.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r0_3_a_destination_that_is_gone_is_done() {
    alone(|| {
        let mut kernel = Kernel::open().expect("IPVS");
        let web = id("tcp 192.0.2.1:80");
        let three = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"].map(|d| dest(d, Forward::Dr, 1));
        crate::net::converge(&mut kernel, &table([(web, settings("rr"), three.to_vec())]));
        let wanted = table([(web, settings("rr"), vec![three[0], three[2]])]);
        let actual = read(&mut kernel);
        others("-d -t 192.0.2.1:80 -r 10.0.0.2:80\n");
        let mut reconciler = Reconciler::default();
        let answers = pass(&mut kernel, &mut reconciler, &wanted, &actual, &BTreeSet::from([web]), S);
        let [answer] = &answers[..] else { panic!("{answers:#?}") };
        assert!(answer.is_news());
        assert_eq!(
            answer.to_string(),
            "delete 10.0.0.2:80 from tcp 192.0.2.1:80: was not there any more, so it is done; ENOENT (errno 2): No such file or directory"
        );
        assert_eq!(read(&mut kernel), wanted);
        let actual = read(&mut kernel);
        assert_eq!(
            pass(&mut kernel, &mut reconciler, &wanted, &actual, &BTreeSet::from([web]), S),
            [],
            "once"
        );
    });
}

/// R0-4, R0-6. The kernel refuses one destination (a multicast address): the others serve, it is tried again with back-off.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r0_4_one_refused_destination_is_alone_with_it() {
    alone(|| {
        let mut kernel = Kernel::open().expect("IPVS");
        let web = id("tcp 192.0.2.1:80");
        let good = [dest("10.0.0.1:80", Forward::Dr, 1), dest("10.0.0.3:80", Forward::Nat, 1)];
        let wanted =
            table([(web, settings("rr"), vec![good[0], dest("224.0.0.1:80", Forward::Dr, 1), good[1]])]);
        let served = table([(web, settings("rr"), good.to_vec())]);
        let owned = BTreeSet::from([web]);
        let mut reconciler = Reconciler::default();
        let mut now = S;
        for times in 1..5 {
            let actual = read(&mut kernel);
            let answers = pass(&mut kernel, &mut reconciler, &wanted, &actual, &owned, now);
            let refused: Vec<_> = answers.iter().filter(|a| a.outcome != Outcome::Done).collect();
            let [refused] = refused[..] else { panic!("{answers:#?}") };
            assert_eq!(refused.is_news(), times == 1);
            assert_eq!(
                refused.to_string(),
                "add 224.0.0.1:80 (DR, weight 1) to tcp 192.0.2.1:80: refused: EINVAL (errno 22): Invalid argument; only this is \
                 affected, trying again"
            );
            assert_eq!(read(&mut kernel), served);
            let failure = reconciler.failures().values().next().expect("a failure");
            assert_eq!((failure.times, failure.retry_at - now), (times, S * (1 << (times - 1))));
            let writes = kernel.counts().writes;
            assert_eq!(pass(&mut kernel, &mut reconciler, &wanted, &served, &owned, now), []);
            assert_eq!(kernel.counts().writes, writes, "nothing is sent while it waits");
            now = failure_due(&reconciler);
        }
        // A scheduler that is no scheduler: that service is refused, the other one is not.
        let mut both = served.clone();
        both.services.insert(
            id("tcp 192.0.2.2:80"),
            Service { settings: settings("nosuch"), dests: good.into_iter().collect() },
        );
        let answers = pass(&mut kernel, &mut Reconciler::default(), &both, &served, &owned, now);
        let outcomes: Vec<String> = answers.iter().map(ToString::to_string).collect();
        assert_eq!(outcomes.len(), 3, "{outcomes:#?}");
        assert!(
            outcomes[0].starts_with("add service tcp 192.0.2.2:80 (nosuch): refused: ENOENT (errno 2)"),
            "{outcomes:#?}"
        );
        assert_eq!(read(&mut kernel), served);
    });
}

fn failure_due(reconciler: &Reconciler) -> Duration {
    reconciler.next_deadline().expect("a refusal that waits")
}

/// R1-4. Counted in netlink messages: a reload of the same file writes nothing, another weight is one message.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r1_4_a_reload_sends_differences_only() {
    alone(|| {
        let mut d = Daemon::new(TWO_METHODS);
        d.pass();
        let writes = |d: &Daemon| d.kernel.counts().writes;
        let before = writes(&d);
        for _ in 0..3 {
            d.director.reload(config(TWO_METHODS), d.now);
            assert_eq!(d.pass(), []);
        }
        assert_eq!(writes(&d), before);
        let heavier: &'static str =
            Box::leak(TWO_METHODS.replace("10.0.0.1 80 {", "10.0.0.1 80 {\nweight 9\n").into_boxed_str());
        d.director.reload(config(heavier), d.now);
        let answers = d.pass();
        assert!(
            matches!(&answers[..], [Answer { change: Change::EditDest { .. }, outcome: Outcome::Done }]),
            "{answers:#?}"
        );
        assert_eq!(writes(&d), before + 1);
        assert!(ipvsadm().contains(&"-a -t 192.0.2.1:80 -r 10.0.0.1:80 -g -w 9".to_owned()));
    });
}

/// R3-4. Without the right to ask, the error says so and which right.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_4_no_right_is_named() {
    let binary = std::env::current_exe().expect("this binary");
    let binary = binary.to_str().expect("its path");
    let child = ["--ignored", "--exact", "reports::the_child_of_r3_4", "--nocapture"];
    let without = |limit: &[&str]| run("setpriv", &[limit, &[binary], &child].concat(), "");
    let text = without(&["--bounding-set=-net_admin", "--inh-caps=-net_admin"]);
    assert!(text.contains("EPERM: this process has no CAP_NET_ADMIN: run it as root"), "{text}");
}

/// Prints the error of a reading; for the test above, which starts it without rights.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
#[expect(clippy::print_stdout, reason = "its parent reads it")]
fn the_child_of_r3_4() {
    match Kernel::open().and_then(|mut kernel| kernel.read()) {
        Ok(_) => println!("could read"),
        Err(e) => println!("{e}"),
    }
}

/// R3-4. The module is there and cannot be loaded; and a director that was there before outlives the module.
#[test]
#[ignore = "needs IPVS: run in vm-lab"]
fn r3_4_a_module_that_is_not_loaded_is_named() {
    const MODPROBE: &str = "/proc/sys/kernel/modprobe";
    let mut before = Kernel::open().expect("IPVS");
    wait_for("ip_vs to be unloaded", || {
        let modules = std::fs::read_to_string("/proc/modules").expect("modules");
        let ours: Vec<&str> =
            modules.lines().filter_map(|l| l.split(' ').next()).filter(|m| m.starts_with("ip_vs")).collect();
        for module in &ours {
            // Those that others still use come with a later round.
            let _ = std::process::Command::new("rmmod").arg(module).output();
        }
        if ours.is_empty() { Ok(()) } else { Err(format!("{ours:?}")) }
    });
    let loader = std::fs::read_to_string(MODPROBE).expect("modprobe");
    std::fs::write(MODPROBE, "/bin/false").expect("modprobe");
    let refused = Kernel::open().map(drop).expect_err("no ip_vs").to_string();
    std::fs::write(MODPROBE, loader.trim()).expect("modprobe");
    assert!(
        refused.starts_with("no ip_vs: the module /lib/modules/")
            && refused.contains("there but not loaded: /bin/false ip_vs:"),
        "{refused}"
    );
    assert_eq!(before.read().expect("loaded anew, under another number").table, Table::new());
}
