use super::*;
use crate::runner::test_script as script;

fn spec<'a>(path: &'a Path, args: &'a [String]) -> Spec<'a, String> {
    Spec { path, args, env: Arc::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]) }
}

/// Awaits a condition; ten seconds at most.
async fn until(what: &str, mut cond: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !cond() {
        assert!(Instant::now() < deadline, "still waiting after 10 s: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The pid that a script wrote to `file`, when it is there.
async fn pid_in(file: &Path) -> Pid {
    let read = || std::fs::read_to_string(file).ok().filter(|t| t.ends_with('\n'));
    until(&format!("a pid in {}", file.display()), || read().is_some()).await;
    Pid::from_raw(read().unwrap().trim().parse().unwrap())
}

/// Whether the process is there and not a zombie.
fn alive(pid: Pid) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

#[tokio::test]
async fn output_of_both_streams_is_kept_in_order_with_status() {
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "a", "echo one $1; echo two >&2; pwd; readlink /proc/$$/fd/0; exit 3");
    let mut running = start(&spec(&path, &["x y".to_owned()]), None, ()).await.unwrap();
    assert_eq!(running.finish().await.unwrap().code(), Some(3));
    assert_eq!(running.output(), "one x y\ntwo\n/\n/dev/null");
}

#[tokio::test]
async fn of_much_output_the_end_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "a", "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last");
    let mut running = start(&spec(&path, &[]), None, ()).await.unwrap();
    assert!(running.finish().await.unwrap().success());
    let output = running.output();
    assert!(output.starts_with("... 934470 bytes before this are not kept\nxxx"), "{}", &output[..80]);
    assert!(output.ends_with("x\nlast"), "{}", &output[output.len() - 80..]);
}

#[tokio::test]
async fn a_service_left_behind_neither_delays_the_end_nor_dies() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let path = script(dir.path(), "a", &format!("sleep 60 & echo $! >{}; echo started", file.display()));
    let mut running = start(&spec(&path, &[]), None, ()).await.unwrap();
    let status = timeout(Duration::from_secs(10), running.finish()).await.expect("waits for the service");
    assert!(status.unwrap().success());
    assert_eq!(running.output(), "started");
    drop(running);
    let service = pid_in(&file).await;
    assert!(alive(service), "the service was ended with its starter");
    nix::sys::signal::kill(service, Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn the_whole_group_ends_when_time_is_over_even_if_it_ignores_term() {
    let dir = tempfile::tempdir().unwrap();
    let (file, seen) = (dir.path().join("pid"), dir.path().join("seen"));
    let hook = script(dir.path(), "hook", &format!("echo $* >{}; kill -0 $1", seen.display()));
    let body =
        format!("trap '' TERM; sh -c 'echo $$ >{}; sleep 60; sleep 60' & echo begun; wait", file.display());
    let path = script(dir.path(), "a", &body);
    let (gone, mut kept) = oneshot::channel::<()>();
    let running =
        start(&spec(&path, &[]), Some(Hook { path: hook, event: "monitor".to_owned() }), gone).await.unwrap();
    let grandchild = pid_in(&file).await;
    until("output", || running.output() == "begun").await;
    assert!(alive(grandchild));
    let before = Instant::now();
    running.time_out();
    assert!(before.elapsed() < GRACE, "the caller was held");
    assert!(kept.try_recv().is_err());
    until("the grandchild's end", || !alive(grandchild)).await;
    assert!(before.elapsed() >= GRACE, "killed without grace, after {:?}", before.elapsed());
    timeout(Duration::from_secs(10), kept).await.expect("what is kept is dropped").unwrap_err();
    let seen = std::fs::read_to_string(seen).expect("the hook did not run");
    assert!(seen.ends_with(" monitor\n"), "{seen}");
}

#[tokio::test]
async fn dropping_ends_it_without_the_hook_and_at_once_when_it_obeys() {
    let dir = tempfile::tempdir().unwrap();
    let (file, seen) = (dir.path().join("pid"), dir.path().join("seen"));
    let hook = script(dir.path(), "hook", &format!("touch {}", seen.display()));
    let path = script(dir.path(), "a", &format!("echo $$ >{}; exec sleep 60", file.display()));
    let (gone, kept) = oneshot::channel::<()>();
    let running =
        start(&spec(&path, &[]), Some(Hook { path: hook, event: String::new() }), gone).await.unwrap();
    let pid = pid_in(&file).await;
    let before = Instant::now();
    drop(running);
    timeout(Duration::from_secs(10), kept).await.expect("what is kept is dropped").unwrap_err();
    assert!(before.elapsed() < GRACE, "waited although it obeys TERM");
    assert!(!alive(pid) && !seen.exists());
}

#[tokio::test]
async fn a_hung_hook_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let hook = script(dir.path(), "hook", "exec sleep 60");
    let path = script(dir.path(), "a", "exec sleep 60");
    let (gone, kept) = oneshot::channel::<()>();
    let running =
        start(&spec(&path, &[]), Some(Hook { path: hook, event: String::new() }), gone).await.unwrap();
    running.time_out();
    timeout(HOOK_LIMIT + Duration::from_secs(10), kept).await.expect("the hook is waited for").unwrap_err();
}

#[test]
fn nothing_outlives_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let path = script(dir.path(), "a", &format!("sleep 60 & echo $! >{}; wait", file.display()));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let daemon = runtime();
    let grandchild = daemon.block_on(async {
        let running = start(&spec(&path, &[]), None, ()).await.unwrap();
        let pid = pid_in(&file).await;
        std::mem::forget(running);
        pid
    });
    drop(daemon);
    runtime().block_on(until("the grandchild's end", || !alive(grandchild)));
}
