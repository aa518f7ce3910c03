//! Generates the gRPC code from the files below `proto/` with protox, so that no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let ours = protox::compile(["proto/ctdb/v1/local.proto", "proto/ctdb/v1/node.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(ours)?;
    let etcd = protox::compile(["proto/etcd/v3/rpc.proto"], ["proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(etcd)?;
    Ok(())
}
