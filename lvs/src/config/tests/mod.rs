//! What is understood, what is refused and with which words, and that no text makes the parser fail.

use super::*;
use crate::testkit::Host;

mod bad;
mod fuzz;
mod good;
mod usable;

/// The configuration of a text that must be taken without a finding.
fn good(text: &str) -> Config {
    let (config, findings) = load("vs.conf", &Host::of(text)).unwrap_or_else(|e| panic!("refused: {e:#?}"));
    assert_eq!(findings, [], "{text}");
    config
}

/// Findings as an operator sees them, without the file's name.
fn findings(text: &str) -> Vec<String> {
    let (_, _, findings) = check("vs.conf", &Host::of(text));
    findings.iter().map(|d| d.to_string().trim_start_matches("vs.conf:").to_owned()).collect()
}
