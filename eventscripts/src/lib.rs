//! Events of ctdb-ip: the runner, the built-in handlers, and what `ctdb event …` shows and changes.
//!
//! One ordered list per event: built-in handlers and executables `NN.name.script` of `events/legacy/`, by two-digit prefix,
//! then name; the first failure stops the rest (reference/ctdb.md 1.5). The runner reports what happened; which failures and
//! time-outs count as success is decided by its caller (recoverd). Kernel requests go through [`NetIf`], which `ctdbd`
//! implements with rtnetlink: nothing here speaks netlink.

mod admin;
mod catalogue;
mod handler;
mod interface;
mod lvs;
mod natgw;
mod netif;
mod notify;
mod options;
mod per_ip_routing;
mod process;
mod routing;
mod runner;
mod static_routes;
mod status;
mod turns;

pub use admin::{AdminError, ScriptInfo, ScriptKind};
pub use handler::{BoxFuture, Handled, Handler};
pub use interface::Interface;
pub use lvs::{GroupDirector, GroupRun, Lead, LvsAddress, LvsGroup};
pub use natgw::NatGw;
pub use netif::{NetIf, NetIfError};
pub use notify::{Notice, Notifier};
pub use per_ip_routing::PerIpRouting;
pub use routing::{MAIN_TABLE, Masquerade, Net, Route, Routing, Rule};
pub use runner::{RunResult, Runner, RunnerConfig};
pub use static_routes::StaticRoutes;
pub use status::{EventStatus, ScriptState, ScriptStatus};
