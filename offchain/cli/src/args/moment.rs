//! Points in time.

use std::str::FromStr;

use time::{Date, Month};

use super::Span;

/// A time: `+3d` from the newest block, `2026-12-31` at midnight UTC, or `@1700000000` in Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// So long after the newest block.
    After(Span),
    /// Unix seconds.
    At(u32),
}

impl Moment {
    /// In Unix seconds, with this time of the newest block.
    pub const fn unix(self, now: u32) -> u32 {
        match self {
            Self::After(span) => now.saturating_add(span.0),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        const ADVICE: &str = "write a time as +3d, 2026-12-31 or @1700000000";
        let text = input.trim();
        if let Some(span) = text.strip_prefix('+') {
            return span.parse().map(Self::After);
        }
        if let Some(unix) = text.strip_prefix('@') {
            return unix.parse().map(Self::At).map_err(|_| ADVICE.to_owned());
        }
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return Err(ADVICE.to_owned()) };
        let date = || {
            let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
            let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
            u32::try_from(date.midnight().assume_utc().unix_timestamp()).ok()
        };
        date().map(Self::At).ok_or_else(|| ADVICE.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn times_are_read() {
        let unix = |text: &str| text.parse::<Moment>().map(|m| m.unix(1_000));
        assert_eq!(unix("+1h"), Ok(4_600));
        assert_eq!(unix("@1700000000"), Ok(1_700_000_000));
        assert_eq!(unix("1970-01-02"), Ok(86_400));
        for bad in ["", "tomorrow", "3d", "1700000000", "2026-13-01", "2026-02-30", "+3", "@-1"] {
            assert!(unix(bad).is_err(), "{bad}");
        }
    }
}
