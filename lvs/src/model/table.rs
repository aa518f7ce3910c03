//! The whole table: what `ipvsadm -Sn` prints.

use super::{DestId, DestSettings, ServiceId, ServiceSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One service with its destinations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What one edit can change.
    pub settings: ServiceSettings,
    /// Destinations by the identity under which the kernel has them.
    pub dests: BTreeMap<DestId, DestSettings>,
}

/// Services by identity, in a fixed order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table {
    /// Every service.
    pub services: BTreeMap<ServiceId, Service>,
}

impl Table {
    /// A table of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The settings of one destination.
    #[must_use]
    pub fn dest(&self, service: &ServiceId, dest: &DestId) -> Option<&DestSettings> {
        self.services.get(service)?.dests.get(dest)
    }
}
