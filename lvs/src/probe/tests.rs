//! Probes against servers on 127.0.0.1.

use super::probe;
use crate::checker::ProbeResult;
use crate::config::check_types::{
    Check, CheckKind, DnsType, HttpCheck, HttpVersion, Target, Timing, Tls, UdpCheck, UdpReply, Url,
};
use crate::config::types::TlsFiles;
use crate::config::{Place, Script};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Generous where an answer comes, short where the test waits for none.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

async fn run(kind: CheckKind, port: u16, limit: Duration) -> ProbeResult {
    run_with(kind, port, limit, &TlsFiles::default()).await
}

async fn run_with(kind: CheckKind, port: u16, limit: Duration, files: &TlsFiles) -> ProbeResult {
    let timing = Timing {
        delay_loop: LONG,
        connect_timeout: limit,
        retry: 0,
        delay_before_retry: LONG,
        warmup: Duration::ZERO,
        rise: 1,
    };
    let target = Target { addr: HERE, port, bind_ip: None, bind_port: None, bind_if: None, fwmark: None };
    let at = Place { file: "vs.conf".into(), line: 1 };
    probe(&Check { at, kind, timing, target, alpha: false, log_all_failures: false }, files).await
}

/// A listener whose connections are each answered by `answer` with what it makes of the request's first bytes.
async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let n = connection.read(&mut buffer).await.unwrap_or(0);
            let text = answer(&String::from_utf8_lossy(&buffer[..n]));
            let _ = connection.write_all(text.as_bytes()).await;
        }
    });
    port
}

/// A port where nobody listens.
async fn nobody() -> u16 {
    TcpListener::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port()
}

fn url(virtualhost: Option<&str>) -> Url {
    let virtualhost = virtualhost.map(str::to_owned);
    Url { path: "/health".into(), status: vec![(200, 299)], virtualhost, digest: None, regex: None }
}

fn http(urls: Vec<Url>, tls: Option<Tls>) -> CheckKind {
    CheckKind::Http(HttpCheck { tls, version: HttpVersion::V1_1, urls, fast_recovery: false })
}

fn by_host(request: &str) -> String {
    let ours = request.lines().any(|l| l.eq_ignore_ascii_case("host: www.example.org"));
    let status = if ours && request.starts_with("GET /health HTTP/1.") { "200 OK" } else { "404 Not Found" };
    format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine")
}

#[tokio::test]
async fn tcp_passes_where_somebody_listens_only() {
    let port = server(|_| String::new()).await;
    assert!(run(CheckKind::Tcp, port, LONG).await.pass);
    let refused = run(CheckKind::Tcp, nobody().await, LONG).await;
    assert!(!refused.pass && refused.reason.ends_with("connection refused"), "{refused:?}");
}

/// R2-4: 404 by address, 200 by name.
#[tokio::test]
async fn http_sends_the_host_that_is_configured() {
    let port = server(by_host).await;
    let named = run(http(vec![url(Some("www.example.org"))], None), port, LONG).await;
    assert!(named.pass, "{named:?}");
    let bare = run(http(vec![url(None)], None), port, LONG).await;
    assert!(!bare.pass && bare.reason == "/health: status 404, not 200-299", "{bare:?}");
    let both = run(http(vec![url(Some("www.example.org")), url(None)], None), port, LONG).await;
    assert!(!both.pass, "every URL must pass: {both:?}");
}

#[tokio::test]
async fn http_1_0_is_spoken_where_it_is_wanted() {
    let port = server(|request| {
        let status = if request.starts_with("GET /health HTTP/1.0\r\n") { 200 } else { 505 };
        format!("HTTP/1.0 {status} x\r\n\r\nuntil the end")
    })
    .await;
    let check =
        HttpCheck { tls: None, version: HttpVersion::V1_0, urls: vec![url(None)], fast_recovery: false };
    let result = run(CheckKind::Http(check), port, LONG).await;
    assert!(result.pass, "{result:?}");
}

#[tokio::test]
async fn a_server_that_accepts_and_is_silent_fails_in_time() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for kind in [http(vec![url(None)], None), CheckKind::Smtp { helo: None }] {
        let result = run(kind, port, SHORT).await;
        assert!(!result.pass && result.reason.contains("within 0.3 s"), "{result:?}");
    }
}

#[tokio::test]
async fn https_verifies_with_a_ca_and_without_one_takes_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["www.example.org".to_owned()]).unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let ca = ca.display().to_string();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let sni = connection.get_ref().1.server_name().is_some();
            let mut buffer = [0; 4096];
            let _ = connection.read(&mut buffer).await;
            let status = if sni { 200 } else { 421 };
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            let _ = connection.write_all(answer.as_bytes()).await;
            let _ = connection.shutdown().await;
        }
    });
    let tls = |ca: Option<&str>, name: Option<&str>| {
        let (sni_name, ca) = (name.map(str::to_owned), ca.map(str::to_owned));
        Some(Tls { enable_sni: sni_name.is_some(), sni_name, ca })
    };
    let name = Some("www.example.org");
    for (tls, passes) in [
        (tls(None, name), true),
        (tls(Some(&ca), name), true),
        (tls(Some(&ca), Some("other.example.org")), false),
        (tls(None, None), false),
    ] {
        let result = run(http(vec![url(None)], tls.clone()), port, LONG).await;
        assert_eq!(result.pass, passes, "{tls:?}: {result:?}");
    }
}

/// A program that hangs is killed, with what it has started.
#[tokio::test]
async fn a_hung_program_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let (program, pids) = (dir.path().join("my check"), dir.path().join("pids"));
    let text =
        format!("#!/bin/sh\nsleep 600 &\necho $$ $! > '{0}.new'\nmv '{0}.new' '{0}'\nwait\n", pids.display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let check = misc(&[&program.display().to_string()], Duration::from_secs(2), false);
    let begin = Instant::now();
    let result = run(check, 0, LONG).await;
    assert!(!result.pass && result.reason.ends_with("had not ended after 2 s and was killed"), "{result:?}");
    assert!(begin.elapsed() < LONG, "{:?}", begin.elapsed());
    let pids = std::fs::read_to_string(&pids).unwrap();
    let dead = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
    };
    while !pids.split_whitespace().all(dead) {
        assert!(begin.elapsed() < LONG, "still there: {pids}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn misc(argv: &[&str], timeout: Duration, dynamic: bool) -> CheckKind {
    let argv = argv.iter().map(|s| (*s).to_owned()).collect();
    let script = Script { argv, user: None, group: None };
    CheckKind::Misc { script, timeout: Some(timeout), dynamic }
}

#[tokio::test]
async fn a_programs_exit_status_is_the_result_and_may_be_a_weight() {
    let sh = |code: u8, dynamic| misc(&["/bin/sh", "-c", &format!("exit {code}")], LONG, dynamic);
    for (code, dynamic, pass, status) in [
        (0, false, true, None),
        (1, false, false, None),
        (7, false, false, None),
        (7, true, true, Some(7)),
        (1, true, false, None),
    ] {
        let result = run(sh(code, dynamic), 0, LONG).await;
        assert_eq!((result.pass, result.status), (pass, status), "{code} {dynamic}: {result:?}");
    }
    let none = run(misc(&["/no/such"], LONG, false), 0, LONG).await;
    assert!(!none.pass && none.reason.starts_with("/no/such cannot be started"), "{none:?}");
}

async fn datagrams(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind((HERE, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            if let Some(reply) = answer(&buffer[..n]) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    port
}

#[tokio::test]
async fn udp_needs_the_reply_that_is_required_or_just_no_icmp_error() {
    let silent = datagrams(|_| None).await;
    assert!(run(CheckKind::Udp(UdpCheck::default()), silent, SHORT).await.pass);
    let closed = UdpSocket::bind((HERE, 0)).await.unwrap().local_addr().unwrap().port();
    let refused = run(CheckKind::Udp(UdpCheck::default()), closed, LONG).await;
    assert!(!refused.pass && refused.reason.contains("refused"), "{refused:?}");
    let check = |first: u8| {
        let reply = Some(UdpReply { pattern: vec![(first, 0xff)], min: 1, max: 255 });
        CheckKind::Udp(UdpCheck { payload: Some(b"ping".to_vec()), reply })
    };
    let echo = datagrams(|sent| Some(sent.to_vec())).await;
    assert!(run(check(b'p'), echo, LONG).await.pass);
    assert!(!run(check(b'x'), echo, LONG).await.pass);
    assert!(!run(check(b'p'), silent, SHORT).await.pass);
}

#[tokio::test]
async fn dns_wants_an_answer_without_error() {
    let answering = |rcode: u8| {
        move |query: &[u8]| {
            let mut reply = query.to_vec();
            reply[2] |= 0x80;
            reply[3] = rcode;
            Some(reply)
        }
    };
    let check = || CheckKind::Dns { query: DnsType::A, name: "www.example.org".into() };
    assert!(run(check(), datagrams(answering(0)).await, LONG).await.pass);
    let failing = run(check(), datagrams(answering(2)).await, LONG).await;
    assert!(!failing.pass && failing.reason.ends_with("SERVFAIL"), "{failing:?}");
}

#[tokio::test]
async fn smtp_goes_through_greeting_helo_and_quit() {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for quit in ["221 bye", "421 no"] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 512];
            let _ = connection.write_all(b"220-mail\r\n220 ready\r\n").await;
            for answer in ["250 hello", quit] {
                let n = connection.read(&mut buffer).await.unwrap();
                assert!(n > 0);
                let _ = connection.write_all(format!("{answer}\r\n").as_bytes()).await;
            }
        }
    });
    let check = || CheckKind::Smtp { helo: Some("probe.example.org".into()) };
    let good = run(check(), port, LONG).await;
    assert!(good.pass, "{good:?}");
    let bad = run(check(), port, LONG).await;
    assert!(!bad.pass && bad.reason == "answer to QUIT: 421 no, not 221", "{bad:?}");
}

#[allow(clippy::print_stdout, reason = "a test says why it is skipped")]
#[tokio::test]
async fn ping_answers_on_the_loopback() {
    let result = run(CheckKind::Ping, 0, LONG).await;
    if result.reason.starts_with("own ICMP socket") {
        println!("skipped: ping_answers_on_the_loopback: needs an ICMP socket ({})", result.reason);
        return;
    }
    assert!(result.pass, "{result:?}");
}
