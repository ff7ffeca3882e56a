//! What a client demands of a node before it believes its evidence.

use cocoon_protocol::{Hash256, NodePublicKey};
use serde::{Deserialize, Serialize};

use crate::contract::LogHead;
use crate::leaf::Leaf;
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

/// A node's evidence is not shown to be in the log.
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
    /// The leaf is about something else.
    #[error("the leaf that was shown is not evidence {digest} of node {node}")]
    OtherLeaf {
        /// The node that should be logged.
        node: Hash256,
        /// Digest of the evidence that should be logged.
        digest: Hash256,
    },
}

/// Checks that this leaf is in the log with this head, which must come from the chain.
pub fn require_logged(head: &LogHead, leaf: &Leaf, proof: &LoggedProof) -> Result<(), NotLogged> {
    if proof.size > head.size {
        return Err(NotLogged::HeadTooOld { proof: proof.size, known: head.size });
    }
    let root = inclusion_root(&leaf.hash(), proof.index, proof.size, &proof.path)?;
    Ok(verify_consistency(&LogHead { size: proof.size, root }, head, &proof.extension)?)
}

/// Checks that this evidence of this node is in the log: what a client demands of a worker. Evidence of another node does not
/// serve, and neither does another piece of evidence of the same node.
pub fn require_evidence(
    head: &LogHead,
    node: &NodePublicKey,
    digest: &Hash256,
    leaf: &Leaf,
    proof: &LoggedProof,
) -> Result<(), NotLogged> {
    let expected = Hash256(*node.as_bytes());
    match leaf {
        Leaf::Evidence { node, digest: logged, .. } if *node == expected && logged == digest => {
            require_logged(head, leaf, proof)
        }
        _ => Err(NotLogged::OtherLeaf { node: expected, digest: *digest }),
    }
}
