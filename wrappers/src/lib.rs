//! Typed Rust bindings of the contracts, generated from the compiler's ABI.
//!
//! [`generated`] has one module per contract: its code, its initial data and address, its messages, its getters and its
//! error codes. Reading is strict: whatever the contract itself would not write in exactly this form is an error that
//! says where. Writing never cuts anything off.
//!
//! ```
//! use cocoon_wrappers::generated::pay_channel::TopUp;
//! use tycho_types::num::Tokens;
//!
//! let body = TopUp { query_id: 7, amount: Tokens::new(1_000_000_000) }.to_cell()?;
//! assert_eq!(TopUp::from_cell(&body)?.query_id, 7);
//! # Ok::<(), cocoon_wrappers::AbiError>(())
//! ```
//!
//! To generate anew after a contract changed: `scripts/build-contracts && cargo run -p cocoon-codegen`.

pub mod codec;
pub mod generated;
pub mod stack;

#[cfg(test)]
#[allow(dead_code, reason = "the tests use a part of the fixture's bindings")]
mod fixture;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use codec::{AbiError, Problem};
pub use stack::{GetterCall, StackValue};
