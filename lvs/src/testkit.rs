//! A model of the kernel's IPVS table for the tests of this crate: it answers as `ip_vs` does (EEXIST, ENOENT, ESRCH).

use crate::diff::Change;
use crate::model::{Service, Table};

/// errno of "no such destination".
pub(crate) const ENOENT: i32 = 2;
/// errno of "no such service".
pub(crate) const ESRCH: i32 = 3;
/// errno of "is there already".
pub(crate) const EEXIST: i32 = 17;

/// The table and how many requests it has seen.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    table: Table,
}

impl Kernel {
    pub(crate) fn with(table: Table) -> Self {
        Self { table }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Performs one request; the errno when the kernel would refuse it.
    pub(crate) fn apply(&mut self, change: &Change) -> Result<(), i32> {
        let services = &mut self.table.services;
        match change {
            Change::AddService { service, settings } => {
                if services.contains_key(service) {
                    return Err(EEXIST);
                }
                services.insert(*service, Service { settings: settings.clone(), ..Service::default() });
            }
            Change::EditService { service, settings } => {
                services.get_mut(service).ok_or(ESRCH)?.settings = settings.clone();
            }
            Change::DelService { service } => {
                services.remove(service).ok_or(ESRCH)?;
            }
            Change::AddDest { service, dest, settings } => {
                let dests = &mut services.get_mut(service).ok_or(ESRCH)?.dests;
                if dests.contains_key(dest) {
                    return Err(EEXIST);
                }
                dests.insert(*dest, *settings);
            }
            Change::EditDest { service, dest, settings } => {
                *services.get_mut(service).ok_or(ESRCH)?.dests.get_mut(dest).ok_or(ENOENT)? = *settings;
            }
            Change::DelDest { service, dest } => {
                services.get_mut(service).ok_or(ESRCH)?.dests.remove(dest).ok_or(ENOENT)?;
            }
        }
        Ok(())
    }
}
