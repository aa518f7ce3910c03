//! What the tests of ctdb-ip share: the lab of network namespaces, and the conformance vectors.

pub mod cluster;
pub mod lab;
pub mod vectors;
