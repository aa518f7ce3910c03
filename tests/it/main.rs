//! The integration tests of ctdb-ip: the lab and its daemons, and conformance with CTDB.

mod conformance_alloc;
mod conformance_takeover;
mod lab_self;
mod story;
