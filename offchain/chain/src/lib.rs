//! Access to TON: accounts, transactions, getters run locally, wallets and messages.
//!
//! Services see a network only through [`Chain`]: they ask for accounts and transactions, send external messages and
//! follow new blocks. Everything that can be computed from what a chain returns is computed here and not asked for:
//! getters run on the account's own state ([`getter`]), and what a message caused is followed through the transactions of
//! the accounts it reached ([`trace`]).
//!
//! ```no_run
//! use cocoon_chain::{Chain, OutMessage, Wallet, WalletVersion};
//! use cocoon_protocol::{Nano, NodeKey, StdAddr};
//!
//! # async fn example(chain: &dyn Chain, key: NodeKey, to: StdAddr) -> Result<(), Box<dyn std::error::Error>> {
//! let wallet = Wallet::new(key, WalletVersion::V5R1, chain.network())?;
//! let trace = wallet.send_and_confirm(chain, &[OutMessage::new(to, Nano::from_ton(1))]).await?;
//! trace.ok()?;
//! println!("paid {} in fees", trace.total_fees());
//! # Ok(())
//! # }
//! ```

pub mod account;
pub mod cells;
pub mod chain;
pub mod config;
pub mod feed;
pub mod getter;
pub mod light;
pub mod message;
pub mod trace;
pub mod transaction;
pub mod wallet;

pub use account::{AccountSnapshot, AccountStatus};
pub use chain::{Chain, ChainError, Head, Refusal, RefusalReason};
pub use cocoon_protocol::StdAddr;
pub use config::{ConfigError, NetworkConfig};
pub use feed::{BlockFeed, NetworkBlock};
pub use getter::{GetterError, GetterOutput, GetterRun, call_getter, run_getter, run_getter_on};
pub use light::{GlobalConfig, LightClient, LightError, LightSettings};
pub use message::{MessageKind, MessageRecord, OutMessage};
pub use trace::{Imbalance, Patience, Trace, TraceError, TraceNode, TransactionFailure};
pub use transaction::{ActionOutcome, ComputeOutcome, TransactionRecord};
pub use tycho_types::cell::Cell;
pub use tycho_types::models::{SendMsgFlags, StateInit};
pub use wallet::{Mnemonic, MnemonicError, Wallet, WalletError, WalletVersion};

use cocoon_protocol::{Hash256, Nano};
use tycho_types::cell::HashBytes;
use tycho_types::num::Tokens;

/// The representation hash of a cell.
pub fn cell_hash(cell: &Cell) -> Hash256 {
    Hash256(cell.repr_hash().0)
}

fn hash(bytes: &HashBytes) -> Hash256 {
    Hash256(bytes.0)
}

/// An amount as this project counts it; a larger one cannot exist on a sane chain.
fn nano(what: &'static str, tokens: Tokens) -> Result<Nano, ChainError> {
    Nano::try_from(tokens).map_err(|_| ChainError::malformed(what, format!("{tokens} nanoton is more than exists")))
}
