//! The integration tests of ctdb-ip: the lab and its daemons, and conformance with CTDB.


mod lab_self;
mod conformance_alloc;
