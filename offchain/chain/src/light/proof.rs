//! Bags of cells and Merkle proofs from servers.

use cocoon_lite::BlockIdExt;
use tycho_types::boc::de::{BocHeader, Options, ProcessedCells};
use tycho_types::cell::{Cell, CellFamily, CellType, HashBytes};
use tycho_types::merkle::MerkleProof;
use tycho_types::models::{Block, BlockInfo, ShardIdent};

use super::error::{ProofError, same};

/// The network allows no deeper cells in messages and states (1024), and a proof wraps a few more around them. Deeper ones
/// would exhaust the stack when they are walked or freed.
const MAX_DEPTH: u16 = 1100;

/// Reads a bag of cells with this many roots.
pub(super) fn bag(what: &'static str, bytes: &[u8], least: usize, most: usize) -> Result<Vec<Cell>, ProofError> {
    let unreadable = |why: &dyn std::fmt::Display| ProofError::unreadable(what, why);
    let options = Options { min_roots: Some(least), max_roots: Some(most) };
    let header = BocHeader::decode(bytes, &options).map_err(|e| unreadable(&e))?;
    check_depth(&header).map_err(|why| unreadable(&why))?;
    let cells: ProcessedCells = header.finalize(Cell::empty_context()).map_err(|e| unreadable(&e))?;
    let roots: Option<Vec<Cell>> = header.roots().iter().map(|root| cells.get(*root)).collect();
    roots.ok_or_else(|| unreadable(&"a root is missing"))
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

/// Every cell comes before those that it refers to, so that depths follow from the last to the first.
fn check_depth(header: &BocHeader<'_>) -> Result<(), &'static str> {
    const BROKEN: &str = "a cell refers to none";
    let cells = header.cells();
    let mut depths = vec![0u16; cells.len()];
    for (index, cell) in cells.iter().enumerate().rev() {
        let references = usize::from(cell.first().ok_or(BROKEN)? & 7).min(4);
        let at = cell.len().checked_sub(references * header.ref_size()).ok_or(BROKEN)?;
        let mut depth = 0;
        for bytes in cell.get(at..).unwrap_or_default().chunks(header.ref_size()) {
            let child = bytes.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte));
            if child <= index {
                return Err(BROKEN);
            }
            depth = depth.max(depths.get(child).ok_or(BROKEN)?.saturating_add(1));
        }
        if depth > MAX_DEPTH {
            return Err("its cells are too deep");
        }
        if let Some(slot) = depths.get_mut(index) {
            *slot = depth;
        }
    }
    Ok(())
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

/// A block's header, proven.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub info: BlockInfo,
    pub block: Block,
    /// Hash of the state after the block.
    pub state: HashBytes,
}

/// Reads the header of this block.
pub(super) fn header(what: &'static str, proof: &Cell, id: &BlockIdExt) -> Result<Header, ProofError> {
    let root = open(what, proof, &id.root_hash)?;
    // Anything that cannot be read from here on has the hash of a real block, if the id is one's.
    let unreadable = |e: tycho_types::error::Error| match e {
        tycho_types::error::Error::InvalidTag => ProofError::unsupported(what, "a block of another format"),
        other => ProofError::unreadable(what, other),
    };
    let block: Block = root.parse().map_err(unreadable)?;
    let info = block.load_info().map_err(unreadable)?;
    if info.version != 0 {
        return Err(ProofError::unsupported(what, format_args!("a block of version {}", info.version)));
    }
    let shard = ShardIdent::new(id.workchain, id.shard);
    same(what, shard, Some(info.shard), |shard| format!("a block of shard {shard:?}"))?;
    same(what, id.seqno, info.seqno, |seqno| format!("block {seqno}"))?;
    let state = new_state(block.state_update.inner()).ok_or_else(|| ProofError::wrong(what, "it names no state"))?;
    Ok(Header { info, block, state })
}

/// The second hash of an update: that of the state after the block. The update's own cell has it, whatever is pruned below.
fn new_state(update: &Cell) -> Option<HashBytes> {
    let mut slice = update.as_slice_allow_exotic();
    (slice.load_u8().ok()? == CellType::MerkleUpdate.to_byte()).then_some(())?;
    slice.skip_first(256, 0).ok()?;
    slice.load_u256().ok()
}
