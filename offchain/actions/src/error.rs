//! What can go wrong before and after a message is sent.

use cocoon_chain::{ChainError, GetterError, StdAddr, TransactionFailure, WalletError};
use cocoon_wrappers::AbiError;

/// An operation cannot be planned, or was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A contract's state could not be read.
    #[error(transparent)]
    Getter(#[from] GetterError),
    /// A contract's answer, or a message to it, does not have the form that this program knows.
    #[error("a contract speaks another version of the protocol: {0}")]
    Abi(#[from] AbiError),
    /// A cell could not be built or read.
    #[error("{what}: {why}")]
    Cell {
        /// Which cell.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The wallet could not send.
    #[error(transparent)]
    Wallet(#[from] Box<WalletError>),
    /// There is no such thing on the chain.
    #[error("there is no {what} at {address}: {advice}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Where.
        address: Box<StdAddr>,
        /// What to do.
        advice: String,
    },
    /// There is something else at the address. A forged contract can tell anything, so it is not asked (attack 25).
    #[error("{address} is no {what} of this network: {why}")]
    Foreign {
        /// What it should be.
        what: &'static str,
        /// Where.
        address: Box<StdAddr>,
        /// How that shows.
        why: String,
    },
    /// The contract would refuse this, or it cannot mean what was intended.
    #[error("{what}: {why}")]
    Invalid {
        /// What is wrong: a name of an input, or an operation.
        what: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// The message was sent, and a contract refused it.
    #[error(transparent)]
    Refused(#[from] Box<Refused>),
}

impl ActionError {
    pub(crate) fn invalid(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Invalid { what, why: why.to_string() }
    }

    pub(crate) fn cell(what: &'static str) -> impl Fn(tycho_types::error::Error) -> Self {
        move |e| Self::Cell { what, why: e.to_string() }
    }
}

impl From<WalletError> for ActionError {
    fn from(error: WalletError) -> Self {
        Self::Wallet(Box::new(error))
    }
}

/// A contract's refusal, in the words of its documentation. Whatever was attached has come back, less the fees.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{meaning} ({account}, transaction {})", Head(self), failure.hash)]
pub struct Refused {
    /// Which contract refused.
    pub account: StdAddr,
    /// Its kind, if it is one of ours.
    pub contract: Option<&'static str>,
    /// The documented name of the error, if it has one.
    pub name: Option<&'static str>,
    /// What it means.
    pub meaning: String,
    /// The transaction.
    pub failure: TransactionFailure,
}

struct Head<'a>(&'a Refused);

impl std::fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.contract, self.0.name) {
            (Some(contract), Some(name)) => write!(f, "{contract} refused with {name}: "),
            (Some(contract), None) => write!(f, "{contract} failed: "),
            (None, _) => Ok(()),
        }
    }
}
