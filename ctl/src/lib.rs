//! The command line of ctdb-ip: a drop-in for CTDB's `ctdb` as far as public addresses, nodes, health and events go.
//!
//! Asks the daemon over its Unix socket ([`proto::client`]) and prints the answer. It decides nothing about the cluster: output
//! shapes, messages and exit statuses are CTDB's (reference/ctdb.md 1.3), so that scripts of the field keep working; `--json`
//! is available everywhere. Every module is one family of commands and consists of pure formatting functions and the few
//! lines that ask.

mod admin;
mod ask;
pub mod cli;
mod clock;
mod config_check;
mod daemon;
mod event;
mod foreign;
mod gather;
mod group;
mod helper;
mod ip;
mod killtcp;
mod lease;
mod lvs;
mod lvs_director;
mod nodes;
mod nodes_file;
mod nodestatus;
mod out;
mod plan;
mod port;
mod reload;
mod run;
mod statistics;
mod status;
mod tickle;
mod timeline;
mod usage;
mod vars;

pub use run::main;
