//! Shapes of reference/ctdb.md 1.3.

use super::*;
use crate::out::json_text;

fn script(name: &str, state: ScriptState, duration_us: u64, output: &str) -> ScriptRow {
    let started_us = 1_482_003_551_000_000;
    ScriptRow { name: name.into(), state, duration_us, started_us, output: output.into() }
}

fn view() -> EventView {
    let scripts = vec![
        script("00.ctdb", ScriptState::Ok, 14_000, "all is well\n"),
        script(
            "10.interface",
            ScriptState::Error { code: 1 },
            20_000,
            "ERROR: public network interface eth9 doesn't exist\n",
        ),
        script("20.multipathd", ScriptState::Disabled, 0, ""),
        script("50.samba", ScriptState::TimedOut, 30_000_000, "first\n  second\n"),
        script("60.nfs", ScriptState::CannotRun { reason: "Permission denied".into() }, 0, ""),
    ];
    EventView { event: "monitor".into(), scripts, summary: 1 }
}

#[test]
fn status_for_a_person() {
    assert_eq!(
        status_plain(&view(), false, &TimeZone::UTC),
        "\
00.ctdb              OK         0.014 Sat Dec 17 19:39:11 2016
10.interface         ERROR      0.020 Sat Dec 17 19:39:11 2016
  OUTPUT: ERROR: public network interface eth9 doesn't exist
20.multipathd        DISABLED
50.samba             TIMEDOUT   Sat Dec 17 19:39:11 2016
  OUTPUT:
    first
      second
60.nfs               CANNOT RUN (Permission denied)
"
    );
    assert!(status_plain(&view(), true, &TimeZone::UTC).contains("2016\n  OUTPUT: all is well\n10."));
}

#[test]
fn status_for_scripts_and_programs() {
    assert_eq!(
        status_table(&view(), '|'),
        "\
|Script|State|Duration|Started|
|00.ctdb|OK|0.014|1482003551|
|10.interface|ERROR|0.020|1482003551|
|20.multipathd|DISABLED|0.000|1482003551|
|50.samba|TIMEDOUT|30.000|1482003551|
|60.nfs|CANNOT RUN|0.000|1482003551|
"
    );
    let mut one = view();
    one.scripts.drain(2..);
    one.scripts.remove(0);
    assert_eq!(
        json_text(&status_json(&one)),
        r#"{
  "event": "monitor",
  "summary": 1,
  "scripts": [
    {
      "name": "10.interface",
      "state": "ERROR",
      "code": 1,
      "reason": null,
      "duration_us": 20000,
      "started_us": 1482003551000000,
      "output": "ERROR: public network interface eth9 doesn't exist\n"
    }
  ]
}
"#
    );
}

#[test]
fn the_exit_status_is_the_result() {
    assert_eq!([0, 1, 62, -9, 256, 255].map(exit_status), [0, 1, 62, 247, 1, 255]);
}

#[test]
fn a_run_is_silent_or_says_how_it_failed() {
    assert_eq!(run_outcome(&EventOutcome::Ok, "legacy", "monitor"), Ok(Output::silent()));
    let script = "50.samba".to_owned();
    let text = |o| run_outcome(&o, "legacy", "monitor").unwrap_err().message;
    assert_eq!(
        text(EventOutcome::TimedOut { script: script.clone() }),
        "Event monitor in legacy timed out\n50.samba timed out"
    );
    assert_eq!(
        text(EventOutcome::Failed { script, message: "smbd is down".into() }),
        "Event monitor in legacy failed\n50.samba failed: smbd is down"
    );
}

#[test]
fn local_scripts_come_after_a_blank_line() {
    let info =
        |name: &str, enabled, shipped| ScriptInfo { name: name.into(), enabled, builtin: false, shipped };
    let mut scripts = vec![info("00.ctdb", true, true), info("31.clamd", false, true)];
    assert_eq!(list_plain(&scripts), "* 00.ctdb\n  31.clamd\n");
    scripts.push(info("99.mine", true, false));
    assert_eq!(list_plain(&scripts), "* 00.ctdb\n  31.clamd\n\n* 99.mine\n");
    assert_eq!(list_table(&scripts[..1], '|'), "|Script|Enabled|Builtin|Shipped|\n|00.ctdb|1|0|1|\n");
}

#[test]
fn there_is_one_component() {
    assert_eq!(check_component("legacy"), Ok(()));
    assert_eq!(check_component("foo").unwrap_err().message, "Event dir for foo does not exist");
}
