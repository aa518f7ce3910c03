//! The difference between the table that is wanted and the table that the kernel has, as the fewest requests that close it.
//!
//! Rules, each from a field report of the reference:
//! - what is equal gets no request: a reload that changes nothing is silent, a changed weight is one edit (R1-4);
//! - a service that stays is never deleted and added again, so its connections and statistics live on (R1);
//! - a destination is deleted by the identity under which the kernel has it, never by one computed from a file (R0-2);
//! - what is not ours is not touched, whoever put it there;
//! - new destinations come before old ones go, so that no service is empty in between.
//!
//! What happens when the kernel refuses a request is decided in [`crate::reconcile`].

use crate::model::{DestId, DestSettings, Service, ServiceId, ServiceSettings, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

#[cfg(test)]
mod tests;

/// One request to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// A service that the kernel does not have.
    AddService {
        /// Which.
        service: ServiceId,
        /// All its settings.
        settings: ServiceSettings,
    },
    /// A service with other settings.
    EditService {
        /// Which.
        service: ServiceId,
        /// All its settings, changed or not.
        settings: ServiceSettings,
    },
    /// A service of ours that is not wanted any more; its destinations go with it.
    DelService {
        /// Which.
        service: ServiceId,
    },
    /// A destination that the kernel does not have.
    AddDest {
        /// Of which service.
        service: ServiceId,
        /// Which.
        dest: DestId,
        /// All its settings.
        settings: DestSettings,
    },
    /// A destination with other settings.
    EditDest {
        /// Of which service.
        service: ServiceId,
        /// Which.
        dest: DestId,
        /// All its settings, changed or not.
        settings: DestSettings,
    },
    /// A destination that is not wanted any more.
    DelDest {
        /// Of which service.
        service: ServiceId,
        /// Which, as the kernel has it.
        dest: DestId,
    },
}

impl Change {
    /// The service that it concerns.
    #[must_use]
    pub fn service(&self) -> ServiceId {
        match self {
            Self::AddService { service, .. }
            | Self::EditService { service, .. }
            | Self::DelService { service }
            | Self::AddDest { service, .. }
            | Self::EditDest { service, .. }
            | Self::DelDest { service, .. } => *service,
        }
    }

    /// The destination that it concerns; none for requests about the service itself.
    #[must_use]
    pub fn dest(&self) -> Option<DestId> {
        match self {
            Self::AddDest { dest, .. } | Self::EditDest { dest, .. } | Self::DelDest { dest, .. } => {
                Some(*dest)
            }
            Self::AddService { .. } | Self::EditService { .. } | Self::DelService { .. } => None,
        }
    }

    /// Whether it takes something away, so that "not there" means "done".
    #[must_use]
    pub fn is_delete(&self) -> bool {
        matches!(self, Self::DelService { .. } | Self::DelDest { .. })
    }
}

/// For logs and errors: what is asked of the kernel, and of which object.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService { service, settings } => {
                write!(f, "add service {service} ({})", settings.scheduler)
            }
            Self::EditService { service, settings } => {
                write!(f, "change service {service} ({})", settings.scheduler)
            }
            Self::DelService { service } => write!(f, "delete service {service}"),
            Self::AddDest { service, dest, settings } => {
                write!(f, "add {dest} ({}, weight {}) to {service}", settings.forward, settings.weight)
            }
            Self::EditDest { service, dest, settings } => {
                write!(f, "change {dest} ({}, weight {}) of {service}", settings.forward, settings.weight)
            }
            Self::DelDest { service, dest } => write!(f, "delete {dest} from {service}"),
        }
    }
}

/// The requests that turn `actual` into `desired`, in the order in which to send them.
///
/// A service is ours when it is in `desired` (configured here: one of the same identity that is there already is adopted and edited)
/// or in `owned` (put there by us earlier). All others are left alone. Services that are not wanted go last.
#[must_use]
pub fn diff(desired: &Table, actual: &Table, owned: &BTreeSet<ServiceId>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (id, want) in &desired.services {
        match actual.services.get(id) {
            None => {
                changes.push(Change::AddService { service: *id, settings: want.settings.clone() });
                diff_dests(*id, want, &Service::default(), &mut changes);
            }
            Some(have) => {
                if want.settings != have.settings {
                    changes.push(Change::EditService { service: *id, settings: want.settings.clone() });
                }
                diff_dests(*id, want, have, &mut changes);
            }
        }
    }
    let unwanted =
        actual.services.keys().filter(|id| owned.contains(id) && !desired.services.contains_key(id));
    changes.extend(unwanted.map(|id| Change::DelService { service: *id }));
    changes
}

/// Destinations of one service that exists on both sides: additions and edits, then deletions.
fn diff_dests(service: ServiceId, want: &Service, have: &Service, changes: &mut Vec<Change>) {
    for (dest, settings) in &want.dests {
        let (dest, settings) = (*dest, *settings);
        match have.dests.get(&dest) {
            None => changes.push(Change::AddDest { service, dest, settings }),
            Some(h) if *h != settings => changes.push(Change::EditDest { service, dest, settings }),
            Some(_) => {}
        }
    }
    let unwanted = have.dests.keys().filter(|d| !want.dests.contains_key(d));
    changes.extend(unwanted.map(|dest| Change::DelDest { service, dest: *dest }));
}
