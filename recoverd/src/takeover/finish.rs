//! The report of a run, made from what it has when it ends.

use super::blame::Blame;
use super::config::Mode;
use super::report::{Phase, RunReport, RunResult};
use super::run::Run;
use crate::model::{Mono, Pnn};
use std::collections::BTreeMap;
use std::net::IpAddr;

impl Run {
    /// The owner of every address that the run knows, as far as it has come: as planned where the plan was executed and nothing failed,
    /// as found where nothing was executed.
    pub(super) fn owners(&self) -> Vec<(IpAddr, Option<Pnn>)> {
        match (&self.plan, &self.transfer) {
            (Some(plan), Some(transfer)) => transfer.owners(plan),
            (Some(plan), None) if self.config.mode != Mode::Execute => plan.owners.clone(),
            _ => self.found_owners(),
        }
    }

    fn found_owners(&self) -> Vec<(IpAddr, Option<Pnn>)> {
        match &self.decision {
            Some(d) => d.allocation.owners.iter().map(|a| (a.addr, a.from)).collect(),
            None => self.snapshot.working_list().into_iter().map(|a| (a.addr, a.owner)).collect(),
        }
    }

    pub(super) fn report(&self, aborted: Option<&str>) -> RunReport {
        let failed_controls = self.blame.controls();
        let result = match (aborted, &self.refused) {
            (Some(why), _) => RunResult::Aborted(why.to_owned()),
            (None, Some(why)) => RunResult::Error(why.clone()),
            (None, None) => Blame::result(&failed_controls),
        };
        let credits = if aborted.is_some() { BTreeMap::new() } else { Blame::credits(&failed_controls) };
        let owners = self.owners();
        RunReport {
            id: self.config.id,
            causes: self.config.causes.clone(),
            dry_run: self.config.mode != Mode::Execute,
            failover_disabled: self.config.failover_disabled,
            result,
            ban_credits_to: Blame::worst(&credits).filter(|_| self.tunables.enable_bans()),
            credits,
            failed_controls,
            no_host_shortcut: self.no_host_shortcut,
            unallocatable: self.plan.as_ref().map(|p| p.unallocatable.clone()).unwrap_or_default(),
            plan: self.plan.clone(),
            balance_before: self.balance(&self.found_owners()),
            balance_after: self.balance(&owners),
            owners,
            phases: self.phases.iter().map(|(n, (s, e))| Phase { name: *n, start: *s, end: *e }).collect(),
            nodes: self.snapshot.summary(),
        }
    }

    fn balance(&self, owners: &[(IpAddr, Option<Pnn>)]) -> BTreeMap<Pnn, u32> {
        let mut balance: BTreeMap<Pnn, u32> = self.snapshot.nodes.iter().map(|n| (n.pnn, 0)).collect();
        for pnn in owners.iter().filter_map(|(_, o)| *o) {
            *balance.entry(pnn).or_insert(0) += 1;
        }
        balance
    }
}

/// Times of a run, for the reports of tests and the journal.
impl RunReport {
    /// From the first control to the last answer, in microseconds.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        let start = self.phases.iter().map(|p| p.start).min().unwrap_or(Mono(0));
        let end = self.phases.iter().map(|p| p.end).max().unwrap_or(Mono(0));
        end.0.saturating_sub(start.0)
    }
}
