//! Spans of time with their unit.

use std::str::FromStr;

/// A span: `3d`, `2h`, `90s`, `1d12h`. A number without a unit is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span(pub u32);

const UNITS: [(char, u32); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const ADVICE: &str = "write a span of time such as 3d, 2h, 30m, 90s or 1d12h";

impl FromStr for Span {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let text = input.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{text} has no unit: {ADVICE}"));
        }
        let (mut total, mut number, mut last) = (0_u32, None::<u32>, u32::MAX);
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let next = number.unwrap_or_default().checked_mul(10).and_then(|n| n.checked_add(digit));
                number = Some(next.ok_or_else(|| format!("{text} is too long"))?);
                continue;
            }
            let unit = UNITS.iter().find(|(unit, _)| *unit == c.to_ascii_lowercase()).map(|(_, seconds)| *seconds);
            let (Some(count), Some(unit)) = (number.take(), unit) else { return Err(ADVICE.to_owned()) };
            // Each unit once, the longest first: "2h3d" is a slip more often than a wish.
            if unit >= last {
                return Err(ADVICE.to_owned());
            }
            last = unit;
            let part = count.checked_mul(unit).and_then(|part| total.checked_add(part));
            total = part.ok_or_else(|| format!("{text} is too long"))?;
        }
        if number.is_some() || last == u32::MAX {
            return Err(ADVICE.to_owned());
        }
        Ok(Self(total))
    }
}

/// A span in the same form.
pub fn in_words(seconds: u32) -> String {
    let (mut rest, mut text) = (seconds, String::new());
    for (name, unit) in UNITS.into_iter().skip(1) {
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds) in
            [("3d", 259_200), ("2h", 7_200), ("90s", 90), ("1d12h", 129_600), ("2w", 1_209_600), ("0s", 0)]
        {
            assert_eq!(text.parse(), Ok(Span(seconds)), "{text}");
            assert_eq!(in_words(seconds).parse(), Ok(Span(seconds)), "{text}");
        }
    }

    #[test]
    fn slips_are_refused() {
        for bad in ["", "3", "d", "3x", "-3d", "3 d", "2h3d", "1d1d", "3d5", "99999999999s", "9999999w"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert!("3".parse::<Span>().unwrap_err().contains("no unit"));
    }
}
