//! Forwarding black holes: checks pass, connections are scheduled, and none becomes established (R1-3).
//!
//! Checks go to the real server by another way than clients' packets (a tunnel's wrong source, a missing VIP or ARP rule, a firewall
//! that accepts new connections only), so that the kernel's own word is the only witness. What it shows of a destination at one
//! time: how many connections were scheduled so far (a counter), and whether any that is remembered was seen further than the client's SYN
//! (the list of connections; the counter of active connections is no witness, Linux counts opening ones as active).
//! Connections shorter than the time between two readings are never seen established, but closing or closed; so only a destination of
//! which *nothing* but opening connections is known, over a whole window and several connections, is called a black hole. With direct
//! routing and tunnels the kernel sees the client's half only: where the client's SYN is answered and the rest is lost behind the
//! director, it takes the connection for established. Pure: time is an argument.

use crate::model::{DestId, Protocol, ServiceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long nothing must become established.
pub const WINDOW: Duration = Duration::from_secs(30);
/// How many connections must have been scheduled meanwhile: one client that gave up proves nothing.
pub const ENOUGH: u64 = 5;

/// What one reading shows of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Connections scheduled since the destination was added.
    pub scheduled: u64,
    /// Whether any connection is known that got further than its first packet: established, closing, or closed in order.
    pub answered: bool,
    /// Whether the checks of its server pass: a server that is down explains all.
    pub healthy: bool,
}

/// What has become of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "became")]
pub enum Turn {
    /// A black hole: so many connections, none established.
    Black {
        /// Connections in the window.
        connections: u64,
    },
    /// One no longer.
    Clear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspicion {
    /// Since when nothing became established, and what was scheduled by then.
    since: Duration,
    scheduled: u64,
    black: bool,
}

/// Every destination under watch. Lives as long as the director.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    suspicions: BTreeMap<(ServiceId, DestId), Suspicion>,
}

impl Watch {
    /// Takes one reading of all destinations; those that are not in it are forgotten. Says what has turned. Services other than TCP are
    /// passed over: nothing is ever established there.
    pub fn read(
        &mut self,
        reading: impl IntoIterator<Item = ((ServiceId, DestId), Seen)>,
        now: Duration,
    ) -> Vec<((ServiceId, DestId), Turn)> {
        let mut before = std::mem::take(&mut self.suspicions);
        let mut turns = Vec::new();
        for (key, seen) in reading {
            if matches!(key.0, ServiceId::Addr { protocol: Protocol::Udp | Protocol::Sctp, .. }) {
                continue;
            }
            let fresh = Suspicion { since: now, scheduled: seen.scheduled, black: false };
            let was = before.remove(&key);
            let mut s = was.unwrap_or(fresh);
            // Fewer than before: it was deleted and added again.
            if seen.answered || !seen.healthy || seen.scheduled < s.scheduled {
                if s.black {
                    turns.push((key, Turn::Clear));
                }
                s = fresh;
            }
            // Without connections the window does not run.
            if seen.scheduled == s.scheduled && !s.black {
                s.since = now;
            }
            let connections = seen.scheduled - s.scheduled;
            if !s.black && connections >= ENOUGH && now.saturating_sub(s.since) >= WINDOW {
                s.black = true;
                turns.push((key, Turn::Black { connections }));
            }
            self.suspicions.insert(key, s);
        }
        turns
    }

    /// Whether any destination counts as a black hole now.
    #[must_use]
    pub fn any_black(&self) -> bool {
        self.suspicions.values().any(|s| s.black)
    }

    /// Whether a destination counts as a black hole now.
    #[must_use]
    pub fn is_black(&self, key: &(ServiceId, DestId)) -> bool {
        self.suspicions.get(key).is_some_and(|s| s.black)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> (ServiceId, DestId) {
        let vip = [192, 0, 2, 1].into();
        (ServiceId::addr(vip, 80, Protocol::Tcp), DestId::new([10, 0, 0, 1].into(), 80))
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn seen(scheduled: u64) -> Seen {
        Seen { scheduled, answered: false, healthy: true }
    }

    /// The turns of a history of readings five seconds apart.
    fn turns(history: &[Seen]) -> Vec<(usize, Turn)> {
        let mut watch = Watch::default();
        let mut all = Vec::new();
        for (n, seen) in history.iter().enumerate() {
            let now = secs(5 * n as u64);
            all.extend(watch.read([(key(), *seen)], now).into_iter().map(|(_, turn)| (n, turn)));
        }
        all
    }

    #[test]
    fn scheduled_and_never_established_is_a_black_hole_until_one_is() {
        let mut history: Vec<Seen> = (0..10).map(seen).collect();
        history.push(Seen { answered: true, ..seen(10) });
        assert_eq!(turns(&history), [(6, Turn::Black { connections: 6 }), (10, Turn::Clear)]);
    }

    #[test]
    fn few_connections_old_ones_and_sick_servers_prove_nothing() {
        let few: Vec<Seen> = (0..100).map(|n| seen(100 + u64::from(n > 3))).collect();
        assert_eq!(turns(&few), []);
        let idle: Vec<Seen> = (0..100).map(|_| seen(100)).collect();
        assert_eq!(turns(&idle), []);
        let sick: Vec<Seen> = (0..100).map(|n| Seen { healthy: false, ..seen(n) }).collect();
        assert_eq!(turns(&sick), []);
        let again: Vec<Seen> = (0..100).map(|n| seen(n % 5)).collect();
        assert_eq!(turns(&again), [], "added anew every 25 s");
    }

    #[test]
    fn udp_is_passed_over() {
        let udp = (ServiceId::addr([192, 0, 2, 1].into(), 53, Protocol::Udp), key().1);
        let mut watch = Watch::default();
        for n in 0..100 {
            assert_eq!(watch.read([(udp, seen(n))], secs(5 * n)), []);
        }
    }

    fn any_seen() -> impl Strategy<Value = (u64, bool, bool)> {
        (0u64..4, prop::bool::weighted(0.25), prop::bool::weighted(0.9))
    }

    proptest! {
        /// Black only after a whole window with enough connections in which nothing was ever established; turns alternate.
        #[test]
        fn no_alarm_without_a_reason(steps in prop::collection::vec(any_seen(), 1..60)) {
            let mut scheduled = 0;
            let history: Vec<Seen> = steps
                .iter()
                .map(|(more, answered, healthy)| {
                    scheduled += more;
                    Seen { scheduled, answered: *answered, healthy: *healthy }
                })
                .collect();
            let quiet = |s: &Seen| !s.answered && s.healthy;
            let mut black = false;
            for (n, turn) in turns(&history) {
                match turn {
                    Turn::Black { connections } => {
                        prop_assert!(!black && connections >= ENOUGH);
                        let first = n - 6;
                        prop_assert!(history[first + 1..=n].iter().all(quiet), "{:?}", &history[first..=n]);
                        black = true;
                    }
                    Turn::Clear => {
                        prop_assert!(black && !quiet(&history[n]));
                        black = false;
                    }
                }
            }
        }
    }
}
