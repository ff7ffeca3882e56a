//! Receipts that anyone can check.
//!
//! A [`Bundle`] is a file with everything that proves one answer: the worker's signed receipt and its acceptance, the worker's
//! evidence with the vendor's collateral, and the network's state with proofs. [`collect`] makes one right after an answer;
//! [`verify`] checks one anywhere, without a network, and trusts nothing in it: what it begins from is [`Trust`], which comes from
//! the reader's own configuration. The format is in `docs/receipts.md`.

mod bundle;
mod collect;
mod verdict;
mod verify;

pub use bundle::{Bundle, BundleError, Bytes, ChainProof, Content, Evidence, MAX_BUNDLE, ProvenAccount, VERSION};
pub use collect::{CollectError, Statement, collect};
pub use verdict::{Check, Outcome, Subject, Verdict};
pub use verify::{MAX_GAP_SECONDS, Trust, verify};
