//! The contract: where it is, what its account says, and what a node sends to it.

use cocoon_chain::AccountSnapshot;
use cocoon_protocol::units::GlobalId;
use cocoon_protocol::{Hash256, NodeKey, StdAddr};
use cocoon_wrappers::AbiError;
use cocoon_wrappers::generated::transparency_log::{self, Data, EvidenceAuth, LogEvidence};
use serde::{Deserialize, Serialize};
use tycho_types::cell::{Cell, CellBuilder, HashBytes};
use tycho_types::error::Error;

use crate::peaks::LogState;

/// First word of what a node signs: ASCII `TLG1`.
const EVIDENCE_TAG: u32 = 0x544c_4731;

/// An account is not the log that it should be, or something cannot be written as its contract wants it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LogError {
    /// There is no contract, or another one.
    #[error("account {address} is not a transparency log: it is {found}; a registry opens its log when it is set up")]
    NoLog {
        /// Which account was asked for.
        address: StdAddr,
        /// What is there.
        found: String,
    },
    /// It belongs to another registry.
    #[error("the log at {address} is that of registry {found}, and not of {expected}")]
    OtherRegistry {
        /// The log's address.
        address: StdAddr,
        /// Whose it should be.
        expected: StdAddr,
        /// Whose it is.
        found: StdAddr,
    },
    /// A cell is not what the contract writes.
    #[error(transparent)]
    Abi(#[from] AbiError),
    /// A signature cannot be written into a cell.
    #[error("cannot build the signature's cell: {0}")]
    Signature(Error),
    /// The list of peaks is malformed.
    #[error("the peaks of a log of {size} leaves are malformed: {why}")]
    Peaks {
        /// Leaves in the tree.
        size: u64,
        /// What is wrong.
        why: String,
    },
}

/// The tree head: how many leaves there are, and the root over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct LogHead {
    /// Number of leaves.
    pub size: u64,
    /// Merkle tree hash (RFC 9162, section 2.1.1).
    pub root: Hash256,
}

impl LogHead {
    /// Reads the head from the account of this registry's log. The account must come from a chain that is trusted or verified.
    pub fn from_account(account: &AccountSnapshot, registry: &StdAddr) -> Result<Self, LogError> {
        Ok(LogState::from_account(account, registry)?.head())
    }

    /// Folds the peaks into the root.
    pub fn from_data(data: &Data) -> Result<Self, LogError> {
        Ok(LogState::from_data(data)?.head())
    }
}

/// Where the log of a registry is.
pub fn log_address(registry: &StdAddr) -> Result<StdAddr, LogError> {
    Ok(transparency_log::address(0, &Data { registry: registry.clone(), size: 0, peaks: None })?)
}

/// Body of the message with which anybody logs a node's evidence. The node signs for this log on this network only.
pub fn evidence_message(
    node: &NodeKey,
    digest: &Hash256,
    log: &StdAddr,
    network: GlobalId,
    query_id: u64,
) -> Result<Cell, LogError> {
    let digest = HashBytes(digest.0);
    let auth = EvidenceAuth { tag: EVIDENCE_TAG, global_id: network.0, log: log.clone(), digest };
    let signature = node.sign(&Hash256(auth.to_cell()?.repr_hash().0));
    let mut cell = CellBuilder::new();
    let signature = cell.store_raw(&signature.0, 512).and_then(|()| cell.build());
    let signature = signature.map_err(LogError::Signature)?;
    let node = HashBytes(*node.public().as_bytes());
    Ok(LogEvidence { query_id, node, digest, signature }.to_cell()?)
}
