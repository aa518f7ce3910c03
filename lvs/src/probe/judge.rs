//! Whether what an HTTP server answered is what was wanted: status, digest, expression.

use crate::config::check_types::{Url, UrlRegex};
use md5::{Digest, Md5};
use regex::bytes::Regex;
use std::fmt::Write;

/// What is wrong with an answer; nothing when it is as wanted.
pub(super) fn fault(url: &Url, status: u16, body: &[u8]) -> Option<String> {
    let path = &url.path;
    if !url.status.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
        return Some(format!("{path}: status {status}, not {}", ranges(&url.status)));
    }
    if let Some(wanted) = &url.digest {
        let found = digest(body);
        if found != *wanted {
            return Some(format!("{path}: status {status}, digest {found}, not {wanted}"));
        }
    }
    let regex = url.regex.as_ref()?;
    let compiled = match regex.compile() {
        Ok(compiled) => compiled,
        Err(why) => return Some(why),
    };
    match (matches(&compiled, regex, body), regex.no_match) {
        (false, false) => Some(format!("{path}: status {status}, nothing matches \"{}\"", regex.pattern)),
        (true, true) => Some(format!("{path}: status {status}, something matches \"{}\"", regex.pattern)),
        _ => None,
    }
}

/// Whether a match begins within the offsets.
fn matches(compiled: &Regex, regex: &UrlRegex, body: &[u8]) -> bool {
    if regex.min_offset > body.len() {
        return false;
    }
    let found = compiled.find_at(body, regex.min_offset);
    found.is_some_and(|m| regex.max_offset.is_none_or(|max| m.start() < max))
}

/// 32 lower-case hexadecimal digits.
fn digest(body: &[u8]) -> String {
    Md5::digest(body).iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ranges(all: &[(u16, u16)]) -> String {
    let text = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    all.iter().map(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url {
            path: "/".into(),
            status: vec![(200, 299), (404, 404)],
            virtualhost: None,
            digest: None,
            regex: None,
        }
    }

    fn regex(pattern: &str) -> UrlRegex {
        UrlRegex { pattern: pattern.into(), ..UrlRegex::default() }
    }

    #[test]
    fn status_digest_and_expression_are_each_judged() {
        assert_eq!(fault(&url(), 204, b""), None);
        assert_eq!(fault(&url(), 404, b""), None);
        assert_eq!(fault(&url(), 503, b"").unwrap(), "/: status 503, not 200-299 404");
        let digested = Url { digest: Some("900150983cd24fb0d6963f7d28e17f72".into()), ..url() };
        assert_eq!(fault(&digested, 200, b"abc"), None, "RFC 1321's own example");
        assert!(fault(&digested, 200, b"abd").unwrap().contains("digest"));
        let with = |r: UrlRegex| Url { regex: Some(r), ..url() };
        assert_eq!(fault(&with(regex("w.rld")), 200, b"hello world"), None);
        assert!(fault(&with(regex("W.RLD")), 200, b"hello world").is_some());
        let caseless = UrlRegex { options: vec!["caseless".into()], ..regex("W.RLD") };
        assert_eq!(fault(&with(caseless), 200, b"hello world"), None);
        let unwanted = UrlRegex { no_match: true, ..regex("error") };
        assert_eq!(fault(&with(unwanted.clone()), 200, b"fine"), None);
        assert!(fault(&with(unwanted), 200, b"an error").is_some());
    }

    #[test]
    fn a_match_counts_between_its_offsets_only() {
        let at = |min_offset, max_offset| {
            let r = UrlRegex { min_offset, max_offset, ..regex("b") };
            matches(&r.compile().unwrap(), &r, b"aabaa")
        };
        assert!(at(0, None) && at(2, None) && at(0, Some(3)));
        assert!(!at(3, None) && !at(0, Some(2)) && !at(99, None));
    }
}
