//! `HTTP_GET` and `SSL_GET`: every URL is asked for, on a connection of its own, and answers as it should (R2-4: with its Host header).

use super::{Passed, Verdict, judge, socket, tls, words};
use crate::config::check_types::{HttpCheck, HttpVersion, Target, Tls, Url};
use crate::config::tls::server_name;
use crate::config::types::TlsFiles;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Version};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest body that is read.
const LONGEST: usize = 16 * 1024 * 1024;

pub(super) async fn probe(check: &HttpCheck, target: &Target, limit: Duration, files: &TlsFiles) -> Verdict {
    let mut said = Vec::new();
    for url in &check.urls {
        let status = one(check, url, target, limit, files).await?;
        said.push(format!("{}: status {status}", url.path));
    }
    Ok(Passed::new(said.join("; ")))
}

async fn one(
    check: &HttpCheck,
    url: &Url,
    target: &Target,
    limit: Duration,
    files: &TlsFiles,
) -> Result<u16, String> {
    let connection = socket::connect(target, limit).await?;
    let late = |_| format!("{}: no whole answer within {} s", url.path, limit.as_secs_f64());
    let (status, body) = timeout(limit, async {
        match &check.tls {
            None => exchange(connection, check, url, target).await,
            Some(tls) => {
                exchange(handshake(connection, tls, url, target, files).await?, check, url, target).await
            }
        }
    })
    .await
    .map_err(late)??;
    judge::fault(url, status, &body).map_or(Ok(status), Err)
}

async fn handshake(
    connection: TcpStream,
    tls: &Tls,
    url: &Url,
    target: &Target,
    files: &TlsFiles,
) -> Result<TlsStream<TcpStream>, String> {
    let peer = socket::peer(target);
    let config = tls::config(tls, files)?;
    // The name counts for verification also when it is not sent.
    let name = server_name(tls, url)?.unwrap_or_else(|| ServerName::IpAddress(target.addr.into()));
    let connected = TlsConnector::from(Arc::new(config)).connect(name, connection).await;
    connected.map_err(|e| format!("TLS with {peer}: {}", words(&e)))
}

/// Sends the request and reads the whole answer.
async fn exchange(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send,
    check: &HttpCheck,
    url: &Url,
    target: &Target,
) -> Result<(u16, Bytes), String> {
    let failed = |e: hyper::Error| format!("{}: {}", url.path, chain(&e));
    let (mut sender, driven) = http1::handshake(TokioIo::new(connection)).await.map_err(failed)?;
    let answer = async {
        let answer = sender.send_request(request(check, url, target)?).await.map_err(failed)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|e| format!("{}: status {status}, then {e}", url.path))?;
        Ok((status, body.to_bytes()))
    };
    // Both in this task: nothing is left behind when the probe is dropped. The connection may end before the body was taken from it.
    tokio::pin!(answer, driven);
    tokio::select! {
        biased;
        done = &mut answer => done,
        // How it ended the answer learns, too, and says it with the path.
        _ended = &mut driven => answer.await,
    }
}

fn request(check: &HttpCheck, url: &Url, target: &Target) -> Result<Request<Empty<Bytes>>, String> {
    let peer = socket::peer(target);
    let default = if check.tls.is_some() { 443 } else { 80 };
    let by_address = || match (target.port == default, target.addr.is_ipv6()) {
        (true, true) => format!("[{}]", target.addr),
        (true, false) => target.addr.to_string(),
        (false, _) => peer.to_string(),
    };
    let host = url.virtualhost.clone().unwrap_or_else(by_address);
    let host =
        HeaderValue::from_str(&host).map_err(|_| format!("\"{host}\" is no name for a Host header"))?;
    let mut request = Request::builder().uri(url.path.as_str()).header(HOST, host);
    request = request.header(USER_AGENT, concat!("ctdb-ip/", env!("CARGO_PKG_VERSION")));
    request = match check.version {
        HttpVersion::V1_0 => request.version(Version::HTTP_10),
        HttpVersion::V1_0Close => request.version(Version::HTTP_10).header(CONNECTION, "close"),
        HttpVersion::V1_1 => request.version(Version::HTTP_11).header(CONNECTION, "close"),
    };
    request.body(Empty::new()).map_err(|e| format!("path \"{}\": {e}", url.path))
}

/// hyper's errors say what matters in their source.
fn chain(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut next = e.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
