//! Quantities that cross crate boundaries.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoton per Toncoin.
pub const NANO_PER_TON: u64 = 1_000_000_000;

/// An amount of Toncoin in nanoton (10⁻⁹ TON).
///
/// 64 bits hold 18.4 billion TON, more than three times what exists; a larger amount read from a cell is an error.
/// Arithmetic is checked: the operators of this type do not exist on purpose. In JSON it is a decimal string, because
/// JSON numbers lose precision above 2⁵³.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nano(u64);

impl Nano {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest representable amount.
    pub const MAX: Self = Self(u64::MAX);

    /// An amount of `nano` nanoton.
    pub const fn new(nano: u64) -> Self {
        Self(nano)
    }

    /// A whole number of Toncoin; saturates at [`Nano::MAX`].
    pub const fn from_ton(ton: u64) -> Self {
        Self(ton.saturating_mul(NANO_PER_TON))
    }

    /// The number of nanoton.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// True for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(v) => Some(Self(v)),
            None => None,
        }
    }

    /// Difference, or `None` when `other` is larger.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(v) => Some(Self(v)),
            None => None,
        }
    }

    /// Sum, held at [`Nano::MAX`].
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Difference, held at zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Nano {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Nano {
    /// Toncoin with up to nine decimals and no trailing zeros, with the unit: `0.25 TON`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / NANO_PER_TON, self.0 % NANO_PER_TON);
        if rest == 0 {
            write!(f, "{whole} TON")
        } else {
            let decimals = format!("{rest:09}");
            write!(f, "{whole}.{} TON", decimals.trim_end_matches('0'))
        }
    }
}

impl fmt::Debug for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nano", self.0)
    }
}

/// An amount of Toncoin could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not an amount of Toncoin: write a decimal number of TON with at most nine decimals, such as 1.5")]
pub struct ParseNanoError {
    /// What was given.
    pub input: String,
}

impl FromStr for Nano {
    type Err = ParseNanoError;

    /// Reads Toncoin: `"1.5"` is 1,500,000,000 nanoton.
    fn from_str(input: &str) -> Result<Self, ParseNanoError> {
        let error = || ParseNanoError { input: input.to_owned() };
        let number = input.trim().trim_end_matches("TON").trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || decimals.len() > 9 || !digits(whole) || !digits(decimals) {
            return Err(error());
        }
        let whole: u64 = whole.parse().map_err(|_| error())?;
        let rest: u64 = format!("{decimals:0<9}").parse().map_err(|_| error())?;
        whole.checked_mul(NANO_PER_TON).and_then(|w| w.checked_add(rest)).map(Self).ok_or_else(error)
    }
}

impl From<Nano> for tycho_types::num::Tokens {
    fn from(value: Nano) -> Self {
        Self::new(u128::from(value.0))
    }
}

impl TryFrom<tycho_types::num::Tokens> for Nano {
    type Error = tycho_types::error::Error;

    fn try_from(value: tycho_types::num::Tokens) -> Result<Self, Self::Error> {
        u64::try_from(value.into_inner()).map(Self).map_err(|_| tycho_types::error::Error::IntOverflow)
    }
}

impl Serialize for Nano {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(&self.0) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Nano {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map(Self).map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

/// A number of model tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0)
    }
}

/// Seconds since 1970-01-01 UTC, as TON blocks carry them. Zero means "never" where a field says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u32);

impl UnixSeconds {
    /// This time plus `seconds`, held at the largest representable time (2106).
    pub const fn plus(self, seconds: u32) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The chain's global id (config parameter 19): the network that every signed thing names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GlobalId(pub i32);

impl GlobalId {
    /// TON mainnet.
    pub const MAINNET: Self = Self(-239);
    /// TON testnet.
    pub const TESTNET: Self = Self(-3);
    /// The embedded development network: ASCII `COCN`.
    pub const DEVNET: Self = Self(0x434f_434e);
}

impl fmt::Display for GlobalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a node is; images are approved for one role.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Role {
    /// Asks and pays.
    Client = 1,
    /// Routes and meters.
    Proxy = 2,
    /// Runs the model.
    Worker = 3,
}

impl Role {
    /// The number that contracts and attested claims use.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The role with this number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Client),
            2 => Some(Self::Proxy),
            3 => Some(Self::Worker),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Proxy => "proxy",
            Self::Worker => "worker",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toncoin_is_read_and_written_without_loss() {
        for (text, nano) in [
            ("0", 0),
            ("1", NANO_PER_TON),
            ("1.5", 1_500_000_000),
            ("0.000000001", 1),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(text.parse::<Nano>().unwrap(), Nano(nano));
            assert_eq!(Nano(nano).to_string(), format!("{text} TON"));
        }
        assert_eq!("2 TON".parse::<Nano>().unwrap(), Nano::from_ton(2));
        for bad in ["", ".", "-1", "1.0000000001", "1e9", "18446744073.709551616", "1,5", " . ", "١"] {
            assert!(bad.parse::<Nano>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn amounts_are_decimal_strings_in_json() {
        assert_eq!(serde_json::to_string(&Nano(u64::MAX)).unwrap(), "\"18446744073709551615\"");
        assert_eq!(serde_json::from_str::<Nano>("\"7\"").unwrap(), Nano(7));
        assert!(serde_json::from_str::<Nano>("7.5").is_err());
    }
}
