//! Every decision of ctdb-ip.
//!
//! This crate is what CTDB's recovery daemon is: it decides which node serves which public address, who is recmaster, what a
//! node does when a link, a service or a peer fails. It cannot do IO: it depends on no runtime, knows no clock (time is an
//! argument, [`model::Mono`]), and its inputs and outputs are plain values that serialize, so that what a daemon saw can be
//! replayed in a test. `ctdbd` is the only caller: it feeds inputs and performs actions.

pub mod action;
pub mod alloc;
pub mod check;
pub mod command;
pub mod connections;
pub mod control;
pub mod explain;
pub mod group;
pub mod host;
pub mod input;
pub mod lease;
pub mod model;
pub mod msg;
pub mod node;
pub mod plan;
pub mod takeover;
pub mod view;
