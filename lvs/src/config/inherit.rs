//! What a virtual server says for its real servers, and these for their checks; the more special place wins (keepalived.conf(5)).

use super::check_types::{CheckKind, Timing};
use super::tree::Statement;
use super::value::Reader;
use std::time::Duration;

/// Keys that may stand at every level.
pub(super) const KEYS: [&str; 8] = [
    "delay_loop",
    "connect_timeout",
    "retry",
    "nb_get_retry",
    "delay_before_retry",
    "warmup",
    "rise",
    "alpha",
];

/// Settings that were said at some level so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inherited {
    delay_loop: Option<Duration>,
    connect_timeout: Option<Duration>,
    retry: Option<u32>,
    delay_before_retry: Option<Duration>,
    warmup: Option<Duration>,
    rise: Option<u32>,
    /// `alpha`.
    pub(super) alpha: bool,
    /// `virtualhost`.
    pub(super) virtualhost: Option<String>,
}

impl Inherited {
    /// Takes a statement of [`KEYS`]; false when it is none.
    pub(super) fn take(&mut self, s: &Statement, reader: &mut Reader<'_>) -> bool {
        match s.name() {
            "delay_loop" => self.delay_loop = reader.timer_above_zero(s).or(self.delay_loop),
            "connect_timeout" => self.connect_timeout = reader.timer_above_zero(s).or(self.connect_timeout),
            // nb_get_retry is what older files call it.
            "retry" | "nb_get_retry" => self.retry = reader.number(s, 0..=1000).or(self.retry),
            "delay_before_retry" => self.delay_before_retry = reader.timer(s).or(self.delay_before_retry),
            "warmup" => self.warmup = reader.timer(s).or(self.warmup),
            "rise" => self.rise = reader.number(s, 1..=1000).or(self.rise),
            "alpha" => self.alpha = reader.flag(s),
            _ => return false,
        }
        true
    }

    /// The times of a check with keepalived's defaults for its kind.
    #[must_use]
    pub(super) fn timing(&self, kind: &CheckKind) -> Timing {
        let second = Duration::from_secs(1);
        let delay_loop = self.delay_loop.unwrap_or(second * 60);
        let (retry, delay_before_retry) = match kind {
            CheckKind::Http(_) => (1, second * 3),
            CheckKind::Dns { .. } => (3, delay_loop),
            CheckKind::Misc { .. } => (0, second),
            CheckKind::Tcp | CheckKind::Ping | CheckKind::Udp(_) | CheckKind::Smtp { .. } => (1, second),
        };
        Timing {
            delay_loop,
            connect_timeout: self.connect_timeout.unwrap_or(second * 5),
            retry: self.retry.unwrap_or(retry),
            delay_before_retry: self.delay_before_retry.unwrap_or(delay_before_retry),
            warmup: self.warmup.unwrap_or(delay_loop),
            rise: self.rise.unwrap_or(1),
        }
    }
}
