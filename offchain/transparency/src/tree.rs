//! The whole tree, for whoever serves proofs (RFC 9162, sections 2.1.1, 2.1.3.1 and 2.1.4.1).

use cocoon_protocol::Hash256;

use crate::demand::LoggedProof;
use crate::hash::{EMPTY_ROOT, hash_node};

/// A proof was asked for that this tree cannot give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TreeError {
    /// The tree is smaller.
    #[error("asked for a log of {asked} leaves, and only {size} are known here: read further transactions")]
    TooShort {
        /// Leaves asked for.
        asked: u64,
        /// Leaves known.
        size: u64,
    },
    /// The leaf came later.
    #[error("leaf {index} is not among the first {size}")]
    NotYet {
        /// Position, from zero.
        index: u64,
        /// Leaves of the tree asked for.
        size: u64,
    },
    /// A log never shrinks.
    #[error("a log of {older} leaves does not come before one of {newer}")]
    Backwards {
        /// Leaves of the earlier tree.
        older: u64,
        /// Leaves of the later one.
        newer: u64,
    },
}

/// An append-only Merkle tree with all its full subtrees: proofs of any size up to its own take a logarithm of hashes.
///
/// 64 bytes a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// `levels[k][i]` is the root of the full subtree over the leaves from `i · 2^k` to `(i + 1) · 2^k`.
    levels: Vec<Vec<Hash256>>,
}

impl Tree {
    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Appends the leaf with this hash.
    pub fn push(&mut self, leaf: Hash256) {
        let mut hash = leaf;
        for level in 0.. {
            let Some(row) = self.levels.get_mut(level) else {
                self.levels.push(vec![hash]);
                return;
            };
            row.push(hash);
            match row.as_slice() {
                [.., left, right] if row.len().is_multiple_of(2) => hash = hash_node(left, right),
                _ => return,
            }
        }
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash256 {
        self.range(0, self.size())
    }

    /// The root as it was when there were `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<Hash256, TreeError> {
        self.known(size)?;
        Ok(self.range(0, size))
    }

    /// The hashes that lead from the leaf at `index` to the root of the first `size` leaves, from the leaf upwards.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash256>, TreeError> {
        self.known(size)?;
        if index >= size {
            return Err(TreeError::NotYet { index, size });
        }
        let mut path = vec![];
        let (mut from, mut to) = (0, size);
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.range(middle, to));
                to = middle;
            } else {
                path.push(self.range(from, middle));
                from = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The hashes that show the tree of `newer` leaves to be that of `older` leaves with further ones. None are needed when they
    /// are the same, or when the older one is empty.
    pub fn consistency(&self, older: u64, newer: u64) -> Result<Vec<Hash256>, TreeError> {
        self.known(newer)?;
        if older > newer {
            return Err(TreeError::Backwards { older, newer });
        }
        let mut path = vec![];
        if older == 0 || older == newer {
            return Ok(path);
        }
        let (mut from, mut to) = (0, newer);
        // Until the subtree ends where the older tree did.
        while to != older {
            let middle = from + split(to - from);
            if older <= middle {
                path.push(self.range(middle, to));
                to = middle;
            } else {
                path.push(self.range(from, middle));
                from = middle;
            }
        }
        if from != 0 {
            path.push(self.range(from, to));
        }
        path.reverse();
        Ok(path)
    }

    /// What a client demands: that the leaf at `index` is in the log of `size` leaves that the client knows.
    pub fn prove(&self, index: u64, size: u64) -> Result<LoggedProof, TreeError> {
        Ok(LoggedProof { index, size, path: self.inclusion(index, size)?, extension: vec![] })
    }

    fn known(&self, asked: u64) -> Result<(), TreeError> {
        let size = self.size();
        if asked > size { Err(TreeError::TooShort { asked, size }) } else { Ok(()) }
    }

    /// MTH over the leaves from `from` to `to`, all of which are known. `from` is a multiple of the largest power of two below their
    /// number, as all ranges of a tree are.
    fn range(&self, from: u64, to: u64) -> Hash256 {
        let count = to - from;
        if count == 0 {
            return EMPTY_ROOT;
        }
        // Full subtrees from the left to the right, the larger ones first, are joined from the right to the left.
        let mut root: Option<Hash256> = None;
        let mut end = to;
        for level in 0..64 {
            let width = 1u64 << level;
            if count & width == 0 {
                continue;
            }
            end -= width;
            let subtree = self.levels.get(level).and_then(|row| row.get(usize::try_from(end >> level).ok()?));
            // The range is known, so its subtrees are.
            let Some(subtree) = subtree else { return EMPTY_ROOT };
            root = Some(root.map_or(*subtree, |right| hash_node(subtree, &right)));
        }
        root.unwrap_or(EMPTY_ROOT)
    }
}

/// The largest power of two below `count`, which is at least 2: so many leaves are in the left subtree.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}
