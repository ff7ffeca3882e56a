//! What every service shares.
//!
//! A [`Node`] is a service's place in the network: its key and wallet, its attested endpoint, the registry as it stands at the
//! newest block, and the books of its channels. Behind it:
//!
//! * [`registry`]: the Registry contract as policy;
//! * [`channels`], [`stake`]: payment channels and stake accounts on chain;
//! * [`log`]: the transparency log;
//! * [`books`]: the books of payment channels, kept durable;
//! * [`wire`]: typed frames on a link.

pub mod books;
pub mod channels;
pub mod log;
mod node;
pub mod registry;
pub mod stake;
pub mod wire;

use cocoon_protocol::{CellError, Hash256, Nano, NodePublicKey, StdAddr};

pub use node::{Node, NodeConfig, NodeError};
pub use registry::{ProxyEntry, RegistryView};

/// A channel or a stake is not acceptable, or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] cocoon_chain::ChainError),
    /// A getter failed.
    #[error(transparent)]
    Getter(#[from] cocoon_chain::GetterError),
    /// A wallet could not send.
    #[error(transparent)]
    Wallet(#[from] cocoon_chain::WalletError),
    /// A message was sent but failed on its way.
    #[error(transparent)]
    Failed(#[from] Box<cocoon_chain::TransactionFailure>),
    /// A contract's data does not fit its ABI.
    #[error(transparent)]
    Abi(#[from] cocoon_wrappers::AbiError),
    /// A signed cell could not be made.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The books refuse.
    #[error(transparent)]
    Books(#[from] books::BooksError),
    /// The contract code that the registry names is not the one that this program knows.
    #[error(
        "the registry names channel code {registry}, and this program knows {ours}: use a version that fits the network"
    )]
    Code {
        /// What the registry says.
        registry: Hash256,
        /// What is bundled here.
        ours: Hash256,
    },
    /// The channel is not ours.
    #[error("the channel's {0} is not this node's")]
    Foreign(&'static str),
    /// The challenge period is too short to be safe.
    #[error("the channel's challenge period is {found} s, and the registry asks for at least {least} s")]
    Challenge {
        /// What the terms say.
        found: u32,
        /// What the registry asks.
        least: u32,
    },
    /// The protocol fee is not the network's.
    #[error("the channel burns {found} hundredths of a percent of each claim, and the registry asks for {asked}")]
    Fee {
        /// What the terms say.
        found: u16,
        /// What the registry asks.
        asked: u16,
    },
    /// The channel is not on chain.
    #[error("channel {0} is not on chain; open it with a deposit first")]
    NotOpen(Box<StdAddr>),
    /// The channel is being closed.
    #[error("channel {0} is being closed; use another, or wait until it is settled and top it up")]
    Closing(Box<StdAddr>),
    /// A stake does not answer for a key.
    #[error("the stake of {owner} does not answer for node {key}: {why}")]
    Stake {
        /// Who should answer.
        owner: Box<StdAddr>,
        /// For which key.
        key: NodePublicKey,
        /// What is missing.
        why: String,
    },
    /// An amount on chain is beyond everything that exists.
    #[error("an amount on chain is beyond the Toncoin that exists")]
    Amount,
}

pub(crate) fn nano(tokens: tycho_types::num::Tokens) -> Result<Nano, ChannelError> {
    Nano::try_from(tokens).map_err(|_| ChannelError::Amount)
}
