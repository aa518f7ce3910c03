use super::*;
use crate::parsed::told;
use proptest::prelude::*;

fn read(text: &str) -> Result<(CtdbConf, Vec<Ignored>), String> {
    told(CtdbConf::parse(text, Path::new("c")))
}

fn good(text: &str) -> CtdbConf {
    let (conf, ignored) = read(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(ignored, [], "{text:?}");
    conf
}

#[test]
fn an_empty_file_is_all_defaults() {
    let conf = good("# nothing\n\n[cluster]\n");
    assert_eq!(conf, CtdbConf::default());
    assert_eq!(conf.leader_timeout, Duration::from_secs(5));
    assert_eq!(conf.shutdown_failover_timeout, Duration::from_secs(10));
    assert_eq!(conf.shutdown_extra_timeout, Duration::ZERO);
    assert_eq!(conf.log_level, LogLevel::Notice);
    assert_eq!(conf.script_log_level, LogLevel::Error);
    assert!(conf.leader_capability && conf.realtime_scheduling && !conf.failover_disabled);
}

#[test]
fn every_key() {
    let conf = good(
        "[logging]\n location = file:/var/log/x\n log level = debug\n\
         [cluster]\n cluster lock = /shared/.ctdb/reclock\n cluster lock loss time = 2\n leader capability = no\n leader timeout = 7\n\
         \tnode address = 10.0.0.2\n nodes list = /etc/nodes\n transport = TCP\n\
         [event]\n debug script = debug-hung-script.sh\n\
         [failover]\n disabled = yes\n shutdown failover timeout = 0\n shutdown extra timeout = 3\n\
         [legacy]\n start as stopped = true\n start as disabled = TRUE\n realtime scheduling = false\n lvs self test = false\n\
         lmaster capability = No\n script log level = INFO\n",
    );
    let expected = CtdbConf {
        log_location: Some(LogLocation::File("/var/log/x".into())),
        log_level: LogLevel::Debug,
        cluster_lock: Some(ClusterLock::File("/shared/.ctdb/reclock".into())),
        cluster_lock_loss_time: Duration::from_secs(2),
        leader_capability: false,
        leader_timeout: Duration::from_secs(7),
        node_address: Some("10.0.0.2".parse().unwrap()),
        nodes_list: Some(NodesSource::File("/etc/nodes".into())),
        debug_script: Some("debug-hung-script.sh".into()),
        failover_disabled: true,
        shutdown_failover_timeout: Duration::ZERO,
        shutdown_extra_timeout: Duration::from_secs(3),
        start_as_stopped: true,
        start_as_disabled: true,
        realtime_scheduling: false,
        lvs_self_test: false,
        lmaster_capability: false,
        script_log_level: LogLevel::Info,
    };
    assert_eq!(conf, expected);
}

#[test]
fn old_names_and_spellings() {
    assert_eq!(good("[cluster]\nrecovery lock = /l\n").cluster_lock, Some(ClusterLock::File("/l".into())));
    let lock = |text: &str| good(&format!("[cluster]\ncluster lock = {text}\n")).cluster_lock.unwrap();
    let argv = ["/bin/helper", "-x", "y"].map(str::to_owned).to_vec();
    assert_eq!(lock("!/bin/helper  -x y"), ClusterLock::Helper(argv));
    assert_eq!((lock("quorum"), lock("Quorum").to_string()), (ClusterLock::Quorum, "quorum".to_owned()));
    for text in ["/shared/lock", "!/bin/helper -x y", "etcd:h:2379,[fd00::1]:1/k/x?ttl=9"] {
        assert_eq!(lock(text).to_string(), text, "as getreclock shows it");
    }
    assert!(!good("[cluster]\nrecmaster capability = false").leader_capability);
    assert!(!good("[legacy]\nrecmaster capability = false").leader_capability);
    assert!(good("[legacy]\nctdb start as stopped = true").start_as_stopped);
    assert!(good("[Legacy]\nSTART  as\tDisabled = true").start_as_disabled);
}

#[test]
fn values_in_their_forms() {
    assert_eq!(good("[cluster]\ncluster lock =\n").cluster_lock, None);
    assert_eq!(good("[cluster]\nnode address =\n").node_address, None);
    assert_eq!(good("[cluster]\nnodes list =\n").nodes_list, None);
    assert_eq!(good("[cluster]\nleader timeout = 5\nleader timeout = 9").leader_timeout.as_secs(), 9);
    let wanted = Some("10.0.0.1".parse().unwrap());
    assert_eq!(good("[cluster]\nnode address = ::ffff:10.0.0.1").node_address, wanted);
    let command = ["/usr/bin/list", "-x", "y"].map(str::to_owned).to_vec();
    let nodes = good("[cluster]\nnodes list = !/usr/bin/list  -x \\\n y").nodes_list;
    assert_eq!(nodes, Some(NodesSource::Command(command)));
}

#[test]
fn wrong_values_name_line_and_remedy() {
    for (text, expected) in [
        (
            "[cluster]\n\nleader timeout = 5s",
            "c:3: leader timeout cannot be \"5s\"; write whole seconds, 1 or",
        ),
        ("[cluster]\nleader timeout = 0", "c:2: leader timeout cannot be \"0\""),
        ("[cluster]\nleader timeout =", "c:2: leader timeout cannot be \"\""),
        ("[cluster]\nleader capability = 1", "c:2: leader capability cannot be \"1\"; write true or false"),
        ("[cluster]\nleader capability =", "c:2: leader capability cannot be \"\""),
        ("[cluster]\nnode address = host1", "c:2: node address cannot be \"host1\"; write this node's"),
        ("[cluster]\nnode address = 10.0.0.1/24", "c:2: node address cannot be"),
        ("[cluster]\ntransport = ib", "c:2: transport \"ib\" is not supported; write tcp or remove"),
        (
            "[cluster]\ncluster lock = !helper x",
            "c:2: cluster lock cannot be \"!helper x\"; write an absolute",
        ),
        ("[cluster]\ncluster lock = !", "c:2: cluster lock names no program after the \"!\""),
        (
            "[cluster]\n\ncluster lock = etcd:/k",
            "c:3: cluster lock cannot be \"etcd:/k\": endpoint \"\" is not HOST",
        ),
        (
            "[cluster]\ncluster lock = etcd:h:2379",
            "c:2: cluster lock cannot be \"etcd:h:2379\": there is no /KEY",
        ),
        (
            "[cluster]\ncluster lock loss time = x",
            "c:2: cluster lock loss time cannot be \"x\"; write whole seconds, 0",
        ),
        (
            "[cluster]\ncluster lock = lockfile",
            "c:2: cluster lock cannot be \"lockfile\"; write an absolute path",
        ),
        ("[cluster]\nnodes list = nodes", "c:2: nodes list cannot be \"nodes\"; write an absolute path"),
        ("[cluster]\nnodes list = !", "c:2: nodes list names no command"),
        ("[logging]\nlog level = LOUD", "c:2: \"LOUD\" is no log level; write ERROR, WARNING"),
        ("[logging]\nlocation = /var/log/x", "c:2: \"/var/log/x\" is no log location; write file:/PATH"),
        ("[failover]\ndisabled = maybe", "c:2: disabled cannot be \"maybe\""),
        ("[failover]\nshutdown failover timeout = -1", "c:2: shutdown failover timeout cannot be \"-1\""),
        ("[legacy]\nscript log level =", "c:2: \"\" is no log level"),
        ("[cluster\n", "c:1: section header"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn what_has_no_meaning_is_collected() {
    let (_, ignored) = read(
        "[database]\nvolatile database directory = /x\nlock debug script = y\n[cluster]\ncluster lok = /x\n\
         [clustr]\nnode address = z\n[zzz]\nkey = v\n",
    )
    .unwrap();
    let found: Vec<_> = ignored.iter().map(|i| (i.name.as_str(), i.line, i.near)).collect();
    let expected = [
        ("[database] volatile database directory", 2, None),
        ("[database] lock debug script", 3, None),
        ("[cluster] cluster lok", 5, Some("cluster lock")),
        ("[clustr] node address", 7, Some("cluster")),
        ("[zzz] key", 9, None),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn any_text_gives_one_line_a_fault(
        section in "logging|cluster|event|failover|legacy|\\PC{0,9}",
        key in "location|log level|leader timeout|nodes list|cluster lock|disabled|node address|\\PC{0,9}",
        value in "\\PC*",
    ) {
        let text = format!("[{section}]\n{key} = {value}\n");
        match read(&text) {
            Ok((_, ignored)) => prop_assert!(ignored.iter().all(|i| !i.name.contains('\n'))),
            Err(errors) => {
                let faults = CtdbConf::parse(&text, Path::new("c")).faults;
                prop_assert_eq!(errors.split('\n').count(), faults.len(), "{}", errors);
            }
        }
    }
}
