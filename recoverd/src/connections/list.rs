//! The list of one address: which connections, and for which reasons each is in it.

use crate::model::{Connection, Mono, Pnn};
use std::collections::{BTreeMap, BTreeSet};

/// Reasons for which a connection is known; it is forgotten with the last of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Why(u8);

impl Why {
    /// The kernel of this node had it at the last look.
    pub(super) const HERE: Self = Self(1);
    /// An operator told of it.
    pub(super) const TOLD: Self = Self(2);
    /// It was there with another server, or before the address was let go here.
    pub(super) const BEFORE: Self = Self(4);

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct List {
    /// The node whose word this is; none while only operators have told.
    pub(super) server: Option<Pnn>,
    /// Served here: until then clients of former servers are kept.
    pub(super) kept_until: Option<Mono>,
    pub(super) members: BTreeMap<Connection, Why>,
    /// Some were left out at the last look.
    pub(super) full: bool,
}

impl List {
    /// Adds a reason; `changed` hears of a connection that is new. False when that would be more than `limit`.
    pub(super) fn set(
        &mut self,
        connection: Connection,
        why: Why,
        limit: usize,
        mut changed: impl FnMut(Connection, bool),
    ) -> bool {
        if let Some(known) = self.members.get_mut(&connection) {
            *known = known.with(why);
            return true;
        }
        if self.members.len() >= limit {
            return false;
        }
        self.members.insert(connection, why);
        changed(connection, true);
        true
    }

    /// Takes a reason back; `changed` hears of a connection that is forgotten with it.
    pub(super) fn unset(
        &mut self,
        connection: Connection,
        why: Why,
        mut changed: impl FnMut(Connection, bool),
    ) {
        let Some(known) = self.members.get_mut(&connection) else { return };
        *known = known.without(why);
        if *known == Why(0) {
            self.members.remove(&connection);
            changed(connection, false);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self, mut changed: impl FnMut(Connection, bool)) {
        std::mem::take(&mut self.members).into_keys().for_each(|c| changed(c, false));
    }

    /// The kernel has exactly these. What it had and has no more has ended, whoever told of it; clients of former servers go when
    /// they have been `answered`. Returns whether some were beyond the
    /// `limit`.
    pub(super) fn observe(
        &mut self,
        now: &BTreeSet<Connection>,
        answered: bool,
        limit: usize,
        mut changed: impl FnMut(Connection, bool),
    ) -> bool {
        self.members.retain(|connection, why| {
            if now.contains(connection) {
                *why = why.with(Why::HERE).without(Why::BEFORE);
            } else if why.contains(Why::HERE) {
                *why = why.without(Why::HERE).without(Why::TOLD);
            }
            if answered {
                *why = why.without(Why::BEFORE);
            }
            let stays = *why != Why(0);
            if !stays {
                changed(*connection, false);
            }
            stays
        });
        let mut left_out = false;
        for connection in now {
            left_out |= !self.set(*connection, Why::HERE, limit, &mut changed);
        }
        left_out
    }
}
