//! Checking of proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2). Work is bounded by the number of bits of a size, whatever a peer
//! sends.

use cocoon_protocol::Hash256;

use crate::contract::LogHead;
use crate::hash::{EMPTY_ROOT, hash_node};

/// A proof does not prove what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf.
    #[error("leaf {index} is beyond the end of a log of {size} leaves")]
    NoSuchLeaf {
        /// Position, from zero.
        index: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The path has too few or too many hashes.
    #[error("the proof has {found} hashes, which is not the length of a path in a log of {size} leaves")]
    WrongLength {
        /// How many there are.
        found: usize,
        /// Leaves in the larger tree.
        size: u64,
    },
    /// The hashes lead to another root.
    #[error(
        "the proof leads to root {computed}, and the log of {size} leaves has {expected}: something was altered or left out"
    )]
    OtherRoot {
        /// Leaves in the tree whose root it is.
        size: u64,
        /// Of the tree.
        expected: Hash256,
        /// Of the proof.
        computed: Hash256,
    },
    /// The newer tree is the smaller one.
    #[error("a log of {newer} leaves cannot continue one of {older}: leaves were taken back")]
    Shrunk {
        /// Leaves of the head that was seen first.
        older: u64,
        /// Leaves of the one that is said to follow.
        newer: u64,
    },
}

/// The root of a tree of `size` leaves to which this path leads from the leaf with this hash at `index`.
///
/// It says nothing before it is compared with a root from elsewhere.
pub fn inclusion_root(leaf: &Hash256, index: u64, size: u64, path: &[Hash256]) -> Result<Hash256, ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let wrong = ProofError::WrongLength { found: path.len(), size };
    let (mut node, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(wrong);
        }
        if node & 1 == 1 || node == last {
            root = hash_node(sibling, &root);
            (node, last) = up_to_right_child(node, last);
        } else {
            root = hash_node(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(wrong) }
}

/// Checks that the leaf with this hash is the one at `index`, counted from zero.
pub fn verify_inclusion(head: &LogHead, leaf: &Hash256, index: u64, path: &[Hash256]) -> Result<(), ProofError> {
    same_root(head.size, &head.root, &inclusion_root(leaf, index, head.size, path)?)
}

/// Checks that the newer tree is the older one with nothing but further leaves.
pub fn verify_consistency(older: &LogHead, newer: &LogHead, path: &[Hash256]) -> Result<(), ProofError> {
    if older.size > newer.size {
        return Err(ProofError::Shrunk { older: older.size, newer: newer.size });
    }
    let wrong = ProofError::WrongLength { found: path.len(), size: newer.size };
    if older.size == 0 || older.size == newer.size {
        if !path.is_empty() {
            return Err(wrong);
        }
        let expected = if older.size == 0 { &EMPTY_ROOT } else { &newer.root };
        return same_root(older.size, expected, &older.root);
    }
    // A tree of 2^k leaves is itself the first node of the path and is left out of it.
    let mut rest = path.iter();
    let first = if older.size.is_power_of_two() { Some(&older.root) } else { rest.next() };
    let Some(first) = first else { return Err(wrong) };
    let skipped = (older.size - 1).trailing_ones();
    let (mut node, mut last) = ((older.size - 1) >> skipped, (newer.size - 1) >> skipped);
    let (mut before, mut after) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong);
        }
        if node & 1 == 1 || node == last {
            before = hash_node(sibling, &before);
            after = hash_node(sibling, &after);
            (node, last) = up_to_right_child(node, last);
        } else {
            after = hash_node(&after, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong);
    }
    same_root(older.size, &older.root, &before)?;
    same_root(newer.size, &newer.root, &after)
}

/// A node at the right edge has no sibling for as many levels as it is a left child: it is its own parent there. `node` is not
/// zero: it is odd, or it is `last`, and where that is zero the path is at its end.
fn up_to_right_child(node: u64, last: u64) -> (u64, u64) {
    let levels = node.trailing_zeros().min(u64::BITS - 1);
    (node >> levels, last >> levels)
}

fn same_root(size: u64, expected: &Hash256, computed: &Hash256) -> Result<(), ProofError> {
    if expected == computed {
        Ok(())
    } else {
        Err(ProofError::OtherRoot { size, expected: *expected, computed: *computed })
    }
}
