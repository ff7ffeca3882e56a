//! Payment channels off chain: who has promised, consumed and billed how much.
//!
//! Two small state machines, [`PayerBooks`] and [`PayeeBooks`], one per channel and side. They have no clock, no sockets,
//! no threads and no randomness: a test or a fuzzer owns the schedule. Around them lies [`Store`], which makes their
//! records durable, many channels in one commit.
//!
//! ```text
//!            payer                                     payee
//!  deposit ┌─────────────┐                 deposit ┌─────────────┐
//!          │  free       │                         │             │
//!          ├─────────────┤                         ├─────────────┤ ◀ best durable voucher
//!          │  reserved   │ worst case of what      │  granted    │   pay-ahead of requests in flight
//!          │  authorised │ is in flight            ├─────────────┤
//!          ├─────────────┤ ◀ next voucher          │  consumed   │   released to the payer, not billed yet
//!          │  billed     │   = billed + authorised ├─────────────┤
//!          └─────────────┘                         │  billed     │
//!                                                  └─────────────┘
//! ```
//!
//! The clauses P3 and P4 of `docs/protocol.md` are implemented here.

mod claim;
mod payee;
mod payer;
mod record;
mod store;

pub use claim::{Claim, ClaimPolicy, ClaimReason, OnChain, claim};
pub use payee::{AcceptError, AdmitError, ConsumeError, PayeeBooks, PayeeTerms};
pub use payer::{AuthoriseError, BillError, Insufficient, PayerBooks, ReconcileError, Report};
pub use record::{PayeeRecord, PayerRecord, RECORD_VERSION, Service};
pub use store::{Store, StoreError};

/// A request in flight in one channel's books. Numbers are never reused while the books are open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(u64);
