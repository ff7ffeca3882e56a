//! Bags of cells and Merkle proofs from servers.

use tycho_types::cell::{Cell, CellFamily, HashBytes};
use tycho_types::merkle::MerkleProof;

use super::error::{ProofError, same};
use crate::cells;

/// Reads a bag of cells with this many roots.
pub(super) fn bag(what: &'static str, bytes: &[u8], least: usize, most: usize) -> Result<Vec<Cell>, ProofError> {
    cells::read_bag(bytes, least, most).map_err(|e| ProofError::unreadable(what, e))
}

/// Reads a bag of cells with one root.
pub(super) fn single(what: &'static str, bytes: &[u8]) -> Result<Cell, ProofError> {
    bag(what, bytes, 1, 1)?.pop().ok_or_else(|| ProofError::unreadable(what, "it has no root"))
}

/// Reads a bag of cells with two roots.
pub(super) fn pair(what: &'static str, bytes: &[u8]) -> Result<(Cell, Cell), ProofError> {
    match <[Cell; 2]>::try_from(bag(what, bytes, 2, 2)?) {
        Ok([first, second]) => Ok((first, second)),
        Err(_) => Err(ProofError::unreadable(what, "it has not two roots")),
    }
}

/// Opens a Merkle proof of cells with this hash: they read as the original ones, except that those which are pruned cannot be
/// read.
pub(super) fn open(what: &'static str, proof: &Cell, hash: &HashBytes) -> Result<Cell, ProofError> {
    let proof: MerkleProof = proof.parse_exotic().map_err(|e| ProofError::unreadable(what, e))?;
    // The hash that the proof claims is not what counts, but that of the cells in it.
    same(what, *hash, *proof.cell.hash(0), HashBytes::to_string)?;
    Ok(Cell::virtualize(proof.cell))
}

/// Cells of which none is pruned, with this hash.
pub(super) fn whole(what: &'static str, root: Cell, hash: &HashBytes) -> Result<Cell, ProofError> {
    if root.level() != 0 {
        return Err(ProofError::unreadable(what, "a part of it is pruned"));
    }
    same(what, *hash, *root.repr_hash(), HashBytes::to_string)?;
    Ok(root)
}
