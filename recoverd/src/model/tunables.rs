//! Tunables: small numbers that an operator may change at run time (`ctdb setvar`) or in `ctdb.tunables`.
//!
//! All names of CTDB are known (reference/ctdb.md 1.4), so that files and scripts of the field work. Those that mean nothing
//! here are accepted and kept; [`Kind`] says which. As in CTDB they belong to one node and are not replicated; a takeover
//! run uses those of the recmaster.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a tunable means in ctdb-ip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does what its line says.
    Works,
    /// CTDB's inner plumbing, which is built differently here: accepted, no effect.
    Plumbing,
    /// Obsolete in CTDB already: accepted with CTDB's warning, no effect.
    Obsolete,
    /// About CTDB's database, which is not part of ctdb-ip: accepted, no effect.
    Database,
}

/// Name, default and meaning of one tunable.
#[derive(Debug)]
pub struct Info {
    /// CTDB's name, or ours for the few that CTDB does not have.
    pub name: &'static str,
    /// Value when nobody sets it.
    pub default: u32,
    /// `s`, `ms`, `bool`, or empty for a plain number.
    pub unit: &'static str,
    /// What it does here.
    pub kind: Kind,
    /// One clause for a person.
    pub meaning: &'static str,
}

const fn works(name: &'static str, default: u32, unit: &'static str, meaning: &'static str) -> Info {
    Info { name, default, unit, kind: Kind::Works, meaning }
}

const fn inert(name: &'static str, default: u32, kind: Kind) -> Info {
    Info { name, default, unit: "", kind, meaning: "accepted, no effect" }
}

/// All tunables in the order in which `ctdb listvars` prints them.
pub const ALL: &[Info] = &[
    works("KeepaliveInterval", 5, "s", "silence after which a sign of life is asked for"),
    works("KeepaliveLimit", 5, "", "intervals of silence before a peer counts as DISCONNECTED"),
    works("MonitorInterval", 15, "s", "period of the monitor event; 2, 4, 8 … after a start"),
    works("MonitorTimeoutCount", 20, "", "consecutive time-outs of the monitor event before UNHEALTHY"),
    works("EventScriptTimeout", 30, "s", "for the whole of one event, all scripts together"),
    works("TakeoverTimeout", 9, "s", "per phase of a takeover run; a run has three times this"),
    works("RecoverInterval", 1, "s", "period of the recovery loop and its local address check"),
    works("ElectionTimeout", 3, "s", "quiet time before a node without cluster lock claims to be recmaster"),
    works("RecoveryBanPeriod", 300, "s", "length of an automatic ban"),
    works("RecoveryGracePeriod", 120, "s", "quiet time after which ban credits are forgiven"),
    works("EnableBans", 1, "bool", "0: nobody is banned automatically"),
    works("RecoveryDropAllIPs", 120, "s", "without a recmaster for this long: drop all public addresses"),
    works("IPAllocAlgorithm", 2, "", "0 deterministic, 1 non-deterministic, 2 LCP2, 3 minimal move"),
    works("NoIPFailback", 0, "bool", "1: addresses are not moved back to nodes that return"),
    works("NoIPTakeover", 0, "bool", "1: addresses of failed nodes stay unhosted"),
    works("RecLockLatencyMs", 1000, "ms", "warn when taking the cluster lock takes longer"),
    works("TickleUpdateInterval", 20, "s", "period of replicating the list of client connections"),
    works("AllowMixedVersions", 0, "bool", "1: nodes of other versions may join"),
    works("StatHistoryInterval", 1, "s", "granularity of statistics history"),
    works(
        "LeaseTime",
        1000,
        "ms",
        "a node that is not extended serves no longer; 0: no leases (read at start)",
    ),
    works(
        "LeaderlessGrace",
        120_000,
        "ms",
        "how long nodes extend each other without a recmaster (read at start)",
    ),
    works(
        "LocalRepair",
        1,
        "bool",
        "1: put an address back at once when somebody removes it; 0: leave it to the recovery loop",
    ),
    works("GratuitousArpCount", 3, "", "announcements after taking an address"),
    works("GratuitousArpIntervalMs", 1100, "ms", "pause between two of these announcements"),
    works(
        "GratuitousArpRate",
        500,
        "/s",
        "repeated announcements of all addresses together; the first of each goes out at once; 0: no limit",
    ),
    // Clients say how long they wait (`ctdb -t`), controls of a run have TakeoverTimeout; runs are merged instead of spaced.
    inert("ControlTimeout", 60, Kind::Plumbing),
    inert("RerecoveryTimeout", 10, Kind::Plumbing),
    inert("RecoverTimeout", 30, Kind::Plumbing),
    inert("RecdPingTimeout", 60, Kind::Plumbing),
    inert("RecdFailCount", 10, Kind::Plumbing),
    inert("LogLatencyMs", 0, Kind::Plumbing),
    inert("MaxQueueDropMsg", 1000000, Kind::Plumbing),
    inert("QueueBufferSize", 1024, Kind::Plumbing),
    inert("VerboseMemoryNames", 0, Kind::Plumbing),
    inert("DeterministicIPs", 0, Kind::Obsolete),
    inert("LCP2PublicIPs", 1, Kind::Obsolete),
    inert("DisableIPFailover", 0, Kind::Obsolete),
    inert("NoIPHostOnAllDisabled", 1, Kind::Obsolete),
    inert("EventScriptUnhealthyOnTimeout", 0, Kind::Obsolete),
    inert("ReclockPingPeriod", 60, Kind::Obsolete),
    inert("VerifyRecoveryLock", 1, Kind::Obsolete),
    inert("DeferredRebalanceOnNodeAdd", 300, Kind::Obsolete),
    inert("MaxRedirectCount", 3, Kind::Database),
    inert("SeqnumInterval", 1000, Kind::Database),
    inert("TraverseTimeout", 20, Kind::Database),
    inert("DatabaseHashSize", 100001, Kind::Database),
    inert("DatabaseMaxDead", 5, Kind::Database),
    inert("VacuumInterval", 10, Kind::Database),
    inert("VacuumMaxRunTime", 120, Kind::Database),
    inert("VacuumFastPathCount", 60, Kind::Database),
    inert("RepackLimit", 10000, Kind::Database),
    inert("AllowUnhealthyDBRead", 0, Kind::Database),
    inert("DeferredAttachTO", 120, Kind::Database),
    inert("AllowClientDBAttach", 1, Kind::Database),
    inert("RecoverPDBBySeqNum", 1, Kind::Database),
    inert("FetchCollapse", 1, Kind::Database),
    inert("HopcountMakeSticky", 50, Kind::Database),
    inert("StickyDuration", 600, Kind::Database),
    inert("StickyPindown", 200, Kind::Database),
    inert("DBRecordCountWarn", 100000, Kind::Database),
    inert("DBRecordSizeWarn", 10000000, Kind::Database),
    inert("DBSizeWarn", 100000000, Kind::Database),
    inert("PullDBPreallocation", 10485760, Kind::Database),
    inert("Samba3AvoidDeadlocks", 0, Kind::Database),
    inert("TDBMutexEnabled", 1, Kind::Database),
    inert("LockProcessesPerDB", 200, Kind::Database),
    inert("RecBufferSizeLimit", 1000000, Kind::Database),
];

/// No tunable has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such tunable {name}; `ctdb listvars` names all")]
pub struct UnknownTunable {
    /// What was asked for.
    pub name: String,
}

/// The values of all tunables of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tunables {
    values: Vec<u32>,
}

impl Default for Tunables {
    fn default() -> Self {
        Self { values: ALL.iter().map(|t| t.default).collect() }
    }
}

/// Finds a tunable by its name; case does not matter, as in CTDB.
///
/// # Errors
/// [`UnknownTunable`] when there is none.
pub fn find(name: &str) -> Result<(usize, &'static Info), UnknownTunable> {
    ALL.iter()
        .enumerate()
        .find(|(_, t)| t.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| UnknownTunable { name: name.to_owned() })
}

impl Tunables {
    /// The value of a tunable.
    ///
    /// # Errors
    /// [`UnknownTunable`] when there is none of this name.
    pub fn get(&self, name: &str) -> Result<u32, UnknownTunable> {
        find(name).map(|(i, info)| self.values.get(i).copied().unwrap_or(info.default))
    }

    /// Sets a tunable and says what it means here, so that the caller can warn about one without effect.
    ///
    /// # Errors
    /// [`UnknownTunable`] when there is none of this name.
    pub fn set(&mut self, name: &str, value: u32) -> Result<&'static Info, UnknownTunable> {
        let (i, info) = find(name)?;
        if self.values.len() < ALL.len() {
            self.values.extend(ALL[self.values.len()..].iter().map(|t| t.default));
        }
        self.values[i] = value;
        Ok(info)
    }

    /// All names and values, in the order of [`ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static Info, u32)> + '_ {
        ALL.iter().enumerate().map(|(i, t)| (t, self.values.get(i).copied().unwrap_or(t.default)))
    }

    fn known(&self, name: &str) -> u32 {
        self.get(name).unwrap_or_else(|e| unreachable!("{e}: the names used here stand in ALL"))
    }

    fn secs(&self, name: &str) -> Duration {
        Duration::from_secs(self.known(name).into())
    }

    /// Silence after which a peer is asked for a sign of life; at least a second.
    #[must_use]
    pub fn keepalive_interval(&self) -> Duration {
        self.secs("KeepaliveInterval").max(Duration::from_secs(1))
    }

    /// Silence after which a peer counts as disconnected: interval × limit.
    #[must_use]
    pub fn keepalive_dead_time(&self) -> Duration {
        self.keepalive_interval() * self.known("KeepaliveLimit").max(1)
    }

    /// Period of the monitor event; at least a second.
    #[must_use]
    pub fn monitor_interval(&self) -> Duration {
        self.secs("MonitorInterval").max(Duration::from_secs(1))
    }

    /// Length of an interval of `ctdb stats`; at least a second.
    #[must_use]
    pub fn stat_history_interval(&self) -> Duration {
        self.secs("StatHistoryInterval").max(Duration::from_secs(1))
    }

    /// Consecutive monitor time-outs before UNHEALTHY.
    #[must_use]
    pub fn monitor_timeout_count(&self) -> u32 {
        self.known("MonitorTimeoutCount")
    }

    /// Time for one event, all scripts together.
    #[must_use]
    pub fn event_script_timeout(&self) -> Duration {
        self.secs("EventScriptTimeout").max(Duration::from_secs(1))
    }

    /// Time for one phase of a takeover run.
    #[must_use]
    pub fn takeover_timeout(&self) -> Duration {
        self.secs("TakeoverTimeout").max(Duration::from_secs(1))
    }

    /// Period of the recovery loop.
    #[must_use]
    pub fn recover_interval(&self) -> Duration {
        self.secs("RecoverInterval").max(Duration::from_secs(1))
    }

    /// Quiet time before a node without cluster lock claims to be recmaster.
    #[must_use]
    pub fn election_timeout(&self) -> Duration {
        self.secs("ElectionTimeout")
    }

    /// Length of an automatic ban.
    #[must_use]
    pub fn recovery_ban_period(&self) -> Duration {
        self.secs("RecoveryBanPeriod")
    }

    /// Quiet time after which ban credits are forgiven.
    #[must_use]
    pub fn recovery_grace_period(&self) -> Duration {
        self.secs("RecoveryGracePeriod")
    }

    /// Whether nodes may be banned automatically.
    #[must_use]
    pub fn enable_bans(&self) -> bool {
        self.known("EnableBans") != 0
    }

    /// Time without recmaster after which all addresses are dropped; `None` when switched off with 0.
    #[must_use]
    pub fn recovery_drop_all_ips(&self) -> Option<Duration> {
        Some(self.secs("RecoveryDropAllIPs")).filter(|d| !d.is_zero())
    }

    /// Number of the allocation algorithm.
    #[must_use]
    pub fn ip_alloc_algorithm(&self) -> u32 {
        self.known("IPAllocAlgorithm")
    }

    /// Nodes of other versions may join.
    #[must_use]
    pub fn allow_mixed_versions(&self) -> bool {
        self.known("AllowMixedVersions") != 0
    }

    /// Addresses are not moved back to nodes that return.
    #[must_use]
    pub fn no_ip_failback(&self) -> bool {
        self.known("NoIPFailback") != 0
    }

    /// Addresses of failed nodes stay unhosted.
    #[must_use]
    pub fn no_ip_takeover(&self) -> bool {
        self.known("NoIPTakeover") != 0
    }

    /// Warn when taking the cluster lock takes longer than this; `None` when switched off with 0.
    #[must_use]
    pub fn reclock_latency(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.known("RecLockLatencyMs").into())).filter(|d| !d.is_zero())
    }

    /// LeaseTime: how long a node serves without being extended; zero switches leases off. At least 100 ms otherwise.
    #[must_use]
    pub fn lease_time(&self) -> Duration {
        match self.known("LeaseTime") {
            0 => Duration::ZERO,
            ms => Duration::from_millis(u64::from(ms).clamp(100, 60_000)),
        }
    }

    /// LeaderlessGrace: how long nodes extend each other's leases after the last proven contact with a recmaster.
    #[must_use]
    pub fn leaderless_grace(&self) -> Duration {
        Duration::from_millis(self.known("LeaderlessGrace").into()).max(self.lease_time())
    }

    /// Put an address back at once when somebody removes it.
    #[must_use]
    pub fn local_repair(&self) -> bool {
        self.known("LocalRepair") != 0
    }

    /// TickleUpdateInterval: how often connections are looked for and told to the peers; `None` when switched off with 0.
    #[must_use]
    pub fn tickle_update_interval(&self) -> Option<Duration> {
        Some(self.secs("TickleUpdateInterval")).filter(|d| !d.is_zero())
    }

    /// Announcements after taking an address, and the pause between them.
    #[must_use]
    pub fn gratuitous_arp(&self) -> (u32, Duration) {
        (
            self.known("GratuitousArpCount"),
            Duration::from_millis(self.known("GratuitousArpIntervalMs").into()),
        )
    }

    /// Repeated announcements of all addresses together, per second; 0: no limit.
    #[must_use]
    pub fn gratuitous_arp_rate(&self) -> u32 {
        self.known("GratuitousArpRate")
    }
}
