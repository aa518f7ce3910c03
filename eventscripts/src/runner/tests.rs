use super::*;
use crate::handler::{BoxFuture, Handled};
use crate::interface::{Interface, fake::Fake};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tokio::time::sleep;

const LONG: Duration = Duration::from_secs(30);

/// Writes an executable shell script.
pub(crate) fn script(dir: &Path, file: &str, body: &str) -> PathBuf {
    let path = dir.join(file);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

fn runner_with(dir: &Path, handlers: Vec<Arc<dyn Handler>>) -> Runner {
    Runner::new(RunnerConfig {
        events_dir: dir.to_owned(),
        installed_dir: None,
        env: vec![
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("LOG".to_owned(), dir.join("log").display().to_string()),
            ("CTDB_BASE".to_owned(), "/etc/ctdb".to_owned()),
        ],
        debug_hung_script: None,
        handlers,
        max_processes: 4,
    })
}

fn runner(dir: &Path) -> Arc<Runner> {
    Arc::new(runner_with(dir, vec![]))
}

struct Builtin(&'static str, Handled);

impl Handler for Builtin {
    fn name(&self) -> &str {
        self.0
    }

    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async move {
            if *event == Event::Shutdown {
                std::future::pending::<()>().await;
            }
            self.1.clone()
        })
    }
}

fn event(text: &str) -> Event {
    let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
    Event::parse(&words[0], &words[1..]).unwrap()
}

async fn run(runner: &Runner, text: &str) -> EventOutcome {
    run_for(runner, text, LONG).await
}

async fn run_for(runner: &Runner, text: &str, limit: Duration) -> EventOutcome {
    let ended = timeout(limit + LONG, runner.run(&event(text), limit)).await;
    match ended
        .unwrap_or_else(|_| panic!("{text} neither ended nor timed out; {:?}", runner.records().keys()))
    {
        RunResult::Done(outcome) => outcome,
        RunResult::Cancelled => panic!("{text} was cancelled"),
    }
}

fn failed(script: &str, message: &str) -> EventOutcome {
    EventOutcome::Failed { script: script.to_owned(), message: message.to_owned() }
}

fn timed_out(script: &str) -> EventOutcome {
    EventOutcome::TimedOut { script: script.to_owned() }
}

fn log(dir: &TempDir) -> Vec<String> {
    let text = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Awaits a line in the log; ten seconds at most.
async fn logged(dir: &TempDir, line: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !log(dir).iter().any(|l| l == line) {
        assert!(Instant::now() < deadline, "no {line:?} after 10 s in {:?}", log(dir));
        sleep(Duration::from_millis(5)).await;
    }
}

/// `NAME STATE OUTPUT` of the last run.
fn shown(runner: &Runner, event: &str) -> Vec<String> {
    let line = |s: ScriptStatus| format!("{} {:?} {}", s.name, s.state, s.output);
    runner.status(event).expect("it has run").scripts.into_iter().map(line).collect()
}

#[tokio::test]
async fn scripts_and_handlers_run_in_order_with_arguments_and_environment() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "60.b.script", "echo $0 $* >>$LOG");
    script(dir.path(), "05.c.script", "echo $* $CTDB_BASE ${HOME-none} >>$LOG");
    script(dir.path(), "60.a.script", "echo $0 >>$LOG");
    script(dir.path(), "README", "echo no >>$LOG");
    let handlers: Vec<Arc<dyn Handler>> = vec![Arc::new(Builtin("10.interface", Handled::OK))];
    let runner = runner_with(dir.path(), handlers);
    assert_eq!(run(&runner, "takeip eth1 10.0.0.31 24").await, EventOutcome::Ok);
    let at = dir.path().display();
    assert_eq!(
        log(&dir),
        [
            "takeip eth1 10.0.0.31 24 /etc/ctdb none".to_owned(),
            format!("{at}/60.a.script"),
            format!("{at}/60.b.script takeip eth1 10.0.0.31 24")
        ]
    );
    assert_eq!(shown(&runner, "takeip"), ["05.c Ok ", "10.interface Ok ", "60.a Ok ", "60.b Ok "]);
    let status = runner.status("takeip").unwrap();
    assert_eq!((status.args.join(" ").as_str(), status.summary()), ("eth1 10.0.0.31 24", 0));
    assert_eq!((runner.status("monitor"), runner.last_failure("takeip")), (None, None));
}

#[tokio::test]
async fn the_first_failure_stops_the_rest_and_its_last_words_are_told() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "10.ok.script", "echo fine");
    script(dir.path(), "20.bad.script", "echo first; echo 'it is broken' >&2; echo; exit 7");
    script(dir.path(), "30.next.script", "echo ran >>$LOG");
    let runner = runner(dir.path());
    assert_eq!(run(&runner, "monitor").await, failed("20.bad", "it is broken"));
    assert_eq!(log(&dir), Vec::<String>::new());
    assert_eq!(shown(&runner, "monitor"), ["10.ok Ok fine", "20.bad Error { code: 7 } first\nit is broken"]);
    assert_eq!(runner.status("monitor").unwrap().summary(), 7);

    script(dir.path(), "20.bad.script", "exit 1");
    assert_eq!(run(&runner, "monitor").await, failed("20.bad", "exit status 1"));
    script(dir.path(), "20.bad.script", "kill -KILL $$");
    assert_eq!(run(&runner, "monitor").await, failed("20.bad", "ended by signal: 9 (SIGKILL)"));
    assert_eq!(runner.status("monitor").unwrap().summary(), 137);
    fs::remove_file(dir.path().join("20.bad.script")).unwrap();
    assert_eq!(run(&runner, "monitor").await, EventOutcome::Ok);
    assert_eq!(log(&dir), ["ran"]);
    assert_eq!(runner.last_failure("monitor").unwrap().summary(), 137);
}

#[tokio::test]
async fn what_is_not_executable_is_disabled_and_what_cannot_be_executed_fails() {
    let dir = tempfile::tempdir().unwrap();
    let off = script(dir.path(), "10.off.script", "echo ran >>$LOG");
    fs::set_permissions(&off, Permissions::from_mode(0o644)).unwrap();
    let runner = runner(dir.path());
    assert_eq!(run(&runner, "monitor").await, EventOutcome::Ok);
    assert_eq!(shown(&runner, "monitor"), ["10.off Disabled "]);
    fs::set_permissions(&off, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run(&runner, "monitor").await, EventOutcome::Ok);
    assert_eq!(log(&dir), ["ran"], "what is enabled while the daemon runs does not run");

    let bad = script(dir.path(), "20.bad.script", "");
    for (content, errno, reason) in [
        (&b"\x7fELF nonsense"[..], Errno::ENOEXEC, "Exec format error"),
        (b"#!/nonexistent/shell\n", Errno::ENOENT, "No such file or directory"),
        (b"#!/\n", Errno::EACCES, "Permission denied"),
    ] {
        fs::write(&bad, content).unwrap();
        assert_eq!(run(&runner, "monitor").await, failed("20.bad", &format!("cannot run: {reason}")));
        let state = ScriptState::CannotRun { errno: errno as i32, reason: reason.to_owned() };
        let status = runner.status("monitor").unwrap();
        assert_eq!((&status.scripts[1].state, status.summary()), (&state, errno as i32));
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_does_not_keep_handlers_from_their_work() {
    let dir = tempfile::tempdir().unwrap();
    let (file, absent) = (dir.path().join("file"), dir.path().join("absent"));
    fs::write(&file, "").unwrap();
    let handlers = || -> Vec<Arc<dyn Handler>> { vec![Arc::new(Builtin("10.interface", Handled::OK))] };
    let broken = runner_with(&file, handlers());
    let outcome = run(&broken, "releaseip eth1 10.0.0.31 24").await;
    assert_eq!(outcome, failed(&file.display().to_string(), "cannot run: Not a directory"));
    assert_eq!(shown(&broken, "releaseip")[0], "10.interface Ok ");
    assert_eq!(run(&runner_with(&absent, handlers()), "monitor").await, EventOutcome::Ok);
}

#[tokio::test]
async fn a_file_replaces_or_disables_the_handler_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let bad: Vec<Arc<dyn Handler>> =
        vec![Arc::new(Builtin("10.interface", Handled::failed("ERROR: no link")))];
    let runner = runner_with(dir.path(), bad);
    assert_eq!(run(&runner, "monitor").await, failed("10.interface", "ERROR: no link"));
    assert_eq!(runner.status("monitor").unwrap().summary(), 1);
    let path = script(dir.path(), "10.interface.script", "echo mine");
    assert_eq!(run(&runner, "monitor").await, EventOutcome::Ok);
    assert_eq!(shown(&runner, "monitor"), ["10.interface Ok mine"]);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(run(&runner, "monitor").await, EventOutcome::Ok);
    assert_eq!(shown(&runner, "monitor"), ["10.interface Disabled "]);
}

#[tokio::test]
async fn time_is_for_all_scripts_together_and_the_caller_is_not_held() {
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "10.slow.script", "sleep 1");
    script(dir.path(), "20.hung.script", "trap '' TERM; echo before; sleep 60; sleep 60");
    script(dir.path(), "30.next.script", "echo ran >>$LOG");
    let runner = runner(dir.path());
    let outcome = run_for(&runner, "startup", Duration::from_secs(2)).await;
    assert_eq!(outcome, timed_out("20.hung"));
    assert!(runner.turns.entries() > 0, "the caller was held until the script was gone");
    assert_eq!(shown(&runner, "startup"), ["10.slow Ok ", "20.hung TimedOut before"]);
    let status = runner.status("startup").unwrap();
    assert_eq!(status.summary(), 110);
    assert!(status.scripts[1].duration < Duration::from_millis(1900), "{status:?}");
    assert_eq!(log(&dir), Vec::<String>::new());
}

#[tokio::test]
async fn a_hung_handler_times_out_too() {
    let dir = tempfile::tempdir().unwrap();
    let runner = runner_with(dir.path(), vec![Arc::new(Builtin("10.interface", Handled::OK))]);
    let outcome = run_for(&runner, "shutdown", Duration::from_millis(50)).await;
    assert_eq!(outcome, timed_out("10.interface"));
}

#[tokio::test]
async fn a_hung_script_costs_only_its_own_address() {
    let dir = tempfile::tempdir().unwrap();
    script(
        dir.path(),
        "50.x.script",
        "echo begin $1 $3 >>$LOG; [ $1$3 = takeip10.0.0.1 ] && exec sleep 60; echo end $1 $3 >>$LOG",
    );
    let runner = runner(dir.path());
    let hung = tokio::spawn({
        let runner = Arc::clone(&runner);
        async move { run_for(&runner, "takeip eth1 10.0.0.1 24", Duration::from_secs(4)).await }
    });
    logged(&dir, "begin takeip 10.0.0.1").await;
    let next = tokio::spawn({
        let runner = Arc::clone(&runner);
        async move { run(&runner, "releaseip eth1 10.0.0.1 24").await }
    });
    for i in 2..6 {
        assert_eq!(run(&runner, &format!("takeip eth1 10.0.0.{i} 24")).await, EventOutcome::Ok);
    }
    assert!(!hung.is_finished(), "the others waited for the hung one");
    assert!(!log(&dir).iter().any(|l| l.contains("releaseip")), "did not wait for its own address");
    assert_eq!(hung.await.unwrap(), timed_out("50.x"));
    assert_eq!(next.await.unwrap(), EventOutcome::Ok);
    assert_eq!(log(&dir).last().unwrap(), "end releaseip 10.0.0.1");
    assert_eq!(runner.last_failure("takeip").unwrap().args[1], "10.0.0.1");
    assert_eq!(runner.turns.entries(), 0, "turns that nobody holds are kept");
}

#[tokio::test]
async fn events_of_an_address_keep_their_order_and_processes_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    // Each logs how many run with it.
    script(
        dir.path(),
        "50.x.script",
        "mkdir $LOG.d.$$; ls -d $LOG.d.* | wc -l >>$LOG.count; echo $1 $3 $4 >>$LOG; sleep 0.02; rmdir $LOG.d.$$",
    );
    let runner = runner(dir.path());
    let mut tasks = Vec::new();
    for bits in 1..5 {
        for addr in 1..9 {
            let (runner, text) = (Arc::clone(&runner), format!("takeip eth1 10.0.0.{addr} {bits}"));
            tasks.push(tokio::spawn(async move { run(&runner, &text).await }));
        }
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), EventOutcome::Ok);
    }
    let log = log(&dir);
    assert_eq!(log.len(), 32);
    for addr in 1..9 {
        let own: Vec<_> = log.iter().filter(|l| l.contains(&format!(".{addr} "))).collect();
        let want: Vec<_> = (1..5).map(|bits| format!("takeip 10.0.0.{addr} {bits}")).collect();
        assert!(own.iter().copied().eq(&want), "{own:?}");
    }
    let counts = fs::read_to_string(dir.path().join("log.count")).unwrap();
    let most = counts.lines().map(|l| l.trim().parse::<u32>().unwrap()).max().unwrap();
    assert!((2..=4).contains(&most), "{most} at a time");
}

#[tokio::test]
async fn monitor_gives_way_and_leaves_no_record() {
    let dir = tempfile::tempdir().unwrap();
    script(
        dir.path(),
        "50.x.script",
        "echo begin $1 >>$LOG; case $1 in monitor) sleep 60;; startup) while [ -e $LOG.hold ]; do sleep 0.02; done;; esac",
    );
    let runner = runner(dir.path());
    let monitor = tokio::spawn({
        let runner = Arc::clone(&runner);
        async move { runner.run(&Event::Monitor, LONG).await }
    });
    logged(&dir, "begin monitor").await;
    assert_eq!(run(&runner, "takeip eth1 10.0.0.1 24").await, EventOutcome::Ok);
    let cancelled = timeout(Duration::from_secs(5), monitor).await.expect("monitor was not cancelled");
    assert_eq!(cancelled.unwrap(), RunResult::Cancelled);
    assert_eq!(runner.status("monitor"), None);

    fs::write(dir.path().join("log.hold"), "").unwrap();
    let startup = tokio::spawn({
        let runner = Arc::clone(&runner);
        async move { run(&runner, "startup").await }
    });
    logged(&dir, "begin startup").await;
    assert_eq!(runner.run(&Event::Monitor, LONG).await, RunResult::Cancelled);
    fs::remove_file(dir.path().join("log.hold")).unwrap();
    assert_eq!(startup.await.unwrap(), EventOutcome::Ok);
    script(dir.path(), "50.x.script", "exit 0");
    assert_eq!(run(&runner, "monitor").await, EventOutcome::Ok);
}

#[tokio::test]
async fn a_thousand_addresses_need_no_process_when_there_are_no_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Fake::with_links(&[("eth1", true, true)]);
    let public = watch::channel(Arc::from([])).1;
    let interface = Interface::new(Arc::clone(&fake) as Arc<dyn crate::NetIf>, public, vec![]);
    let mut runner = runner_with(dir.path(), vec![Arc::new(interface)]);
    // No process could start: none may be asked for.
    runner.processes = Arc::new(Semaphore::new(0));
    let runner = Arc::new(runner);
    let tasks: Vec<_> = (0..1000)
        .map(|i| {
            let (runner, text) =
                (Arc::clone(&runner), format!("takeip eth1 10.1.{}.{} 16", i / 250, i % 250));
            tokio::spawn(async move { run(&runner, &text).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), EventOutcome::Ok);
    }
    assert_eq!(fake.shown().len(), 1000);
}

#[test]
fn records_keep_the_shape_that_clients_read() {
    let script = |state| ScriptStatus {
        name: "50.x".to_owned(),
        state,
        started: SystemTime::UNIX_EPOCH,
        duration: Duration::from_millis(14),
        output: String::new(),
    };
    for (state, text) in [
        (ScriptState::Ok, r#""state":"ok""#),
        (ScriptState::Error { code: 7 }, r#""state":"error","code":7"#),
        (ScriptState::TimedOut, r#""state":"timedout""#),
        (ScriptState::Disabled, r#""state":"disabled""#),
        (
            ScriptState::CannotRun { errno: 13, reason: "Permission denied".to_owned() },
            r#""state":"cannotrun","errno":13,"reason":"Permission denied""#,
        ),
    ] {
        let json = serde_json::to_string(&script(state.clone())).unwrap();
        let want = format!(
            r#"{{"name":"50.x",{text},"started":{{"secs_since_epoch":0,"nanos_since_epoch":0}},"duration":{{"secs":0,"nanos":14000000}},"output":""}}"#
        );
        assert_eq!(json, want);
        assert_eq!(serde_json::from_str::<ScriptStatus>(&json).unwrap(), script(state));
    }
}
