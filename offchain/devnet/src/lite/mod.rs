//! A liteserver: answers what other people's TON clients ask, with proofs.
//!
//! [`server`] keeps the connections, [`answer`] finds the answers in a [`View`](crate::view::View) of the chains, and
//! [`proof`] makes the Merkle proofs. [`Fault`] makes a server lie, lag or stall, so that clients can be tested against it.

mod accounts;
pub(crate) mod answer;
mod blocks;
mod chain_proof;
mod config;
mod fault;
mod proof;
mod server;
mod transactions;

pub use self::fault::{Fault, UnknownFault};
pub use self::server::LiteServer;
