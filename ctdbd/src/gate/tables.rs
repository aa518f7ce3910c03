//! The tables in the kernel, and the one socket that changes them.
//!
//! Every change waits while another program's transaction is under way (up to a second was measured): not for the lease thread.

use super::error::GateError;
use super::nfnl::{Family, NfSocket, Op, Refusal};
use super::ruleset::{Ruleset, TABLE};
use nix::errno::Errno;
use std::collections::BTreeSet;
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
    ruleset: Ruleset,
}

impl Tables {
    /// Makes the tables, shut. What a former daemon left is replaced in the same transaction.
    pub(super) fn install(mut ruleset: Ruleset, variants: &[Variant]) -> Result<Self, GateError> {
        let socket = NfSocket::open().map_err(GateError::Socket)?;
        let mut refusal = None;
        for variant in variants {
            (ruleset.owned, ruleset.egress) = (variant.owned, variant.egress);
            match socket.commit(&ruleset.install()) {
                Ok(()) => return Ok(Self { socket, ruleset }),
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

    /// Replaces the tables by others, shut, in one transaction. On an error the old ones stand.
    pub(super) fn reconfigure(&mut self, change: impl FnOnce(&mut Ruleset)) -> Result<(), GateError> {
        let mut next = self.ruleset.clone();
        change(&mut next);
        self.socket.commit(&next.install())?;
        self.ruleset = next;
        Ok(())
    }

    /// Changes the set of addresses that pass while the lease lives. Repeating it is no error. When the tables turn out to be
    /// damaged they are put back, shut.
    pub(super) fn hold(&mut self, add: &[IpAddr], remove: &[IpAddr]) -> Result<(), GateError> {
        let held = &self.ruleset.held;
        let remove: BTreeSet<IpAddr> = remove.iter().filter(|a| held.contains(a)).copied().collect();
        let add: BTreeSet<IpAddr> = add.iter().filter(|a| !held.contains(a)).copied().collect();
        self.ruleset.held.retain(|a| !remove.contains(a));
        self.ruleset.held.extend(&add);
        let list = |set: BTreeSet<IpAddr>| set.into_iter().collect::<Vec<_>>();
        match self.ruleset.change_held(&list(add), &list(remove)) {
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
