//! A client that trusts only its first block.
mod contents;
mod error;
mod links;
mod proof;
mod state;
mod validators;

pub use contents::{check_account, check_config, check_history};
pub use error::ProofError;
pub use links::{ProvenBlock, Reached, check_header, check_steps};
