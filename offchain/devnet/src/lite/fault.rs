//! What a server can do wrong, for negative tests of clients.

use std::fmt;
use std::str::FromStr;

/// What a server does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Accounts have a little more than they have; the proofs are those of the true ones.
    ForgeState,
    /// Accounts have a little more than they have, and the proof of the state says so too; only the block does not.
    ForgeProof,
    /// Signatures under blocks are wrong in one bit.
    ForgeSignature,
    /// Questions are taken, and never answered.
    Stall,
    /// The newest so many blocks do not exist.
    Lag(u32),
}

/// A name that is none of a fault's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no fault \"{0}\": forge-state, forge-proof, forge-signature, stall, or lag=BLOCKS")]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault(name.to_owned());
        Ok(match name {
            "forge-state" => Self::ForgeState,
            "forge-proof" => Self::ForgeProof,
            "forge-signature" => Self::ForgeSignature,
            "stall" => Self::Stall,
            _ => {
                let blocks = name.strip_prefix("lag=").and_then(|blocks| blocks.parse().ok());
                Self::Lag(blocks.ok_or_else(unknown)?)
            }
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForgeState => write!(f, "forge-state"),
            Self::ForgeProof => write!(f, "forge-proof"),
            Self::ForgeSignature => write!(f, "forge-signature"),
            Self::Stall => write!(f, "stall"),
            Self::Lag(blocks) => write!(f, "lag={blocks}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let all = [Fault::ForgeState, Fault::ForgeProof, Fault::ForgeSignature, Fault::Stall, Fault::Lag(7)];
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        for name in ["", "lag", "lag=", "lag=-1", "Stall", "forge"] {
            assert_eq!(name.parse::<Fault>(), Err(UnknownFault(name.to_owned())));
        }
    }
}
