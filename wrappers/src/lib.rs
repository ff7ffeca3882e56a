//! Typed Rust bindings of the contracts, generated from the compiler's ABI.

pub mod stack;

pub use stack::{GetterCall, StackValue};
