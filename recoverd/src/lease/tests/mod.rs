//! Tests of the lease machine: small stories; the simulation in the tests crate has the rest.
