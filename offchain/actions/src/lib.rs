//! What people do to the contracts.
//!
//! Every operation turns an intention and what the chain says now into a [`Plan`]: messages for a wallet with the right value,
//! and what each part of that value is for. Whoever has the plan shows it, tries it (`cocoon-simulate`) or has a wallet send it
//! with [`carry_out`], which names a contract's refusal by its documented name. The same modules read back what became of it.
//!
//! Nothing here holds a key: what needs a signature takes it, and says what it must be over.
//!
//! | module | contracts |
//! |---|---|
//! | [`channel`] | PayChannel: open, top up, claim, close, settle |
//! | [`stake`] | StakeAccount: deposit, unbond, withdraw, nodes |
//! | [`dao`] | Governor and Proposal: propose, vote, execute, and actions in words |
//! | [`registry`], [`proxy`] | Registry: entries and bonded proxies |
//! | [`council`], [`rebuild`] | Registry: signatures of its council and of those who rebuild images |
//! | [`fault`] | FaultReport: proofs of faults, committed to and revealed |
//! | [`genesis`] | Governor and Registry: what a new network begins with |

pub mod channel;
pub mod council;
pub mod dao;
mod error;
pub mod exits;
pub mod fault;
pub mod genesis;
pub mod plan;
pub mod proxy;
pub mod rebuild;
pub mod registry;
pub mod stake;
pub mod state;
pub mod system;
pub mod text;

pub use error::{ActionError, Refused};
pub use plan::{Done, Part, Plan, Purpose, Verdict, carry_out};
pub use system::System;
