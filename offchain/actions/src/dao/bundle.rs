//! A bundle of actions: the cell that is voted on is the cell that is executed.

use cocoon_chain::Cell;
use cocoon_wrappers::generated::governor::Action;
use tycho_types::cell::CellSlice;

use crate::ActionError;

/// Most actions in a bundle.
pub const MAX_ACTIONS: usize = 32;
/// Most cells in a bundle.
pub const MAX_CELLS: usize = 512;

/// Links actions in the order of their execution. The `next` of each is replaced.
pub fn bundle(actions: &[Action]) -> Result<Cell, ActionError> {
    if actions.is_empty() || actions.len() > MAX_ACTIONS {
        let why = format!("a proposal has 1 to {MAX_ACTIONS} actions, not {}", actions.len());
        return Err(ActionError::invalid("actions", why));
    }
    let mut next = None;
    for action in actions.iter().rev() {
        next = Some(Action { next, ..action.clone() }.to_cell()?);
    }
    let bundle = next.ok_or_else(|| ActionError::invalid("actions", "there are none"))?;
    let cells = count(&bundle);
    if cells > MAX_CELLS {
        return Err(ActionError::invalid("actions", format!("they have {cells} cells; {MAX_CELLS} are possible")));
    }
    Ok(bundle)
}

/// The actions of a bundle, in the order of their execution. The cell may be anybody's.
pub fn unbundle(bundle: &Cell) -> Result<Vec<Action>, ActionError> {
    let mut actions = vec![];
    let mut next = Some(bundle.clone());
    while let Some(cell) = next {
        if actions.len() >= MAX_ACTIONS {
            return Err(ActionError::invalid("actions", format!("there are more than {MAX_ACTIONS}")));
        }
        let mut action = Action::from_cell(&cell)?;
        next = action.next.take();
        actions.push(action);
    }
    Ok(actions)
}

/// Cells with their repetitions, as the contract counts them; stops above the bound.
fn count(cell: &Cell) -> usize {
    let mut stack = vec![cell.clone()];
    let mut cells = 0;
    while let Some(cell) = stack.pop() {
        cells += 1;
        if cells > MAX_CELLS {
            break;
        }
        stack.extend(CellSlice::new(cell.as_ref()).ok().into_iter().flat_map(|slice| {
            (0..slice.size_refs()).filter_map(|i| slice.get_reference_cloned(i).ok()).collect::<Vec<_>>()
        }));
    }
    cells
}
