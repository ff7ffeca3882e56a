//! Amounts of Toncoin with their unit.

use std::str::FromStr;

use cocoon_protocol::Nano;

/// An amount: `5TON`, `0.5 TON`, `20nano`. A number without a unit is refused: it could mean either.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ton(pub Nano);

impl FromStr for Ton {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let text = input.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(split).unwrap_or((text, ""));
        if number.is_empty() {
            return Err("an amount is a number with a unit, such as 5TON or 20nano".to_owned());
        }
        match unit.trim().to_ascii_lowercase().as_str() {
            "ton" => number
                .parse()
                .map(Self)
                .map_err(|_| format!("{number} TON cannot be: at most nine decimals, and at most 18446744073 TON")),
            "nano" | "nanoton" => number
                .parse()
                .map(|nano| Self(Nano::new(nano)))
                .map_err(|_| format!("{number} is no whole number of nanoton")),
            "" => Err(format!("{number} has no unit: write {number}TON or {number}nano")),
            other => Err(format!("{other} is no unit of Toncoin: write {number}TON or {number}nano")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn units_are_read() {
        let nano = |text: &str| text.parse::<Ton>().map(|t| t.0.get());
        assert_eq!(nano("5TON"), Ok(5_000_000_000));
        assert_eq!(nano("0.5 TON"), Ok(500_000_000));
        assert_eq!(nano(" 1.000000001ton "), Ok(1_000_000_001));
        assert_eq!(nano("20nano"), Ok(20));
        assert_eq!(nano("20 nanoton"), Ok(20));
    }

    #[test]
    fn what_could_mean_something_else_is_refused_with_advice() {
        let error = |text: &str| text.parse::<Ton>().unwrap_err();
        assert!(error("5").contains("5TON"), "{}", error("5"));
        for bad in [
            "",
            "TON",
            "-5TON",
            "5USD",
            "1.5nano",
            "1.0000000001TON",
            "99999999999TON",
            "5,5TON",
            "1e3TON",
            "5.TON.",
            ".5TON",
            "５TON",
        ] {
            assert!(!error(bad).is_empty(), "{bad}");
        }
    }
}
