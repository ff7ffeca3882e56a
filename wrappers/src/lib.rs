//! Typed Rust bindings of the contracts, generated from the compiler's ABI.
