//! Merkle proofs of parts of blocks and states.

use tycho_types::boc::ser::BocHeader;
use tycho_types::cell::{Cell, CellBuilder, DynCell, UsageTree, UsageTreeMode};
use tycho_types::error::Error;
use tycho_types::merkle::MerkleProof;
use tycho_types::models::{Block, McBlockExtra, McStateExtra, ShardStateUnsplit};

/// A bag of several roots.
pub(crate) fn bag(roots: &[&Cell]) -> Vec<u8> {
    let mut header = BocHeader::<std::hash::RandomState>::default();
    for root in roots {
        header.add_root(root.as_ref());
    }
    let mut bytes = vec![];
    header.encode(&mut bytes);
    bytes
}

/// Proves that a block with its hash has this header and this state after it, and whatever else `visit` reads.
pub(crate) fn block(root: &Cell, visit: impl FnOnce(&Block) -> Result<(), Error>) -> Result<Cell, Error> {
    let usage = UsageTree::new(UsageTreeMode::OnDataAccess);
    let tracked = usage.track(root);
    let block = tracked.parse::<Block>()?;
    let info = block.load_info()?;
    info.load_prev_ref()?;
    info.load_master_ref()?;
    // The update's cell itself, without what is in it: it has the hash of the state.
    let _ = block.state_update.inner().data();
    block.load_value_flow()?;
    visit(&block)?;
    CellBuilder::build_from(MerkleProof::create(root.as_ref(), usage).build()?)
}

/// Proves the header of a block.
pub(crate) fn header(root: &Cell) -> Result<Cell, Error> {
    block(root, |_| Ok(()))
}

/// Proves of a masterchain block what `visit` reads besides the header.
pub(crate) fn master_block(root: &Cell, visit: impl FnOnce(&McBlockExtra) -> Result<(), Error>) -> Result<Cell, Error> {
    block(root, |block| visit(&block.load_extra()?.load_custom()?.ok_or(Error::InvalidData)?))
}

/// Proves of a state what `visit` reads.
pub(crate) fn state(root: &Cell, visit: impl FnOnce(&ShardStateUnsplit) -> Result<(), Error>) -> Result<Cell, Error> {
    let usage = UsageTree::new(UsageTreeMode::OnDataAccess);
    let tracked = usage.track(root);
    visit(&tracked.parse::<ShardStateUnsplit>()?)?;
    CellBuilder::build_from(MerkleProof::create(root.as_ref(), usage).build()?)
}

/// Proves of a masterchain state what `visit` reads.
pub(crate) fn master_state(root: &Cell, visit: impl FnOnce(&McStateExtra) -> Result<(), Error>) -> Result<Cell, Error> {
    state(root, |state| visit(&state.load_custom()?.ok_or(Error::InvalidData)?))
}

/// Proves a whole tree.
pub(crate) fn whole(root: &Cell) -> Result<Cell, Error> {
    let usage = UsageTree::new(UsageTreeMode::OnDataAccess);
    touch(usage.track(root).as_ref());
    CellBuilder::build_from(MerkleProof::create(root.as_ref(), usage).build()?)
}

/// Reads a cell and all below it.
pub(crate) fn touch(cell: &DynCell) {
    let _ = cell.data();
    for child in cell.references() {
        touch(child);
    }
}
