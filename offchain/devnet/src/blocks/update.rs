//! The difference of two states, as the Merkle update that a block carries.
//!
//! A state has many cells and a block changes few of them. [`Census`] counts how often each cell of the newest state is
//! referred to, so that what a block adds and removes is found by looking only at what changed.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use tycho_types::cell::{Cell, CellBuilder, CellFamily, DynCell, HashBytes};
use tycho_types::error::Error;
use tycho_types::merkle::{MerkleUpdate, make_pruned_branch};

/// Hashes a hash by taking eight of its bytes: nobody can choose them.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(bytes) = bytes.first_chunk() {
            self.0 ^= u64::from_le_bytes(*bytes);
        }
    }

    // How long it is says nothing.
    fn write_usize(&mut self, _: usize) {}
}

type ByCell<T> = HashMap<HashBytes, T, BuildHasherDefault<Taken>>;
type Cells = HashSet<HashBytes, BuildHasherDefault<Taken>>;

/// How often each cell of a state is referred to.
#[derive(Debug, Default)]
pub(crate) struct Census {
    counts: ByCell<u32>,
}

/// What a new state adds and what it leaves behind. It belongs to the census that made it.
#[derive(Debug)]
pub(crate) struct Staged {
    counts: ByCell<u32>,
}

impl Census {
    /// Counts all cells of a state.
    pub fn new(root: &Cell) -> Self {
        let mut staged = Staged { counts: ByCell::default() };
        let none = Self::default();
        none.add(root.as_ref(), &mut staged);
        Self { counts: staged.counts }
    }

    /// The update from one state, the one that was counted, to another.
    pub fn update(&self, old: &Cell, new: &Cell) -> Result<(MerkleUpdate, Staged), Error> {
        let mut staged = Staged { counts: ByCell::default() };
        self.add(new.as_ref(), &mut staged);
        self.remove(old.as_ref(), &mut staged);
        let is_new = |cell: &DynCell| self.count(cell) == 0;
        let is_gone = |cell: &DynCell| staged.counts.get(cell.repr_hash()) == Some(&0);

        if !is_new(new.as_ref()) {
            let both = make_pruned_branch(old.as_ref(), 0, Cell::empty_context())?;
            return Ok((merkle_update(old, new, both.clone(), both), staged));
        }
        // Where the part of the old tree that is gone meets the part that stays: what the new tree can refer to. A cell that is
        // old but not there, such as the code of a wallet that others have too, is written out.
        let mut frontier = Cells::default();
        find_frontier(old.as_ref(), &is_gone, &mut frontier, &mut Cells::default());
        let mut used = Cells::default();
        let after = prune(new, &mut ByCell::default(), &mut |cell| {
            let known = !is_new(cell) && frontier.contains(cell.repr_hash());
            if known {
                used.insert(*cell.repr_hash());
            }
            known
        })?;
        let mut leads = ByCell::default();
        leads_to(old.as_ref(), &is_gone, &used, &mut leads);
        let before = prune(old, &mut ByCell::default(), &mut |cell| {
            !is_gone(cell) || leads.get(cell.repr_hash()).is_none_or(|leads| !leads)
        })?;
        Ok((merkle_update(old, new, before, after), staged))
    }

    /// Makes the new state of an update the counted one.
    pub fn adopt(&mut self, staged: Staged) {
        for (hash, count) in staged.counts {
            if count == 0 {
                self.counts.remove(&hash);
            } else {
                self.counts.insert(hash, count);
            }
        }
    }

    fn count(&self, cell: &DynCell) -> u32 {
        self.counts.get(cell.repr_hash()).copied().unwrap_or(0)
    }

    fn add(&self, cell: &DynCell, staged: &mut Staged) {
        let count = staged.counts.entry(*cell.repr_hash()).or_insert_with(|| self.count(cell));
        *count += 1;
        if *count == 1 && !cell.descriptor().is_merkle() {
            for child in cell.references() {
                self.add(child, staged);
            }
        }
    }

    fn remove(&self, cell: &DynCell, staged: &mut Staged) {
        let count = staged.counts.entry(*cell.repr_hash()).or_insert_with(|| self.count(cell));
        *count = count.saturating_sub(1);
        if *count == 0 && !cell.descriptor().is_merkle() {
            for child in cell.references() {
                self.remove(child, staged);
            }
        }
    }
}

fn merkle_update(old: &Cell, new: &Cell, before: Cell, after: Cell) -> MerkleUpdate {
    MerkleUpdate {
        old_hash: *old.repr_hash(),
        new_hash: *new.repr_hash(),
        old_depth: old.repr_depth(),
        new_depth: new.repr_depth(),
        old: before,
        new: after,
    }
}

/// Collects the cells that stay right below those that are gone.
fn find_frontier(cell: &DynCell, is_gone: &impl Fn(&DynCell) -> bool, frontier: &mut Cells, seen: &mut Cells) {
    if !seen.insert(*cell.repr_hash()) {
        return;
    }
    if !is_gone(cell) {
        frontier.insert(*cell.repr_hash());
    } else if !cell.descriptor().is_merkle() {
        for child in cell.references() {
            find_frontier(child, is_gone, frontier, seen);
        }
    }
}

/// Finds out of each cell that is gone whether one of these is below it.
fn leads_to(cell: &DynCell, is_gone: &impl Fn(&DynCell) -> bool, used: &Cells, leads: &mut ByCell<bool>) -> bool {
    if let Some(known) = leads.get(cell.repr_hash()) {
        return *known;
    }
    let mut found = used.contains(cell.repr_hash());
    if is_gone(cell) && !cell.descriptor().is_merkle() {
        for child in cell.references() {
            found |= leads_to(child, is_gone, used, leads);
        }
    }
    leads.insert(*cell.repr_hash(), found);
    found
}

/// A copy of a tree in which the subtrees that `leave_out` names are pruned branches. Leaves stay as they are: a pruned
/// branch would be larger. Merkle cells inside of accounts are not looked into.
fn prune(cell: &Cell, done: &mut ByCell<Cell>, leave_out: &mut impl FnMut(&DynCell) -> bool) -> Result<Cell, Error> {
    if cell.reference_count() == 0 || cell.descriptor().is_merkle() {
        return Ok(cell.clone());
    }
    if let Some(copy) = done.get(cell.repr_hash()) {
        return Ok(copy.clone());
    }
    let mut builder = CellBuilder::new();
    builder.set_exotic(cell.is_exotic());
    builder.store_cell_data(cell.as_ref())?;
    for child in cell.references().cloned() {
        let child = if child.reference_count() > 0 && !child.descriptor().is_merkle() && leave_out(child.as_ref()) {
            match done.get(child.repr_hash()) {
                Some(copy) => copy.clone(),
                None => {
                    // Level 1 and no other: a Merkle update is one level, and some parsers misread any other mask.
                    let pruned = make_pruned_branch(child.as_ref(), 0, Cell::empty_context())?;
                    done.insert(*child.repr_hash(), pruned.clone());
                    pruned
                }
            }
        } else {
            prune(&child, done, leave_out)?
        };
        builder.store_reference(child)?;
    }
    let copy = builder.build()?;
    done.insert(*cell.repr_hash(), copy.clone());
    Ok(copy)
}
