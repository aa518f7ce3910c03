//! The takeover run: observe, allocate, plan, check, release, take, tell everybody.
//!
//! [`Run`] is one run of the recmaster as a pure machine: it is fed answers, time and bad news and asks for controls to be sent. It
//! decides the order of controls, when a stage has failed and who is to blame. It does not decide when a run happens or who leads, and
//! it bans nobody: [`BanCredits`] counts blame over several runs, the recovery loop acts.
//!
//! Mirrors CTDB's takeover run (SEMANTICS part B) with these differences (docs/takeover-run.md): only differences are sent; the order
//! release → take holds per address instead of for all at once; `ipreallocated` runs everywhere whenever something was released or taken,
//! also after a failure.

mod blame;
mod config;
mod credits;
mod decide;
mod finish;
mod report;
mod run;
mod snapshot;
mod stages;
#[cfg(test)]
mod tests;
mod transfer;
mod what_if;

pub use config::{Mode, RunConfig, WhatIf};
pub use credits::BanCredits;
pub use decide::Decision;
pub use report::{FailedControl, Phase, PhaseName, RunReport, RunResult};
pub use run::{Run, RunAction};
pub use snapshot::{NodeAddrs, NodeSummary, Snapshot};
