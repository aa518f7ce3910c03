//! Drains under way, for the next start: a server that an operator took out must not come back because the daemon was restarted.
//!
//! Deadlines are kept by the wall clock, the only one that two lives share; a clock that is set meanwhile moves them.

use lvs::drain::Drain;
use lvs::model::{DestId, DestSettings, ServiceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A drain between two lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) service: ServiceId,
    pub(super) dest: DestId,
    /// The deadline, milliseconds since 1970.
    until_ms: u64,
    settings: DestSettings,
    by_operator: bool,
    ended: bool,
    /// Its service is the LVS group's, which is configured only while its node leads.
    #[serde(default)]
    pub(super) group: bool,
}

/// What is to be kept; `now` by the director's clock, `wall` since 1970. `group` says whether a service is the LVS group's.
pub(super) fn kept(
    drains: &BTreeMap<(ServiceId, DestId), Drain>,
    now: Duration,
    wall: Duration,
    group: impl Fn(&ServiceId) -> bool,
) -> Vec<Kept> {
    let one = |((service, dest), drain): (&(ServiceId, DestId), &Drain)| Kept {
        service: *service,
        dest: *dest,
        until_ms: u64::try_from((wall + drain.deadline.saturating_sub(now)).as_millis()).unwrap_or(u64::MAX),
        settings: drain.settings,
        by_operator: drain.by_operator,
        ended: drain.ended,
        group: group(service),
    };
    drains.iter().map(one).collect()
}

impl Kept {
    /// The drain by the clock of another life.
    pub(super) fn drain(&self, now: Duration, wall: Duration) -> Drain {
        Drain {
            deadline: now + Duration::from_millis(self.until_ms).saturating_sub(wall),
            settings: self.settings,
            by_operator: self.by_operator,
            ended: self.ended,
        }
    }
}

/// Since 1970.
pub(super) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Writes them so that a power cut leaves the old file or the new one. Blocks. What cannot be written is logged.
pub(super) fn write(path: &Path, kept: &[Kept]) {
    let replace = || -> io::Result<()> {
        let fresh = path.with_extension("json.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    if let Err(e) = replace() {
        tracing::warn!("lvs: {}: {e}; drains will not survive a restart of the daemon", path.display());
    }
}

/// What an earlier life kept; nothing when there is no file, or none that can be read.
pub(super) fn read(path: &Path) -> Vec<Kept> {
    let read = std::fs::read(path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    read.unwrap_or_else(|e| {
        if e.kind() != io::ErrorKind::NotFound {
            tracing::warn!(
                "lvs: {}: {e}; servers that were drained are in service again: see `ctdb lvs services`",
                path.display()
            );
        }
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_of_a_deadline_is_left_in_the_next_life() {
        let key = ("tcp 192.0.2.1:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap());
        let s = Duration::from_secs;
        let drain =
            Drain { deadline: s(700), settings: DestSettings::default(), by_operator: true, ended: false };
        let kept = kept(&[(key, drain.clone())].into(), s(100), s(1_000_000), |_| false);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("drains.json");
        write(&path, &kept);
        let [one] = &read(&path)[..] else { panic!("one drain") };
        assert_eq!((one.service, one.dest), key);
        assert_eq!(one.drain(s(5), s(1_000_050)), Drain { deadline: s(555), ..drain.clone() });
        assert_eq!(one.drain(s(5), s(2_000_000)), Drain { deadline: s(5), ..drain }, "it is over");
        std::fs::write(&path, "no json").unwrap();
        assert_eq!(read(&path), []);
    }
}
