//! The tables in the kernel, and the one socket that changes them.
//!
//! Every change waits while another program's transaction is under way (up to a second was measured): not for the lease thread.

use super::GateConfig;
use super::error::GateError;
use super::nfnl::{Family, NfSocket, Op, Refusal};
use super::ruleset::{Change, Ruleset, TABLE};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What newer kernels can do and others cannot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    /// The tables are protected from other programs while we live, and outlive us (Linux 6.9).
    pub(super) owned: bool,
    /// Frames from packet sockets are held back (Linux 5.16).
    pub(super) egress: bool,
}

/// In the order of preference. Ownership matters less than the gate on packet sockets.
pub(super) const VARIANTS: [Variant; 4] = [
    Variant { owned: true, egress: true },
    Variant { owned: false, egress: true },
    Variant { owned: true, egress: false },
    Variant { owned: false, egress: false },
];

/// The gate's tables.
pub(super) struct Tables {
    socket: NfSocket,
    /// As it is in the kernel. Its public addresses are those of the configuration and those held.
    ruleset: Ruleset,
    configured: BTreeSet<IpAddr>,
    /// The public interfaces that were there when the tables were made, with their indices.
    devices: BTreeMap<String, u32>,
}

impl Tables {
    /// Makes the tables, shut. What a former daemon left is replaced in the same transaction.
    pub(super) fn install(mut ruleset: Ruleset, variants: &[Variant]) -> Result<Self, GateError> {
        let socket = NfSocket::open().map_err(GateError::Socket)?;
        let (configured, devices) = (ruleset.public.clone(), ruleset.devices());
        let mut refusal = None;
        for variant in variants {
            (ruleset.owned, ruleset.egress) = (variant.owned, variant.egress);
            match socket.commit(&ruleset.install()) {
                Ok(()) => return Ok(Self { socket, ruleset, configured, devices }),
                Err(no @ Refusal { errno: Errno::EPERM, .. }) => return Err(no.into()),
                Err(no) => refusal = Some(no),
            }
        }
        Err(refusal.unwrap_or(Refusal { errno: Errno::EINVAL, what: None }).into())
    }

    pub(super) fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    /// The number under which the kernel announces our changes.
    pub(super) fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Puts the tables back, shut, whatever has become of them.
    pub(super) fn restore(&self) -> Result<(), GateError> {
        Ok(self.socket.commit(&self.ruleset.install())?)
    }

    /// Takes a new configuration. Other addresses are put into the tables as they stand; other interfaces, indices of interfaces or
    /// another lease time need new ones, which are shut, in one transaction. Says whether that was so. On an error the old ones stand.
    pub(super) fn reconfigure(&mut self, config: &GateConfig) -> Result<bool, GateError> {
        let configured: BTreeSet<IpAddr> = config.public.iter().copied().collect();
        let mut next = self.ruleset.clone();
        next.interfaces = config.interfaces.iter().cloned().collect();
        next.lease_time = config.lease_time;
        next.public = configured.union(&next.held).copied().collect();
        next.quiet = config.quiet.iter().copied().collect();
        let devices = next.devices();
        let anew = devices != self.devices
            || next.lease_time != self.ruleset.lease_time
            || next.quiet != self.ruleset.quiet;
        if anew {
            self.socket.commit(&next.install())?;
        } else if let Some(batch) = next.changed(&Change {
            published: next.public.difference(&self.ruleset.public).copied().collect(),
            unpublished: self.ruleset.public.difference(&next.public).copied().collect(),
            ..Change::default()
        }) {
            self.socket.commit(&batch)?;
        }
        (self.ruleset, self.configured, self.devices) = (next, configured, devices);
        Ok(anew)
    }

    /// Changes the set of addresses that pass while the lease lives. Repeating it is no error. What is held is guarded, in the
    /// configuration or not. When the tables turn out to be damaged they are put back, shut.
    pub(super) fn hold(&mut self, add: &[IpAddr], remove: &[IpAddr]) -> Result<(), GateError> {
        let Ruleset { public, held, .. } = &mut self.ruleset;
        // Only what is asked is looked at: an address is taken in the same time whatever the number of others.
        let mut change = Change::default();
        for addr in remove.iter().filter(|a| held.remove(*a)) {
            change.unheld.push(*addr);
            if !self.configured.contains(addr) && public.remove(addr) {
                change.unpublished.push(*addr);
            }
        }
        for addr in add.iter().filter(|a| held.insert(**a)) {
            change.held.push(*addr);
            if public.insert(*addr) {
                change.published.push(*addr);
            }
        }
        match self.ruleset.changed(&change) {
            Some(batch) if self.socket.commit(&batch).is_err() => self.restore(),
            _ => Ok(()),
        }
    }

    /// Whether all tables are there.
    pub(super) fn stand(&self) -> bool {
        let there =
            |family: &Family| self.socket.exists(Op::GetTable, *family, |a| a.text(1, TABLE)) == Ok(true);
        self.ruleset.families().iter().all(there)
    }

    /// Removes the tables.
    pub(super) fn remove(&self) -> Result<(), GateError> {
        Ok(self.socket.commit(&self.ruleset.uninstall())?)
    }
}
