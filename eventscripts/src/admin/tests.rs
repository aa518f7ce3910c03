use super::*;
use crate::handler::{BoxFuture, Handled, Handler};
use crate::runner::{RunnerConfig, test_script as script};
use recoverd::model::Event;
use std::sync::Arc;

struct Builtin;

impl Handler for Builtin {
    fn name(&self) -> &str {
        "10.interface"
    }

    fn handle<'a>(&'a self, _: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async { Handled::OK })
    }
}

struct Place {
    runner: Runner,
    events: PathBuf,
    installed: PathBuf,
    _dir: tempfile::TempDir,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (events, installed) = (dir.path().join("etc/legacy"), dir.path().join("share"));
    fs::create_dir(&installed).unwrap();
    for name in ["00.ctdb.script", "31.clamd.script"] {
        script(&installed, name, "exit 0");
    }
    let runner = Runner::new(RunnerConfig {
        events_dir: events.clone(),
        installed_dir: Some(installed.clone()),
        env: vec![],
        debug_hung_script: None,
        handlers: vec![Arc::new(Builtin)],
        max_processes: 1,
    });
    Place { runner, events, installed, _dir: dir }
}

impl Place {
    /// As `ctdb event script list` prints it, with the kind.
    fn list(&self) -> Vec<String> {
        let line = |s: ScriptInfo| format!("{} {} {:?}", if s.enabled { '*' } else { ' ' }, s.name, s.kind);
        self.runner.list().unwrap().into_iter().map(line).collect()
    }
}

#[test]
fn installed_scripts_are_enabled_by_a_link_and_disabled_by_removing_it() {
    let p = place();
    let off = ["  00.ctdb Installed", "* 10.interface Builtin", "  31.clamd Installed"];
    assert_eq!(p.list(), off);
    for _ in 0..2 {
        p.runner.enable("00.ctdb").unwrap();
        assert_eq!(p.list(), ["* 00.ctdb Installed", "* 10.interface Builtin", "  31.clamd Installed"]);
    }
    assert_eq!(fs::read_link(p.events.join("00.ctdb.script")).unwrap(), p.installed.join("00.ctdb.script"));
    for _ in 0..2 {
        p.runner.disable("00.ctdb.script").unwrap();
        assert_eq!(p.list(), off);
    }
    assert!(p.installed.join("00.ctdb.script").exists());
}

#[test]
fn local_scripts_get_and_lose_their_execute_bits() {
    let p = place();
    fs::create_dir_all(&p.events).unwrap();
    let path = script(&p.events, "99.mine.script", "exit 0");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(p.list()[3], "* 99.mine Local");
    p.runner.disable("99.mine").unwrap();
    assert_eq!((p.list()[3].as_str(), mode()), ("  99.mine Local", 0o640));
    p.runner.enable("99.mine").unwrap();
    assert_eq!((p.list()[3].as_str(), mode()), ("* 99.mine Local", 0o750));
}

#[test]
fn a_built_in_is_disabled_by_an_empty_file_that_enabling_removes() {
    let p = place();
    let path = p.events.join("10.interface.script");
    for _ in 0..2 {
        p.runner.disable("10.interface").unwrap();
        assert_eq!(p.list()[1], "  10.interface Builtin");
        assert_eq!(fs::read(&path).unwrap(), b"");
    }
    for _ in 0..2 {
        p.runner.enable("10.interface").unwrap();
        assert_eq!(p.list()[1], "* 10.interface Builtin");
        assert!(!path.exists());
    }
}

#[test]
fn a_local_script_in_the_place_of_a_built_in_is_shown_and_kept() {
    let p = place();
    fs::create_dir_all(&p.events).unwrap();
    let path = script(&p.events, "10.interface.script", "exit 0");
    assert_eq!(p.list()[1..], ["  10.interface Builtin", "  31.clamd Installed", "* 10.interface Local"]);
    p.runner.disable("10.interface").unwrap();
    assert_eq!(p.list()[3], "  10.interface Local");
    p.runner.enable("10.interface").unwrap();
    assert_eq!(p.list()[3], "* 10.interface Local");
    assert!(fs::metadata(path).unwrap().len() > 0);
}

#[test]
fn what_is_no_script_is_refused() {
    let p = place();
    fs::create_dir_all(p.events.join("50.dir.script")).unwrap();
    let dir = p.events.display();
    for (name, want) in [
        ("77.none", format!("Script 77.none does not exist in {dir}")),
        ("50.dir", format!("Script {dir}/50.dir.script is not a file or a link")),
        ("samba", "script name samba is not of the form NN.name, as 50.samba".to_owned()),
        ("00./../x", "script name 00./../x is not of the form NN.name, as 50.samba".to_owned()),
    ] {
        assert_eq!(p.runner.enable(name).unwrap_err().to_string(), want);
        assert_eq!(p.runner.disable(name).unwrap_err().to_string(), want);
    }
}
