//! A table in memory that answers as the kernel does (EEXIST, ENOENT, ESRCH), remembers every request, and fails where a test wants it to.

use super::error::kernel_error;
use super::{DestCounters, Ipvs, IpvsError, Performed, Reading};
use crate::diff::Change;
use crate::model::{DestId, ServiceId, Table};
use crate::reconcile::{KernelError, Object};
use nix::libc::{ENOENT, ESRCH};
use std::collections::BTreeMap;

/// The table. Its fields are the test's to change at any time.
#[derive(Debug, Clone, Default)]
pub struct Fake {
    /// What is there.
    pub table: Table,
    /// Counters of destinations.
    pub counters: BTreeMap<(ServiceId, DestId), DestCounters>,
    /// Every request, refused or not.
    pub requests: Vec<Change>,
    /// What is refused: every request about the object, with this errno.
    pub faults: BTreeMap<Object, i32>,
}

impl Ipvs for Fake {
    fn read(&mut self) -> Result<Reading, IpvsError> {
        let services = self.table.services.keys().map(|id| (*id, super::Stats::default())).collect();
        let all = self.table.services.iter().flat_map(|(id, s)| s.dests.keys().map(|d| (*id, *d)));
        let dests = all.map(|key| (key, self.counters.get(&key).copied().unwrap_or_default())).collect();
        Ok(Reading { table: self.table.clone(), services, dests, foreign: Vec::new() })
    }

    fn perform(&mut self, change: &Change) -> Result<Performed, KernelError> {
        self.requests.push(change.clone());
        if let Some(errno) = self.faults.get(&Object::of(change)) {
            return Err(kernel_error(*errno, None));
        }
        let no_service = || kernel_error(ESRCH, None);
        let no_dest = || kernel_error(ENOENT, None);
        let services = &mut self.table.services;
        let mut there = false;
        match change {
            Change::AddService { service, settings } => {
                there = services.contains_key(service);
                services.entry(*service).or_default().settings = settings.clone();
            }
            Change::EditService { service, settings } => {
                services.get_mut(service).ok_or_else(no_service)?.settings = settings.clone();
            }
            Change::DelService { service } => {
                services.remove(service).ok_or_else(no_service)?;
            }
            Change::AddDest { service, dest, settings } => {
                let dests = &mut services.get_mut(service).ok_or_else(no_service)?.dests;
                there = dests.insert(*dest, *settings).is_some();
            }
            Change::EditDest { service, dest, settings } => {
                let dests = &mut services.get_mut(service).ok_or_else(no_service)?.dests;
                *dests.get_mut(dest).ok_or_else(no_dest)? = *settings;
            }
            Change::DelDest { service, dest } => {
                let dests = &mut services.get_mut(service).ok_or_else(no_service)?.dests;
                dests.remove(dest).ok_or_else(no_dest)?;
            }
        }
        Ok(if there { Performed::Adopted } else { Performed::Done })
    }
}
