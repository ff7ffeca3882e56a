//! A client for liteservers that trusts none of them.
//!
//! It trusts one block, which the network's file names. From there, validators vouch for later blocks by their signatures
//! ([`links`](check_steps)), and blocks for everything else by Merkle proofs: accounts ([`check_account`]), their transactions
//! ([`check_history`]) and the configuration ([`check_config`]). Those functions do no I/O. Around them, [`LightClient`] keeps
//! connections, passes over servers that are slow, behind or lying, and follows the newest block.
//!
//! ```no_run
//! use cocoon_chain::light::{GlobalConfig, LightClient, LightSettings};
//! use cocoon_chain::Chain;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let network = GlobalConfig::from_json(&std::fs::read_to_string("global.config.json")?)?;
//! let chain = LightClient::connect(LightSettings::new(network)).await?;
//! println!("block {} of network {:?}", chain.head().await?.seqno, chain.network());
//! # Ok(())
//! # }
//! ```

mod cache;
mod client;
mod contents;
mod error;
mod feed;
mod follow;
mod header;
mod links;
mod pool;
mod proof;
mod proven;
mod send;
mod server;
mod settings;
mod state;
mod store;
mod validators;

#[cfg(test)]
mod recorded;

pub use client::{LightClient, LightError};
pub use contents::{check_account, check_config, check_history, check_libraries};
pub use error::ProofError;
pub use links::{ProvenBlock, Reached, check_header, check_steps};
pub use proven::{ProvenState, StateProof};
pub use settings::{GlobalConfig, GlobalConfigError, LightSettings, Now, ServerAddress};
pub use store::StateFileError;
