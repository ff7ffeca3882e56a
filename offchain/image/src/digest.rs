//! SHA-384 digests and the registers that hold chains of them.

use std::fmt;

use sha2::{Digest as _, Sha384};

/// A SHA-384 digest, shown as 96 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest384(pub [u8; 48]);

impl Digest384 {
    /// What a runtime register holds before its first event.
    pub const ZERO: Self = Self([0; 48]);

    /// The digest of some bytes.
    pub fn of(data: &[u8]) -> Self {
        Self(Sha384::digest(data).into())
    }

    /// The register after one more event: `sha384(register ‖ event)`.
    #[must_use]
    pub fn extended(self, event: Self) -> Self {
        Self(Sha384::new().chain_update(self.0).chain_update(event.0).finalize().into())
    }

    /// The register after these events, starting from [`Digest384::ZERO`].
    pub fn chain<'a>(events: impl IntoIterator<Item = &'a Self>) -> Self {
        events.into_iter().fold(Self::ZERO, |register, event| register.extended(*event))
    }
}

impl fmt::Display for Digest384 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest384 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A runtime measurement register. Event logs number them from 1; 0 stands for MRTD there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Register {
    /// Firmware configuration: memory map, variables, ACPI tables.
    Rtmr0,
    /// The kernel and how it was started.
    Rtmr1,
    /// Command line and initrd.
    Rtmr2,
    /// What the guest extends itself at run time.
    Rtmr3,
}

impl Register {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Rtmr0, Self::Rtmr1, Self::Rtmr2, Self::Rtmr3];

    /// From the index in an event log; `None` for 0 (MRTD) and what does not exist.
    pub const fn from_log(index: u32) -> Option<Self> {
        Some(match index {
            1 => Self::Rtmr0,
            2 => Self::Rtmr1,
            3 => Self::Rtmr2,
            4 => Self::Rtmr3,
            _ => return None,
        })
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RTMR{}", *self as u8)
    }
}
