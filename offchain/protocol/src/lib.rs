//! Message and receipt types of the Cocoon network, canonical encodings and signatures.
//!
//! This crate has no I/O, no clock and no randomness of its own. Three kinds of things live here:
//!
//! * **units and identities** ([`Nano`], [`Tokens`], [`UnixSeconds`], [`GlobalId`], [`ModelHash`], [`ImageId`], keys):
//!   no bare integer crosses a crate boundary;
//! * **signed things** ([`Voucher`], [`CloseAuth`], [`Receipt`]): TON cells, because a contract must be able to check
//!   the same bytes; the signature is Ed25519 over the cell's representation hash;
//! * **frames** ([`frame`]): what client, proxy and worker say to each other inside an attested link, with the
//!   application's side of it in [`openai`].

pub mod acceptance;
pub mod fault;
pub mod frame;
pub mod hash;
pub mod keys;
pub mod openai;
pub mod price;
pub mod receipt;
pub mod sealed;
pub mod units;
pub mod voucher;

pub use acceptance::{Acceptance, SignedAcceptance};
pub use fault::{Fault, FaultCode};
pub use hash::{Hash256, ImageId, ModelHash};
pub use keys::{KeyError, NodeKey, NodePublicKey, Signature};
pub use price::{Price, Usage};
pub use receipt::{Receipt, SignedReceipt};
pub use sealed::{Announcement, Candidate, LogProof, SealedKey, SignedAnnouncement};
pub use tycho_types::models::StdAddr;
pub use units::{GlobalId, Nano, Role, Tokens, UnixSeconds};
pub use voucher::{CloseAuth, Evidence, SignedVoucher, Voucher};

/// A cell could not be built or read.
#[derive(Debug, thiserror::Error)]
#[error("{what}: malformed cell: {source}")]
pub struct CellError {
    /// Which structure was being read or written.
    pub what: &'static str,
    /// What the cell library found wrong.
    #[source]
    pub source: tycho_types::error::Error,
}

impl CellError {
    pub(crate) fn of(what: &'static str) -> impl Fn(tycho_types::error::Error) -> Self {
        move |source| Self { what, source }
    }
}
