//! The gRPC contract of ctdb-ip: what daemons say to each other, and what `ctdb` asks of its daemon.
//!
//! [`v1`] is generated from `proto/ctdb/v1/*.proto`. Its types stop in [`wire`], which turns them into the domain's own
//! (`recoverd`) and back; nothing else in the project handles them. [`client`] is the way to ask a daemon over its Unix socket.
//! The servers are `ctdbd`'s: it implements [`v1::node_server::Node`] and [`v1::local_server::Local`].
//! [`etcd`] is the client's side of an etcd cluster, for the cluster lock.

pub mod client;
pub mod wire;

/// Generated from `proto/ctdb/v1/*.proto`; the documentation stands there.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::use_self)]
pub mod v1 {
    tonic::include_proto!("ctdb.v1");
}

/// Generated from `proto/etcd/v3/rpc.proto`: what the cluster lock needs of etcd's v3 API.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::use_self)]
pub mod etcd {
    tonic::include_proto!("etcdserverpb");
}

/// The largest message that is accepted, in bytes; clients and servers of both services set it. A plan or a timeline over 10,000
/// addresses is larger than tonic's default of 4 MiB.
pub const MAX_MESSAGE: usize = 64 << 20;
