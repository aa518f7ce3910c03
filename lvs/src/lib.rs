//! The LVS director: what virtual services an operator wants, what the kernel has, and the difference between the two.
//!
//! The way of one decision: `virtual_servers.conf` ([`config`], or [`import`] from an older file) says which services, real servers and
//! checks there are; checks are state machines ([`checker`]) that ask for probes and take their results; [`service`] turns the health of
//! all real servers into the [`model::Table`] that is wanted now; [`drain`] lays over it what is on its way out; [`diff`] and
//! [`reconcile`] compare it with the table that the kernel has. [`director`] is all of it as one machine. Everything named here is pure:
//! time is an argument (monotonic, since whatever), and what happens is a value.

pub mod blackhole;
pub mod checker;
pub mod config;
pub mod diff;
pub mod director;
pub mod doctor;
pub mod drain;
pub mod import;
pub mod ipvs;
pub mod members;
pub mod model;
pub mod placement;
pub mod probe;
pub mod realserver;
pub mod reconcile;
pub mod service;
pub mod surroundings;

#[cfg(test)]
mod testkit;
