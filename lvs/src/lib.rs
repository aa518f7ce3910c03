//! The LVS director: what virtual services an operator wants, what the kernel has, and the difference between the two.
//!
//! The way of one decision: `virtual_servers.conf` (`config`) says which services, real servers and checks there are; checks are
//! state machines (`checker`) that ask for probes and take their results; `service` turns the health of all real servers into
//! the [`model::Table`] that is wanted now; `diff` compares it with the table that the kernel has. Everything named here is pure:
//! time is an argument, and what happens is a value.

pub mod model;
