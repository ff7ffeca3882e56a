//! Model-based fuzzing of the contracts.
//!
//! Random people do random things to the real contracts on the Rust TVM: honest, careless and hostile ones, in any order, with
//! jumps in time of seconds to years. Beside each contract runs a *model*: what the specification says, in plain Rust that
//! shares nothing with the contract. For each message the model tells beforehand whether it is accepted or refused and why,
//! what the state is after it, which messages it causes with which contents, and how much money stays, to the nano. The
//! invariants of docs/attacks.md are checked on top.
//!
//! ```text
//!  seed ──▶ steps ──▶ World ──message──▶ Chain (Rust TVM) ──▶ Receipt ─┐
//!                       └────same──────▶ model ──▶ Verdict ────────────┴─▶ judge
//! ```
//!
//! docs/fuzzing.md says how to run it and what it found.

// The whole crate is a test: a broken assumption of its own should end it at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
// A few of each exist at a time.
#![allow(clippy::large_enum_variant)]

pub mod cells;
pub mod chain;
pub mod channel;
pub mod code;
pub mod coverage;
pub mod dao;
pub mod faults;
pub mod keys;
pub mod registry;
pub mod reputation;
pub mod rng;
pub mod run;
pub mod verdict;
