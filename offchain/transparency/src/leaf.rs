//! What a leaf says, and its bytes.

use cocoon_protocol::{Hash256, NodePublicKey, UnixSeconds};
use cocoon_wrappers::generated::transparency_log::{LogEntry, LogEvidence};
use serde::{Deserialize, Serialize};
use tycho_types::cell::{Cell, CellSlice};
use tycho_types::error::Error;

use crate::hash::hash_leaf;

/// Why a message is no leaf although it was taken by the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LeafError {
    /// The operation is another one.
    #[error("operation {op:08x} adds no leaf to a transparency log")]
    OtherOperation {
        /// The first 32 bits of the body; all ones when there are fewer.
        op: u32,
    },
    /// The body ends before its fields do.
    #[error("the body of {what} is cut short: {why}")]
    CutShort {
        /// Which message.
        what: &'static str,
        /// What was met.
        why: Error,
    },
}

/// A change of the registry. Layout: `LogEntry` in docs/contracts/transparency-log.md.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The registry's revision after the change.
    pub revision: u32,
    /// Operation code of the message that made the change.
    pub event: u32,
    /// 1 an image, 2 a model, 0 neither.
    pub kind: u8,
    /// Hash or key of what the change is about; zero when it is about the registry as a whole.
    pub id: Hash256,
    /// When the change takes effect or, of a sunset and a suspension, ends.
    pub moment: UnixSeconds,
    /// When it was made.
    pub at: UnixSeconds,
    /// Representation hash of the cell with the body of the message that made the change.
    pub body: Hash256,
}

/// A leaf of the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaf {
    /// The registry has changed.
    Entry(Entry),
    /// A node has published the digest of its evidence, with its own signature.
    Evidence {
        /// The node's key.
        node: Hash256,
        /// SHA-256 of the evidence.
        digest: Hash256,
        /// When it was logged.
        at: UnixSeconds,
    },
}

impl Leaf {
    /// The leaf that a message became which the log took at this time.
    ///
    /// The contract ignores what follows the fields, and so must whoever rebuilds the tree: otherwise anybody could stop all of
    /// them with one message that has something to spare.
    pub fn from_message(body: &Cell, taken_at: UnixSeconds) -> Result<Self, LeafError> {
        let mut slice = body.as_slice_allow_exotic();
        match slice.load_u32().unwrap_or(u32::MAX) {
            LogEntry::OP => {
                let cut = |why| LeafError::CutShort { what: "LogEntry", why };
                Ok(Self::Entry(read_entry(&mut slice).map_err(cut)?))
            }
            LogEvidence::OP => {
                let cut = |why| LeafError::CutShort { what: "LogEvidence", why };
                slice.load_u64().map_err(cut)?;
                let node = read_hash(&mut slice).map_err(cut)?;
                let digest = read_hash(&mut slice).map_err(cut)?;
                Ok(Self::Evidence { node, digest, at: taken_at })
            }
            op => Err(LeafError::OtherOperation { op }),
        }
    }

    /// The bytes that the contract hashes: 85 of an entry, 72 of evidence.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Entry(e) => [
                &LogEntry::OP.to_be_bytes()[..],
                &e.revision.to_be_bytes(),
                &e.event.to_be_bytes(),
                &[e.kind],
                &e.id.0,
                &e.moment.0.to_be_bytes(),
                &e.at.0.to_be_bytes(),
                &e.body.0,
            ]
            .concat(),
            Self::Evidence { node, digest, at } => {
                [&LogEvidence::OP.to_be_bytes()[..], &node.0, &digest.0, &at.0.to_be_bytes()].concat()
            }
        }
    }

    /// When this evidence of this node was logged, if that is what the leaf says.
    pub fn logs(&self, key: &NodePublicKey, evidence: &Hash256) -> Option<UnixSeconds> {
        match self {
            Self::Evidence { node, digest, at } if node.0 == *key.as_bytes() && digest == evidence => Some(*at),
            _ => None,
        }
    }

    /// The leaf's hash in the tree.
    pub fn hash(&self) -> Hash256 {
        hash_leaf(&self.to_bytes())
    }
}

fn read_entry(s: &mut CellSlice<'_>) -> Result<Entry, Error> {
    Ok(Entry {
        revision: s.load_u32()?,
        event: s.load_u32()?,
        kind: s.load_u8()?,
        id: read_hash(s)?,
        moment: UnixSeconds(s.load_u32()?),
        at: UnixSeconds(s.load_u32()?),
        body: read_hash(s)?,
    })
}

fn read_hash(s: &mut CellSlice<'_>) -> Result<Hash256, Error> {
    Ok(Hash256(s.load_u256()?.0))
}
