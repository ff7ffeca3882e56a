//! The interface behind which every TON network lies.

use async_trait::async_trait;
use cocoon_protocol::{GlobalId, Hash256, StdAddr, UnixSeconds};
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;
use tycho_types::cell::{Cell, HashBytes};

use crate::account::AccountSnapshot;
use crate::config::NetworkConfig;
use crate::light::StateProof;
use crate::transaction::TransactionRecord;

/// The newest block that a chain knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Number of the block.
    pub seqno: u32,
    /// Time of the block: the only clock that contracts have.
    pub utime: UnixSeconds,
    /// Logical time at the end of the block.
    pub lt: u64,
}

/// A TON network.
///
/// Object safe, so that services hold an `Arc<dyn Chain>` and know nothing of what lies behind it.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The network id that every signed thing names.
    fn network(&self) -> GlobalId;

    /// The newest block.
    async fn head(&self) -> Result<Head, ChainError>;

    /// An account's state. One that does not exist is no error: its status says so.
    async fn account(&self, address: &StdAddr) -> Result<AccountSnapshot, ChainError>;

    /// At most `limit` transactions of an account, the oldest first, beginning with the first one whose logical time is
    /// greater than `after_lt`; none is left out between two that are returned.
    async fn transactions(
        &self,
        address: &StdAddr,
        after_lt: u64,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ChainError>;

    /// The network's configuration.
    async fn config(&self) -> Result<Arc<NetworkConfig>, ChainError>;

    /// Sends an external message and returns its hash. Success says that the network took the message, not that a block
    /// has it: look for its transaction. [`ChainError::Refused`] says that the contract does not accept it now.
    async fn send(&self, message: Cell) -> Result<Hash256, ChainError>;

    /// Follows the newest block.
    fn subscribe(&self) -> watch::Receiver<Head>;

    /// The public libraries with these hashes, of those that there are: code and data that masterchain accounts publish, and
    /// contracts anywhere refer to by hash. At most [`MAX_LIBRARIES`](crate::getter::MAX_LIBRARIES) at once.
    async fn libraries(&self, wanted: &[HashBytes]) -> Result<Vec<Cell>, ChainError> {
        let _ = wanted;
        Err(ChainError::malformed("a public library", "this view of the chain has none; use one behind liteservers"))
    }

    /// These accounts at the newest block, with what proves them to anybody who trusts the network's file only.
    async fn prove(&self, accounts: &[StdAddr]) -> Result<StateProof, ChainError> {
        let _ = accounts;
        Err(ChainError::malformed("a proof", "this view of the chain gives none; use one behind liteservers"))
    }
}

/// A chain cannot do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChainError {
    /// The network cannot be reached now. The same call may succeed later.
    #[error("network {network} cannot be reached: {why}")]
    Unreachable {
        /// Which network.
        network: GlobalId,
        /// What went wrong.
        why: String,
    },
    /// The network does something that this program does not know: it was upgraded, and this program must be too.
    #[error("network {network} cannot be followed: {why}")]
    Unsupported {
        /// Which network.
        network: GlobalId,
        /// What is not known.
        why: String,
    },
    /// The message was not accepted; nothing changed and nothing was paid.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// What the chain returned, or what was given to it, does not have the form that it must have.
    #[error("{what}: {why}")]
    Malformed {
        /// Which structure.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl ChainError {
    /// A structure with a wrong form.
    pub fn malformed(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }

    /// True if the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// An external message that was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[error("message {message} was not accepted by {}: {reason}", Dst(account))]
pub struct Refusal {
    /// Hash of the message.
    pub message: Hash256,
    /// To whom it was sent; absent if the message does not even say that.
    pub account: Option<StdAddr>,
    /// Why not.
    pub reason: RefusalReason,
}

struct Dst<'a>(&'a Option<StdAddr>);

impl fmt::Display for Dst<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("the network"),
        }
    }
}

/// Why an external message was not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RefusalReason {
    /// The contract's code ended before it accepted the message.
    #[error("the contract ended with exit code {exit_code}")]
    NotAccepted {
        /// Exit code of the TVM.
        exit_code: i32,
    },
    /// There is no code to run: the account is not deployed, and the message does not deploy it.
    #[error("no contract is deployed there")]
    NoContract,
    /// The contract cannot pay for the import of a message.
    #[error("its balance does not cover the fee of receiving a message")]
    NoFunds,
    /// The message's cells break a rule of the network.
    #[error("the message is malformed: {0}")]
    Malformed(String),
    /// The virtual machine failed in a way that no contract should cause.
    #[error("executing it failed: {0}")]
    Failed(String),
    /// The network gave a reason only in words.
    #[error("{0}")]
    Other(String),
}

impl Refusal {
    /// The contract's exit code, if its code ran.
    pub const fn exit_code(&self) -> Option<i32> {
        match self.reason {
            RefusalReason::NotAccepted { exit_code } => Some(exit_code),
            _ => None,
        }
    }
}
