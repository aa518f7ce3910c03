//! The daemon of ctdb-ip: performs what `recoverd` decides.
//!
//! [`driver`] owns the machine and is the only caller of it. Around it: [`config`] (CTDB's files), [`peer`] (links to the other
//! daemons), [`local`] (the socket of `ctdb`), [`netif`] and [`packet`] (the kernel), [`lock`] (cluster lock), [`journal`] and
//! [`admin_state`] (disk), [`logging`], [`statistics`]. Nothing here decides who serves which address.

pub mod admin_state;
pub mod calls;
mod clock;
pub mod conn;
pub mod daemonize;
pub mod driver;
pub mod gate;
pub mod guard;
pub mod journal;
pub mod lease;
pub mod local;
pub mod lock;
pub mod logging;
pub mod lvs;
pub mod netif;
pub mod nodes_state;
pub mod packet;
pub mod peer;
mod realtime;
pub mod statistics;
mod sys;
#[cfg(test)]
mod testns;
pub mod trace;

pub use ::config::{self, cli};
