//! End-to-end encryption between a client and the attested workers that may answer it.
//!
//! The proxy between them chooses a worker, counts tokens and moves money, and sees nothing but ciphertext:
//!
//! ```text
//!   client                                          proxy            worker
//!     one key for the question, sealed to each        │                 │
//!     candidate worker (HPKE, X-Wing)                 │                 │
//!     ── body under that key, sealed keys ──────────▶ │ ── body, its ──▶│ opens the key, then the body
//!                                                     │   own sealed key│
//!     ◀───────────────────────────────── chunks ───── │ ◀── chunks ─────│ sealed under a key that only it
//!     opens them in order                             │                 │ and the client can derive
//! ```
//!
//! * [`keys`]: a worker's key for one session, and its announcement under the attested node key;
//! * [`request`]: the question;
//! * [`response`]: the answer, chunk by chunk.
//!
//! HPKE is RFC 9180 in base mode: KEM X-Wing (ML-KEM-768 with X25519, so that what is recorded today stays closed to a
//! quantum computer), KDF HKDF-SHA256, AEAD ChaCha20-Poly1305. A worker is authenticated by the announcement that its attested
//! key signs. Clauses P7 of `docs/protocol.md`.

pub mod keys;
pub mod request;
pub mod response;

mod padding;
mod random;
#[cfg(test)]
mod tests;

pub use keys::{KnownKeys, SealingKey, SealingPublicKey};
pub use request::{ClientKeys, SealedQuestion, WorkerKeys, open, seal};
pub use response::{ChunkOpener, ChunkSealer};

use chacha20poly1305::ChaCha20Poly1305;
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;

type Kem = XWing;
type Kdf = HkdfSha256;
type SealingContext = hpke::aead::AeadCtxS<HpkeAead, Kdf, Kem>;
type OpeningContext = hpke::aead::AeadCtxR<HpkeAead, Kdf, Kem>;
type Aead = ChaCha20Poly1305;

/// Something sealed cannot be opened, or cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A key has a wrong length or form.
    #[error("the sealing key is malformed: {0}")]
    Key(&'static str),
    /// The announcement of a key is not what it must be.
    #[error("the announcement of a sealing key {0}")]
    Announcement(&'static str),
    /// The question cannot be opened: it is altered, for another worker, another model or another network.
    #[error(
        "the question cannot be opened: it is altered, or sealed for another worker, model or network; read the offers again"
    )]
    Question,
    /// A chunk cannot be opened: it is altered, out of order, or of another answer (attack 76).
    #[error(
        "chunk {index} of the answer cannot be opened: something between here and the worker altered, dropped, repeated or reordered it"
    )]
    Chunk {
        /// Its place in the answer, from 0.
        index: u64,
    },
    /// Encryption failed, which only happens with impossible sizes.
    #[error("{0} cannot be sealed")]
    Seal(&'static str),
}
