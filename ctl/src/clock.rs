//! Wall-clock times and spans as CTDB prints them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `Thu Oct 29 10:38:54 2009`, C's `ctime`.
pub(crate) fn ctime(us: i64, tz: &TimeZone) -> String {
    format(us, tz, "%a %b %e %H:%M:%S %Y")
}

/// `2026-11-20 10:11:12.345`.
pub(crate) fn stamp(us: i64, tz: &TimeZone) -> String {
    format(us, tz, "%Y-%m-%d %H:%M:%S.%3f")
}

/// A time that no calendar has, from a damaged record, prints as its number.
fn format(us: i64, tz: &TimeZone, how: &str) -> String {
    Timestamp::from_microsecond(us)
        .map_or_else(|_| format!("{us} us"), |t| t.to_zoned(tz.clone()).strftime(how).to_string())
}

/// `(000 16:54:28)`: days, hours, minutes, seconds; a negative span prints as zero.
pub(crate) fn span(us: i64) -> String {
    let s = us.max(0) / 1_000_000;
    format!("({:03} {:02}:{:02}:{:02})", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_ctime() {
        let utc = TimeZone::UTC;
        assert_eq!(ctime(1_256_812_734_000_000, &utc), "Thu Oct 29 10:38:54 2009");
        assert_eq!(ctime(0, &utc), "Thu Jan  1 00:00:00 1970");
        assert_eq!(stamp(1_256_812_734_345_999, &utc), "2009-10-29 10:38:54.345");
        assert_eq!(ctime(i64::MAX, &utc), "9223372036854775807 us");
    }

    #[test]
    fn times_are_local() {
        let tz = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(ctime(1_256_812_734_000_000, &tz), "Thu Oct 29 12:38:54 2009");
    }

    #[test]
    fn spans_count_days() {
        assert_eq!(span(60_868_000_000), "(000 16:54:28)");
        assert_eq!(span(100 * 86_400_000_000), "(100 00:00:00)");
        assert_eq!(span(-5), "(000 00:00:00)");
    }
}
