//! What is demanded: of a node, that its evidence is in the log; of whoever serves proofs, that a leaf is.

use cocoon_protocol::{Hash256, LogProof, NodePublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contract::LogHead;
use crate::leaf::Leaf;
use crate::peaks::{LogState, PeakError};
use crate::proof::{ProofError, inclusion_root, verify_consistency};

/// That a leaf is in the log, for somebody who knows a head of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LoggedProof {
    /// The leaf's position, from zero.
    pub index: u64,
    /// Leaves of the tree that `path` is for: at most those of the head that it is shown to.
    pub size: u64,
    /// From the leaf to the root of that tree.
    pub path: Vec<Hash256>,
    /// From that tree to the one of the head; empty when they are the same.
    pub extension: Vec<Hash256>,
}

/// A leaf is not shown to be in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotLogged {
    /// The head is older than the proof.
    #[error("the proof is for a log of {proof} leaves, and only {known} are known here: fetch a newer head")]
    HeadTooOld {
        /// Leaves of the proof's tree.
        proof: u64,
        /// Leaves of the head.
        known: u64,
    },
    /// The proof does not hold.
    #[error("the leaf is not shown to be in the log: {0}")]
    Proof(#[from] ProofError),
}

/// Checks that this leaf is in the log with this head, which must come from the chain.
pub fn require_logged(head: &LogHead, leaf: &Leaf, proof: &LoggedProof) -> Result<(), NotLogged> {
    if proof.size > head.size {
        return Err(NotLogged::HeadTooOld { proof: proof.size, known: head.size });
    }
    let root = inclusion_root(&leaf.hash(), proof.index, proof.size, &proof.path)?;
    Ok(verify_consistency(&LogHead { size: proof.size, root }, head, &proof.extension)?)
}

/// SHA-256 of a node's evidence certificate (DER), byte for byte as the node shows it: what is logged of it.
pub fn evidence_digest(certificate: &[u8]) -> Hash256 {
    Hash256(Sha256::digest(certificate).into())
}

/// Checks that this evidence of this node is in the log: what a client demands of a worker. Evidence of another node does not
/// serve, and neither does another piece of evidence of the same node: the leaf is made here of what must be in it.
pub fn require_evidence(
    state: &LogState,
    node: &NodePublicKey,
    digest: &Hash256,
    proof: &LogProof,
) -> Result<(), PeakError> {
    let leaf = Leaf::Evidence { node: Hash256(*node.as_bytes()), digest: *digest, at: proof.at };
    state.require(&leaf.hash(), proof)
}
