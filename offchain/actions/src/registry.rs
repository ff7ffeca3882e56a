//! What the registry says about entries.

use std::fmt;

use cocoon_wrappers::generated::registry::Life;

/// What an entry is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A virtual machine image.
    Image,
    /// A model.
    Model,
}

impl Kind {
    /// The number in messages.
    pub const fn code(self) -> u8 {
        match self {
            Self::Image => 1,
            Self::Model => 2,
        }
    }

    /// The kind with this number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Image),
            2 => Some(Self::Model),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Model => "model",
        })
    }
}

/// Where an entry stands at a point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryStatus {
    /// Approved, and not in force yet.
    Scheduled,
    /// In use.
    Active,
    /// In use until its sunset.
    Deprecated,
    /// Ended by a vote.
    Revoked,
    /// Past its sunset.
    Retired,
    /// Put aside by the council, for a while.
    Suspended,
    /// A number that this program does not know.
    Unknown(u8),
}

impl EntryStatus {
    /// What an entry is at this time, by the rules of the contract.
    pub const fn of(life: &Life, now: u32) -> Self {
        match life.status {
            1 | 3 if life.sunset != 0 && life.sunset <= now => Self::Retired,
            1 | 3 if now < life.suspended_until => Self::Suspended,
            1 | 3 if life.active_from > now => Self::Scheduled,
            1 => Self::Active,
            3 => Self::Deprecated,
            4 => Self::Revoked,
            other => Self::Unknown(other),
        }
    }

    /// Whether members accept it.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Active | Self::Deprecated)
    }
}

impl fmt::Display for EntryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheduled => f.write_str("scheduled"),
            Self::Active => f.write_str("active"),
            Self::Deprecated => f.write_str("deprecated"),
            Self::Revoked => f.write_str("revoked"),
            Self::Retired => f.write_str("retired"),
            Self::Suspended => f.write_str("suspended"),
            Self::Unknown(number) => write!(f, "unknown ({number})"),
        }
    }
}
