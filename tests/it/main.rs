//! The integration tests of ctdb-ip: the lab and its daemons, and conformance with CTDB.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic, in its helpers too")]
#![allow(clippy::print_stdout, reason = "a test says what it measured, and why it is skipped")]

mod bad_input;
mod cluster_lock;
mod conformance_alloc;
mod conformance_takeover;
mod connections;
mod demo;
mod director;
mod from_ctdb;
mod guard;
mod lab_self;
mod lease;
mod lvs_cli;
mod lvs_doc;
mod plan;
mod quorum;
mod simulation;
mod stock;
mod story;
