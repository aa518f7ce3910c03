//! A director that is on: performs its actions, and keeps the kernel's table as it wants it.
//!
//! The table is read every few seconds and whenever something has changed; the difference is sent; what was sent is read back. One job at a
//! time is with the kernel. Changes by others are undone with the next reading (what is ours), or left alone (what is not).

mod drains;
mod holes;

use self::drains::Drains;
use super::Setting;
use super::forwards::Forwards;
use super::kernel::{Job, KernelLink, News, Passed, Setup};
use super::memory;
use super::probes::Probes;
use crate::journal::JournalHandle;
use lvs::blackhole::Watch;
use lvs::config::Config;
use lvs::director::{Action, Director, Fact};
use lvs::ipvs::Reading;
use lvs::ipvs::selftest::{Method, SelfTest};
use lvs::members::Members;
use lvs::model::{DestId, ServiceId, Table};
use lvs::placement::{Here, Place, lay_over};
use lvs::service::Event;
use recoverd::view::lvs::LvsState;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

/// Between two readings of the table when nothing happens.
const PERIOD: Duration = Duration::from_secs(5);
/// Between two tries to open a kernel that cannot be used.
const NO_KERNEL: Duration = Duration::from_secs(60);
/// Longest time for an operator's notifier.
const NOTIFIER: Duration = Duration::from_secs(60);
/// Shortest sleep: a deadline that cannot be served (no kernel) must not spin.
const SHORTEST: Duration = Duration::from_millis(20);

/// See the module.
pub(super) struct Running {
    pub(super) director: Director,
    pub(super) probes: Probes,
    pub(super) link: KernelLink,
    begin: Instant,
    pub(super) here: Here,
    /// It has been said what addresses this host has.
    known: bool,
    pub(super) places: BTreeMap<ServiceId, Place>,
    /// The LVS group: its address is held here while this node leads.
    pub(super) members: Option<Members>,
    /// The services of the group, when it leads; the last known.
    group: Option<[ServiceId; 2]>,
    /// The last reading.
    pub(super) reading: Reading,
    pub(super) state: LvsState,
    pub(super) warnings: Vec<String>,
    pub(super) failures: Vec<String>,
    pub(super) troubles: Vec<String>,
    pub(super) sync: Vec<String>,
    pub(super) black: Watch,
    /// Destinations that were seen to answer, and when last.
    proven: BTreeMap<DestId, Duration>,
    /// The list of connections is wanted.
    suspicious: bool,
    /// The kernel has a job.
    busy: bool,
    /// Read again as soon as it has none.
    dirty: bool,
    read_at: Duration,
    retry_at: Option<Duration>,
    /// What was last set up without complaint.
    set_up: Option<Setup>,
    /// What is being set up: by the time it is done, something else may be wanted.
    setting_up: Option<Setup>,
    journal: Option<JournalHandle>,
    pub(super) forwards: Forwards,
    drains: Drains,
}

impl Running {
    /// A director without configuration. It takes over what an earlier one left.
    pub(super) fn new(setting: &Setting) -> Result<Self, String> {
        let begin = Instant::now();
        let left = memory::read(&setting.memory);
        let link = KernelLink::start(setting.opener.clone(), setting.memory.clone(), left.sync, begin)
            .map_err(|e| format!("the netlink thread cannot be started: {e}"))?;
        let seed = RandomState::new().hash_one(std::process::id());
        Ok(Self {
            director: Director::new(seed, left.services),
            probes: Probes::new(setting.prober.clone()),
            link,
            begin,
            here: Here::default(),
            known: false,
            places: BTreeMap::new(),
            members: None,
            group: None,
            reading: Reading::default(),
            state: LvsState::Starting,
            warnings: Vec::new(),
            failures: Vec::new(),
            troubles: Vec::new(),
            sync: Vec::new(),
            black: Watch::default(),
            proven: BTreeMap::new(),
            suspicious: false,
            busy: false,
            dirty: true,
            read_at: Duration::ZERO,
            retry_at: None,
            set_up: None,
            setting_up: None,
            journal: setting.journal.clone(),
            forwards: Forwards::new(setting.tester.clone()),
            drains: Drains::new(&setting.drains),
        })
    }

    pub(super) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Puts a configuration into force, in which the services of `members` are already.
    pub(super) fn configure(
        &mut self,
        config: Config,
        members: Option<&Members>,
        warnings: Vec<String>,
        setting: &Setting,
    ) {
        self.group = members.map(Members::services).or(self.group);
        self.members = members.cloned();
        self.say(format!("configured: {} virtual servers", config.virtual_servers.len()));
        self.warnings = warnings;
        let before = self.director.drains().all().clone();
        let actions = self.director.reload(config, self.now());
        self.keep_drains(&before);
        self.restore_drains();
        self.perform(actions);
        self.addresses(setting);
        self.places = self.here.places(self.director.config());
        self.dirty = true;
    }

    /// What came of the self-test.
    pub(super) fn tested(&mut self, outcome: Result<SelfTest, String>) {
        for (fails, line) in self.forwards.take(outcome) {
            if fails { self.trouble(line) } else { self.say(line) }
        }
    }

    /// What addresses this host has now.
    pub(super) fn addresses(&mut self, setting: &Setting) {
        let Some(kernel) = setting.kernel.borrow().clone() else { return };
        self.known = true;
        let public: BTreeSet<_> = setting.public.borrow().iter().map(|p| p.addr).collect();
        let off_lo = |addr| kernel.places(addr).iter().any(|place| place.iface != "lo");
        let held = public.iter().copied().filter(|a| off_lo(*a)).collect();
        let mut here = Here { public, held, local: kernel.addrs.keys().copied().collect() };
        super::group::lay_over(&mut here, self.members.as_ref());
        if here == self.here {
            return;
        }
        self.here = here;
        let places = self.here.places(self.director.config());
        for (id, place) in places.iter().filter(|(id, place)| self.places.get(id) != Some(place)) {
            self.say(format!("{id} is {} here", word(*place)));
        }
        self.places = places;
        self.dirty = true;
        self.fact(Fact::Addresses(self.here.present()));
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        let actions = self.director.handle(fact, self.now());
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let files = self.director.config().tls.clone();
        for action in actions {
            match action {
                Action::Probe { checker, probe, check } => self.probes.start(checker, probe, *check, &files),
                Action::Abort { checker, probe } => self.probes.abort(checker, probe),
                Action::Log { object, text } => {
                    self.say(format!("{object}: {text}"));
                    self.dirty = true;
                }
                Action::Happened(event) => {
                    self.say(happened(&event));
                    drop(notify(event));
                    self.dirty = true;
                }
            }
        }
    }

    /// What is due: ticks, and the kernel's next job.
    pub(super) fn advance(&mut self) {
        self.remember_drains();
        if self.state == LvsState::On {
            self.forwards.want(Method::used(self.director.config()));
        }
        let now = self.now();
        if self.director.next_deadline().is_some_and(|t| t <= now) {
            self.fact(Fact::Tick);
        }
        let drained = self.director.drains().next_deadline().is_some_and(|t| t <= now);
        let due = self.read_at <= now || self.retry_at.is_some_and(|t| t <= now) || drained;
        let usable = !matches!(self.state, LvsState::NoKernel(_)) || self.read_at <= now;
        // Before the addresses of this host are known nothing is done: it would be done as if none were the cluster's.
        if self.known && !self.busy && usable && (self.dirty || due) {
            (self.busy, self.dirty, self.retry_at) = (true, false, None);
            self.link.send(Job::Read { connections: self.suspicious });
        }
    }

    /// How long nothing is due.
    pub(super) fn wait(&self) -> Duration {
        let read = (self.known && !self.busy).then_some(self.read_at);
        let all = [self.director.next_deadline(), self.retry_at, read];
        let next = all.into_iter().flatten().min().unwrap_or(self.now() + PERIOD);
        next.saturating_sub(self.now()).max(SHORTEST)
    }

    pub(super) fn news(&mut self, news: News) {
        match news {
            News::Unusable(why) => {
                self.busy = false;
                self.read_at = self.now() + NO_KERNEL;
                let state = LvsState::NoKernel(why.clone());
                if self.state != state {
                    self.trouble(format!("virtual services are not served: {why}"));
                    self.state = state;
                }
            }
            News::Read { reading, answered } => self.read(reading, answered),
            News::Passed(passed) => self.passed(passed),
        }
    }

    fn read(&mut self, reading: Reading, answered: Option<BTreeSet<DestId>>) {
        let now = self.now();
        if self.state != LvsState::On {
            self.say("the kernel's table is read".to_owned());
            self.state = LvsState::On;
        }
        self.read_at = now + PERIOD;
        self.reading = reading;
        let mut desired: Table = self.director.desired(&self.reading.table, &self.reading.connections(), now);
        lay_over(&mut desired, &self.places);
        self.watch(answered.as_ref(), now);
        let setup = self.setup();
        let setup = (self.set_up.as_ref() != Some(&setup)).then_some(setup);
        self.setting_up.clone_from(&setup);
        let (actual, owned) = (self.reading.table.clone(), self.director.owned().clone());
        self.link.send(Job::Pass { desired, actual, owned, setup });
    }

    fn setup(&self) -> Setup {
        let config = self.director.config();
        let roles = self.here.roles(self.places.keys());
        Setup { timeouts: config.timeouts, sync: config.sync.clone().map(|sync| (roles, sync)) }
    }

    fn passed(&mut self, passed: Passed) {
        self.busy = false;
        for answer in passed.answers.iter().filter(|a| a.is_news()) {
            self.trouble(answer.to_string());
        }
        // What was sent is read back; a second pass over the same is empty.
        self.dirty |= !passed.answers.is_empty();
        self.failures = passed.failures.iter().map(|f| format!("{}: {}", f.request, f.error)).collect();
        self.retry_at = passed.retry_at;
        let sent = self.setting_up.take();
        match passed.setup {
            Some(Ok(done)) => {
                for line in &done {
                    self.say(line.clone());
                }
                self.troubles.clear();
                self.set_up = sent;
            }
            Some(Err(why)) => {
                if !self.troubles.contains(&why) {
                    self.trouble(why.clone());
                }
                self.troubles = vec![why];
            }
            None => self.set_up = sent.or(self.set_up.take()),
        }
        let sync = self.set_up.as_ref().and_then(|s| s.sync.as_ref());
        let line = |(roles, with): &(Vec<lvs::ipvs::Role>, lvs::config::SyncDaemon)| {
            roles.iter().map(|r| format!("{r} on {}", with.iface)).collect()
        };
        self.sync = if self.troubles.is_empty() { sync.map(line).unwrap_or_default() } else { Vec::new() };
    }

    /// Takes everything of ours out of the kernel. Probes end with this.
    pub(super) async fn stop(self) {
        for action in self.director.stop() {
            if let Action::Happened(event) = action {
                self.say(happened(&event));
                drop(notify(event));
            }
        }
        let (done, cleared) = tokio::sync::oneshot::channel();
        self.link.send(Job::Clear { owned: self.director.owned().clone(), done });
        // An error means that the thread is gone, which is logged where it is seen.
        let _ = cleared.await;
    }

    fn say(&self, text: String) {
        tracing::info!("lvs: {text}");
        self.record(text);
    }

    fn trouble(&self, text: String) {
        tracing::error!("lvs: {text}");
        self.record(text);
    }

    fn record(&self, text: String) {
        if let Some(journal) = &self.journal {
            journal.record("lvs", text, serde_json::Value::Null);
        }
    }
}

/// As `ctdb lvs services` has it.
pub(super) fn word(place: Place) -> &'static str {
    match place {
        Place::Active => "active",
        Place::Prepared => "prepared",
        Place::RealServer => "realserver",
    }
}

fn happened(event: &Event) -> String {
    let what = match (&event.server, event.up) {
        (Some(server), true) => format!("real server {server} is up"),
        (Some(server), false) => format!("real server {server} is down"),
        (None, true) => "the quorum is there".to_owned(),
        (None, false) => "the quorum is lost".to_owned(),
    };
    format!("virtual server {}: {what}: {}", event.service, event.reason)
}

/// Runs the operator's program, when there is one; nobody waits for it.
fn notify(event: Event) -> Option<tokio::task::JoinHandle<()>> {
    let script = event.run?;
    Some(tokio::spawn(async move {
        match lvs::probe::run_script(&script, NOTIFIER).await {
            Ok(status) if status.success() => {}
            Ok(status) => tracing::warn!("lvs: {}: {status}", script.argv.join(" ")),
            Err(why) => tracing::warn!("lvs: {why}"),
        }
    }))
}
