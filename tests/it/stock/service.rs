//! nginx as the service behind the addresses: monitored by a script of the operator, and by CTDB's own `41.httpd`.

use super::{cover, has, on, prepare, start, wait_on, wait_script, write};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tests::cluster::{Cluster, ClusterConfig, SOON};
use tests::lab::wait_for;

/// One process, no change of user: it must also run where the lab is an ordinary user's, who is root there and nobody else.
const NGINX: &str = "daemon on;
user root;
master_process off;
pid BASE/nginx.pid;
error_log BASE/nginx.error;
events {}
http {
  access_log off;
  client_body_temp_path BASE/t1; proxy_temp_path BASE/t2; fastcgi_temp_path BASE/t3; uwsgi_temp_path BASE/t4; scgi_temp_path BASE/t5;
  server { listen 80; location / { return 200 NODE\\n; } }
}
";

/// An operator's script, in the manner of `41.httpd`.
const MONITOR: &str = "#!/bin/sh
case \"$1\" in
startup) nginx -e \"$CTDB_BASE/nginx.error\" -c \"$CTDB_BASE/nginx.conf\" ;;
shutdown) nginx -e \"$CTDB_BASE/nginx.error\" -c \"$CTDB_BASE/nginx.conf\" -s stop ;;
monitor) curl -fsS -o /dev/null -m 2 http://127.0.0.1/ || { echo 'nginx does not answer'; exit 1; } ;;
esac
";

fn config() -> ClusterConfig {
    ClusterConfig {
        nodes: 2,
        addresses: vec!["10.0.0.31/24".to_owned(), "10.0.0.32/24".to_owned()],
        tunables: vec![("MonitorInterval".to_owned(), 1)],
        ..ClusterConfig::default()
    }
}

fn has_nginx(test: &str) -> bool {
    has(test, "nginx", "nginx-light") && has(test, "curl", "curl")
}

fn configure(c: &Cluster) {
    for node in 0..c.lab.nodes() {
        write(c, node, "nginx.conf", &NGINX.replace("NODE", &format!("node{node}")));
    }
}

/// Ends nginx of a node without a word to anyone.
fn kill_nginx(c: &Cluster, node: usize) {
    let pid = c.lab.paths(node).base.join("nginx.pid");
    let kill = format!("kill -9 $(cat {})", pid.display());
    assert_eq!(on(c, node, "sh", &["-c", &kill]), "");
}

/// Asks an address over and over from the client, a line for each answer: which node, or that there was none.
fn ask_in_a_loop(c: &Cluster, address: &str) -> impl Fn() -> Vec<String> + use<> {
    let answers = c.lab.dir().join("answers");
    let ask = format!(
        "while :; do curl -fs -m 1 http://{address}/ || echo none; sleep 0.02; done >{}",
        answers.display()
    );
    // Ends with the lab.
    let _loop = c.lab.client().command("sh").args(["-c", &ask]).spawn().unwrap();
    move || fs::read_to_string(&answers).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn nginx_moves_when_its_monitor_fails_and_a_client_sees_one_gap() {
    let test = "nginx_moves_when_its_monitor_fails_and_a_client_sees_one_gap";
    if !has_nginx(test) {
        return;
    }
    let legacy = vec![("41.nginx.script".to_owned(), MONITOR.to_owned())];
    let Some(mut c) = prepare(test, &[], &ClusterConfig { legacy, ..config() }) else { return };
    configure(&c);
    start(&mut c);
    let address = c.of(0)[0].to_string();
    let answers = ask_in_a_loop(&c, &address);
    let wait_answers = |what: &str, good: &dyn Fn(&[String]) -> bool| {
        wait_for(what, SOON, || {
            let seen = answers();
            if good(&seen) { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .unwrap();
    };
    wait_answers("ten answers of node0", &|seen| seen.iter().filter(|a| *a == "node0").count() >= 10);
    kill_nginx(&c, 0);
    c.wait_flags(1, 0, "UNHEALTHY");
    wait_answers("ten answers of node1", &|seen| seen.iter().filter(|a| *a == "node1").count() >= 10);
    let (_, status, _) = c.try_ctdb(0, &["event", "status", "legacy", "monitor"]);
    assert!(
        status.contains("41.nginx             ERROR") && status.contains("nginx does not answer"),
        "{status}"
    );
    let seen = answers();
    let mut phases = seen.clone();
    phases.dedup();
    assert_eq!(phases, ["node0", "none", "node1"], "{seen:?}");
    // The operator starts it again.
    let base = c.lab.paths(0).base.display().to_string();
    let again = [&format!("{base}/nginx.error"), "-c", &format!("{base}/nginx.conf")].map(str::to_owned);
    assert_eq!(on(&c, 0, "nginx", &["-e", &again[0], &again[1], &again[2]]), "");
    c.wait_balanced(&[0, 1]);
    c.wait_flags(1, 0, "OK");
}

#[test]
fn stock_41_httpd_starts_and_restarts_its_service() {
    let test = "stock_41_httpd_starts_and_restarts_its_service";
    if !has_nginx(test) {
        return;
    }
    let Some(mut c) = prepare(test, &["00.ctdb", "41.httpd"], &ClusterConfig { nodes: 1, ..config() }) else {
        return;
    };
    configure(&c);
    // The script wants a service called apache2; in the lab that is an init script which runs nginx.
    let base = c.lab.paths(0).base.display().to_string();
    let init = c.lab.dir().join("init.d");
    fs::create_dir(&init).unwrap();
    let service = format!(
        "#!/bin/sh\necho \"$1\" >>{base}/service\n\
         case \"$1\" in start) nginx -e {base}/nginx.error -c {base}/nginx.conf ;;\n\
         stop) nginx -e {base}/nginx.error -c {base}/nginx.conf -s stop 2>/dev/null ;; esac\nexit 0\n"
    );
    fs::write(init.join("apache2"), service).unwrap();
    fs::set_permissions(init.join("apache2"), fs::Permissions::from_mode(0o755)).unwrap();
    cover(&c, 0, "/etc/init.d", &init);
    start(&mut c);
    wait_script(&c, 0, "startup", "41.httpd", "OK");
    wait_on(&c, 0, &["curl", "-s", "http://127.0.0.1/"], |o| o == "node0\n");
    kill_nginx(&c, 0);
    // After the second failure it is started again; the node stays healthy.
    wait_on(&c, 0, &["curl", "-s", "http://127.0.0.1/"], |o| o == "node0\n");
    let asked = fs::read_to_string(format!("{base}/service")).unwrap();
    assert_eq!(asked, "start\nstop\nstart\n");
    c.wait_flags(0, 0, "OK");
    // `ctdb shutdown` stops it.
    let _ = c.ctdb(0, &["shutdown"]);
    c.daemon(0).wait_exit(Duration::from_secs(30)).unwrap();
    wait_on(&c, 0, &["curl", "-sS", "http://127.0.0.1/"], |o| o.contains("onnect"));
}
