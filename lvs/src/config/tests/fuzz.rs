//! No text makes the parser fail, and what it refuses it explains.

use super::*;
use proptest::prelude::*;

const PIECES: [&str; 34] = [
    "virtual_server",
    "virtual_server_group",
    "group",
    "g",
    "192.0.2.1",
    "fd00::1",
    "80",
    "0",
    "{",
    "}",
    "\n",
    "\n",
    "real_server",
    "HTTP_GET",
    "url",
    "path",
    "/x",
    "\"",
    "'",
    "\\",
    "#",
    "!",
    "include",
    "vs.conf",
    "weight",
    "-1",
    "fwmark",
    "quorum",
    "1-5",
    "/33",
    "MISC_CHECK",
    "misc_path",
    "status_code",
    "persistence_granularity",
];

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,200}") {
        let _ = findings(&text);
    }

    #[test]
    fn any_words_are_read(words in proptest::collection::vec((proptest::sample::select(&PIECES[..]), any::<bool>()), 0..80)) {
        let text: String = words.iter().map(|(w, blank)| if *blank { format!("{w} ") } else { (*w).to_owned() }).collect();
        let (_, failed, findings) = check("vs.conf", &Host::of(&text));
        prop_assert_eq!(failed, findings.iter().any(|f| f.severity == Severity::Error));
        prop_assert!(findings.iter().all(|f| !f.message.is_empty() && f.at.line >= 1));
        prop_assert!(findings.is_sorted_by(|a, b| a.at <= b.at));
    }

    /// Quoting is lossless for arguments of programs.
    #[test]
    fn arguments_come_back(args in proptest::collection::vec("[a-z \"]{0,8}", 1..5)) {
        let text: Vec<String> = args.iter().map(|a| format!("'{a}'")).collect();
        let whole = format!("/p {}", text.join(" "));
        let argv = split(&whole).unwrap();
        prop_assert_eq!(&argv[1..], &args[..]);
    }
}
