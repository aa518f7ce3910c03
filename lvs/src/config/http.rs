//! `HTTP_GET` and `SSL_GET`: URLs and what they must answer.

use super::check_types::{HttpCheck, HttpVersion, Url, UrlRegex};
use super::inherit::Inherited;
use super::tree::Statement;
use super::value::Reader;
use super::words;
use hyper::{Uri, header::HeaderValue};

/// Keywords of `url`, for "did you mean".
const KEYWORDS: [&str; 11] = [
    "path",
    "digest",
    "status_code",
    "virtualhost",
    "regex",
    "regex_no_match",
    "regex_options",
    "regex_stack",
    "regex_min_offset",
    "regex_max_offset",
    "tls_compliant",
];

/// Options of PCRE that mean the same in ours.
const REGEX_OPTIONS: [&str; 5] = ["caseless", "dotall", "multiline", "extended", "ungreedy"];

impl Reader<'_> {
    /// A keyword of the check itself.
    pub(super) fn http_setting(&mut self, s: &Statement, http: &mut HttpCheck, inherited: &Inherited) {
        match s.name() {
            "url" => {
                if let Some(url) = self.url(s, inherited) {
                    http.urls.push(url);
                }
            }
            "fast_recovery" => http.fast_recovery = self.flag(s),
            "http_protocol" => {
                http.version =
                    match self.one(s, "1.0, 1.0C or 1.1").map(|w| w.text.to_ascii_uppercase()).as_deref() {
                        Some("1.0") | None => HttpVersion::V1_0,
                        Some("1.0C") => HttpVersion::V1_0Close,
                        Some("1.1") => HttpVersion::V1_1,
                        Some(other) => {
                            self.report.error(
                                s.at(),
                                format!("http_protocol takes 1.0, 1.0C or 1.1, not \"{other}\""),
                            );
                            HttpVersion::V1_0
                        }
                    }
            }
            name => {
                let Some(tls) = &mut http.tls else { return };
                match name {
                    "enable_sni" => tls.enable_sni = self.flag(s),
                    "sni_name" => {
                        tls.sni_name = self.one(s, "a host name").map(|w| w.text.clone());
                        tls.enable_sni = true;
                    }
                    _ => {
                        tls.ca = self.one(s, "a file of certificates").map(|w| w.text.clone());
                        if let Some(file) = tls.ca.clone() {
                            self.authority(s.at(), &file);
                        }
                    }
                }
            }
        }
    }

    fn url(&mut self, s: &Statement, inherited: &Inherited) -> Option<Url> {
        let mut url = Url {
            path: String::new(),
            status: Vec::new(),
            virtualhost: inherited.virtualhost.clone(),
            digest: None,
            regex: None,
        };
        let mut regex = UrlRegex::default();
        let mut expression = None;
        let mut about_regex = None;
        for s in s.block.iter().flatten() {
            if s.name().starts_with("regex_") {
                about_regex = Some(s);
            }
            match s.name() {
                "path" => url.path = self.one(s, "a path").map_or(String::new(), |w| w.text.clone()),
                "digest" => url.digest = self.digest(s),
                "status_code" => url.status.extend(s.args.iter().filter_map(|w| self.status(s, &w.text))),
                "virtualhost" => url.virtualhost = self.one(s, "a host name").map(|w| w.text.clone()),
                "regex" => {
                    expression = Some(s);
                    let one = self.one(s, "one expression, quoted when it has blanks");
                    regex.pattern = one.map_or(String::new(), |w| w.text.clone());
                }
                "regex_no_match" => regex.no_match = self.flag(s),
                "regex_options" => regex.options = self.regex_options(s),
                "regex_min_offset" => regex.min_offset = self.number(s, 0..=usize::MAX / 2).unwrap_or(0),
                "regex_max_offset" => regex.max_offset = self.number(s, 0..=usize::MAX / 2),
                // Ours always are.
                "tls_compliant" => {
                    self.flag(s);
                }
                _ => words::unknown(s, "url", &[&KEYWORDS], self.report),
            }
        }
        if url.path.is_empty() {
            self.report.error(s.at(), "url has no path");
            return None;
        }
        if !url.path.starts_with('/') || url.path.contains(char::is_whitespace) {
            self.report.error(s.at(), format!("path \"{}\" must begin with / and have no blanks", url.path));
        } else if let Err(why) = url.path.parse::<Uri>() {
            let said = format!("path \"{}\" cannot be asked for: {why}; write such as /health", url.path);
            self.report.error(s.at(), said);
        }
        if let Some(host) = url.virtualhost.as_ref().filter(|h| HeaderValue::from_str(h).is_err()) {
            self.report.error(
                s.at(),
                format!("\"{host}\" is no name for a Host header: write such as www.example.org"),
            );
        }
        if let Some(s) = expression {
            if let Err(why) = regex.compile() {
                self.report.error(s.at(), why);
            }
            url.regex = Some(regex);
        } else if let Some(s) = about_regex {
            self.report.error(s.at(), format!("{} means nothing without regex", s.name()));
        }
        if url.status.is_empty() {
            url.status.push((200, 299));
        }
        Some(url)
    }

    fn digest(&mut self, s: &Statement) -> Option<String> {
        let word = self.one(s, "an MD5 sum")?;
        let ok = word.text.len() == 32 && word.text.bytes().all(|b| b.is_ascii_hexdigit());
        if !ok {
            self.report.error(
                s.at(),
                format!("digest takes an MD5 sum of 32 hexadecimal digits, not \"{}\"", word.text),
            );
        }
        ok.then(|| word.text.to_ascii_lowercase())
    }

    fn status(&mut self, s: &Statement, text: &str) -> Option<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let code = |t: &str| t.parse().ok().filter(|c| (100..=999).contains(c));
        let range = code(first).zip(code(last)).filter(|(first, last)| first <= last);
        if range.is_none() {
            let said = format!("status_code takes codes and ranges such as 200 or 200-299, not \"{text}\"");
            self.report.error(s.at(), said);
        }
        range
    }

    fn regex_options(&mut self, s: &Statement) -> Vec<String> {
        for word in s.args.iter().filter(|w| !REGEX_OPTIONS.contains(&w.text.as_str())) {
            let said = format!(
                "regex_options {}: not part of ctdb-ip; known are {}",
                word.text,
                REGEX_OPTIONS.join(", ")
            );
            self.report.error(s.at(), said);
        }
        s.args.iter().map(|w| w.text.clone()).collect()
    }
}
