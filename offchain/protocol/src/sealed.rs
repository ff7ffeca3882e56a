//! What travels of end-to-end encryption: announced keys and sealed content keys (P7). The cryptography is in `cocoon-seal`.

use serde::{Deserialize, Serialize};

use crate::hash::Hash256;
use crate::keys::{KeyError, NodeKey, NodePublicKey, Signature};
use crate::units::{GlobalId, UnixSeconds};

/// Domain separation of what is signed.
const DOMAIN: &[u8] = b"cocoon-sealing-key-v1\0";

/// A worker says which key questions for it are sealed with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Announcement {
    /// The network.
    pub global_id: GlobalId,
    /// Nobody seals with the key after this.
    pub valid_until: UnixSeconds,
    /// HPKE public key, X-Wing: 1216 bytes.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
}

impl Announcement {
    /// What is signed: `"cocoon-sealing-key-v1\0" ‖ network:i32 ‖ valid until:u32 ‖ key`, numbers little endian.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        bytes.extend(self.global_id.0.to_le_bytes());
        bytes.extend(self.valid_until.0.to_le_bytes());
        bytes.extend(&self.key);
        bytes
    }

    /// Signs with the worker's attested node key.
    pub fn sign(self, worker: &NodeKey) -> SignedAnnouncement {
        let signature = worker.sign_bytes(&self.bytes());
        SignedAnnouncement { announcement: self, signature }
    }
}

/// An announcement with the worker's signature, not yet verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedAnnouncement {
    /// What is announced.
    pub announcement: Announcement,
    /// Ed25519 by the node key.
    pub signature: Signature,
}

impl SignedAnnouncement {
    /// Checks the signature by the key that the worker's evidence certifies.
    pub fn verify(&self, worker: &NodePublicKey) -> Result<(), KeyError> {
        worker.verify_bytes(&self.announcement.bytes(), &self.signature)
    }
}

/// Most hashes of a [`LogProof`]: a log has fewer than 2^64 leaves, so no peak of it is higher.
pub const MAX_LOG_PATH: usize = 63;

/// Where a node's evidence stands in the transparency log (P8.3): with node key and digest, which whoever has the evidence knows,
/// this is the leaf and its way up. `cocoon-transparency` checks it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogProof {
    /// The leaf's position, from zero.
    pub index: u64,
    /// When it was logged, by block time: the part of the leaf that does not follow from the evidence.
    pub at: UnixSeconds,
    /// The leaf's neighbours, from the leaf upwards to the peak above it; at most [`MAX_LOG_PATH`].
    pub path: Vec<Hash256>,
}

/// A worker that may answer, as a proxy tells its clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// DER of the worker's evidence certificate, which certifies its node key.
    #[serde(with = "serde_bytes")]
    pub evidence: Vec<u8>,
    /// The key to seal questions with, signed by the node key.
    pub announcement: SignedAnnouncement,
    /// That the evidence is in the transparency log, if the worker has logged it (P8.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logged: Option<LogProof>,
}

/// A question's content key, sealed to one worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealedKey {
    /// To whom.
    pub worker: NodePublicKey,
    /// HPKE encapsulated key: 1120 bytes.
    #[serde(with = "serde_bytes")]
    pub encapsulated: Vec<u8>,
    /// The content key under HPKE: 48 bytes.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
}
