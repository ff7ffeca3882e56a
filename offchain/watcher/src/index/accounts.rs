//! Accounts as a block leaves them, taken out of the block itself.
//!
//! A block carries the difference between two states of its shard: the cells that are new, and stubs with hashes in place of all
//! others. With an account's former cells at hand, that is its whole new state, and nobody has to be asked for it.

use std::collections::BTreeMap;

use cocoon_chain::{Cell, ChainError, StdAddr, TransactionRecord};
use tycho_types::cell::{CellFamily, DynCell, HashBytes};
use tycho_types::merkle::MerkleUpdateApplier;
use tycho_types::models::{Block, ShardAccount, ShardAccounts};

/// A block, opened.
pub struct OpenBlock {
    workchain: i8,
    /// The accounts of the new state, with stubs; absent when no account has changed.
    accounts: Option<ShardAccounts>,
    /// Transactions by account, each list in order.
    pub transactions: BTreeMap<StdAddr, Vec<Cell>>,
}

fn malformed(e: impl std::fmt::Display) -> ChainError {
    ChainError::malformed("block", e)
}

impl OpenBlock {
    /// Reads a block's root.
    pub fn open(root: &Cell) -> Result<Self, ChainError> {
        let block: Block = root.parse().map_err(malformed)?;
        let info = block.load_info().map_err(malformed)?;
        let workchain = i8::try_from(info.shard.workchain()).map_err(malformed)?;
        let update = block.load_state_update().map_err(malformed)?;
        // Not the whole state, of which any other part may be a stub: shard_state#9023afe2 … out_msg_queue_info:^… accounts:^….
        let accounts = update.new.reference_cloned(1).ok_or_else(|| malformed("a state without accounts"))?;
        let accounts = if accounts.is_exotic() { None } else { Some(accounts.parse().map_err(malformed)?) };
        let mut transactions = BTreeMap::new();
        let extra = block.load_extra().map_err(malformed)?;
        for entry in extra.account_blocks.load().map_err(malformed)?.iter() {
            let (address, _, list) = entry.map_err(malformed)?;
            let mut cells = vec![];
            for transaction in list.transactions.values() {
                let (_, lazy) = transaction.map_err(malformed)?;
                cells.push(lazy.inner().clone());
            }
            transactions.insert(StdAddr::new(workchain, address), cells);
        }
        Ok(Self { workchain, accounts, transactions })
    }

    /// Reads a transaction of this block.
    pub fn read(&self, cell: &Cell) -> Result<TransactionRecord, ChainError> {
        TransactionRecord::from_cell(self.workchain, cell.clone())
    }

    /// The state of an account that this block changed, or `None` when it is gone. `former`: its cells before; `shared`: others
    /// that it may have in common with anybody.
    pub fn account(
        &self,
        address: &StdAddr,
        former: &Cells,
        shared: &Cells,
    ) -> Result<Option<ShardAccount>, ChainError> {
        let Some(accounts) = &self.accounts else { return Ok(None) };
        let Some((_, mut entry)) = accounts.get(address.address).map_err(malformed)? else { return Ok(None) };
        let mut applier = MerkleUpdateApplier {
            new_cells: ahash::HashMap::<HashBytes, Cell>::default(),
            context: Cell::empty_context(),
            find_cell: |hash: &HashBytes| former.0.get(hash).or_else(|| shared.0.get(hash)).cloned(),
            find_in_new_cells: false,
        };
        let stubbed = entry.account.inner().clone();
        let whole = applier.run(stubbed.as_ref(), 0).map_err(|_| {
            ChainError::malformed(
                "block",
                format!("a cell of {address} is neither in the block nor in its former state"),
            )
        })?;
        entry.account = tycho_types::cell::Lazy::from_raw(whole).map_err(malformed)?;
        Ok(Some(entry))
    }
}

/// Cells by hash.
#[derive(Default)]
pub struct Cells(ahash::HashMap<HashBytes, Cell>);

impl Cells {
    /// Adds a tree of cells.
    pub fn add(&mut self, root: &Cell) {
        let mut waiting = vec![root.clone()];
        while let Some(cell) = waiting.pop() {
            if self.0.insert(*cell.repr_hash(), cell.clone()).is_none() {
                let tree: &DynCell = cell.as_ref();
                waiting.extend((0..tree.reference_count()).filter_map(|i| cell.reference_cloned(i)));
            }
        }
    }
}
