//! Generates the Rust bindings of the contracts from the compiler's ABI.
