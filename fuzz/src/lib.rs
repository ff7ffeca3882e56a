//! Fuzzing on stable Rust: a driver that mutates samples, and a target for each format that strangers send.
//!
//! A target reads bytes and says in a few words how that ended ([`Target::run`]). A panic is a finding, and so is a claim of the
//! target that does not hold (what verifies is what was issued, what is read is written back the same). The words are the
//! feedback: an input that ends in a new way becomes a sample itself, so that the driver gets past the first check without
//! instrumented builds.
//!
//! `scripts/fuzz TARGET SECONDS` runs one; `docs/fuzzing-parsers.md` says what was run and found. The samples in `corpus/` are
//! replayed by the tests.

pub mod driver;
pub mod mutate;
pub mod targets;

pub use targets::{Target, all};
