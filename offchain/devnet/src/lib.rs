//! An embedded TON network: real TVM, internal messages, fees, block clock, faucet and time travel.
//!
//! Contracts run as on mainnet: the TVM and the transaction rules are `tycho-vm`'s and `tycho-executor`'s, the prices and
//! limits are those of mainnet's configuration, and a recorded trace of the C++ TVM replays to the same hashes. Services
//! reach it only through [`cocoon_chain::Chain`] and cannot tell it from another network.
//!
//! ```text
//!  Devnet ──jobs──▶ one thread: Ledger (accounts, queue; no clock, no disk) ──Block──▶ Store (redb, one commit each)
//! ```
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cocoon_chain::{Chain, OutMessage, Wallet, WalletVersion};
//! use cocoon_devnet::Devnet;
//! use cocoon_protocol::{Nano, NodeKey};
//!
//! let devnet = Devnet::ephemeral().await?;
//! let alice = Wallet::new(NodeKey::from_seed(&[1; 32]), WalletVersion::V5R1, devnet.network())?;
//! let bob = Wallet::new(NodeKey::from_seed(&[2; 32]), WalletVersion::V5R1, devnet.network())?;
//! devnet.faucet(alice.address(), Nano::from_ton(10)).await?;
//! let payment = OutMessage::new(bob.address().clone(), Nano::from_ton(1)).no_bounce();
//! alice.send_and_confirm(&devnet, &[payment]).await?.ok()?;
//! assert_eq!(devnet.account(bob.address()).await?.balance, Nano::from_ton(1));
//! # Ok(())
//! # }
//! ```

pub mod block;
pub mod blocks;
pub mod clock;
mod devnet;
mod error;
mod feed;
pub mod genesis;
pub mod http;
mod inbound;
pub mod ledger;
pub mod libraries;
pub mod lite;
mod normalise;
mod ordinary;
pub mod store;
pub mod tvm;
pub mod view;

pub use clock::{Clock, ManualClock, SystemClock};
pub use devnet::{Devnet, Settings};
pub use error::DevnetError;
pub use http::HttpFace;
pub use ledger::{Ledger, Supply};
pub use lite::{Fault, LiteServer, UnknownFault};
