//! Bags of cells from strangers.

use tycho_types::boc::de::{BocHeader, Options, ProcessedCells};
use tycho_types::cell::{Cell, CellFamily};

/// The network allows no deeper cells in messages and states (1024), and a proof wraps a few more around them. Deeper ones
/// would exhaust the stack when they are walked or freed.
const MAX_DEPTH: u16 = 1100;

/// Bytes that are no bag of cells, or one that nobody should touch.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BagError {
    /// They do not have the form of a bag of cells, or not that many roots.
    #[error("{0}")]
    Form(String),
    /// They would be cells deeper than any in a network.
    #[error("its cells are too deep: the limit is {MAX_DEPTH}")]
    TooDeep,
}

/// Reads a bag of cells with at least and at most so many roots.
///
/// # Errors
/// Says what is wrong with the bytes. No cell is made before it is known that none is too deep.
pub fn read_bag(bytes: &[u8], least: usize, most: usize) -> Result<Vec<Cell>, BagError> {
    let form = |why: &dyn std::fmt::Display| BagError::Form(why.to_string());
    let options = Options { min_roots: Some(least), max_roots: Some(most) };
    let header = BocHeader::decode(bytes, &options).map_err(|e| form(&e))?;
    check_depth(&header)?;
    let cells: ProcessedCells = header.finalize(Cell::empty_context()).map_err(|e| form(&e))?;
    let roots: Option<Vec<Cell>> = header.roots().iter().map(|root| cells.get(*root)).collect();
    roots.ok_or_else(|| form(&"a root is missing"))
}

/// Reads a bag of cells with one root.
///
/// # Errors
/// As [`read_bag`].
pub fn read_cell(bytes: &[u8]) -> Result<Cell, BagError> {
    read_bag(bytes, 1, 1)?.pop().ok_or_else(|| BagError::Form("it has no root".to_owned()))
}

/// Every cell comes before those that it refers to, so that depths follow from the last to the first.
fn check_depth(header: &BocHeader<'_>) -> Result<(), BagError> {
    let broken = || BagError::Form("a cell refers to none".to_owned());
    let cells = header.cells();
    let mut depths = vec![0u16; cells.len()];
    for (index, cell) in cells.iter().enumerate().rev() {
        let references = usize::from(cell.first().ok_or_else(broken)? & 7).min(4);
        let at = cell.len().checked_sub(references * header.ref_size()).ok_or_else(broken)?;
        let mut depth = 0;
        for bytes in cell.get(at..).unwrap_or_default().chunks(header.ref_size()) {
            let child = bytes.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte));
            if child <= index {
                return Err(broken());
            }
            depth = depth.max(depths.get(child).ok_or_else(broken)?.saturating_add(1));
        }
        if depth > MAX_DEPTH {
            return Err(BagError::TooDeep);
        }
        if let Some(slot) = depths.get_mut(index) {
            *slot = depth;
        }
    }
    Ok(())
}
