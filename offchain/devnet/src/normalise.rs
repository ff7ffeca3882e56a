//! Four places in which `tycho-executor` writes a transaction or an account otherwise than the C++ implementation does,
//! without any difference in money or state. Mended here, so that hashes agree.

use std::collections::BTreeMap;

use tycho_executor::ExecutorOutput;
use tycho_types::cell::{Cell, CellBuilder, CellType, HashBytes, Lazy};
use tycho_types::dict::RawDict;
use tycho_types::error::Error;
use tycho_types::models::{
    Account, AccountState, ComputePhase, OptionalAccount, ShardAccount, StorageExtra, Transaction, TxInfo,
};
use tycho_types::num::VarUint56;

/// Accounts of at least this many cells carry the hash of a dictionary of their cells.
const DICT_FROM_CELLS: u64 = 26;

/// Bits of the storage of an account without money and code: logical time 64, amount 4, no other currencies 1, status 2.
const EMPTY_STORAGE_BITS: u64 = 71;

/// The same outcome as C++ writes it.
pub(crate) fn normalise(output: &ExecutorOutput) -> Result<(Lazy<Transaction>, ShardAccount), Error> {
    let mut account = output.new_state.load_account()?;
    if let Some(account) = &mut account {
        mend_storage(account)?;
    }
    let account = Lazy::new(&OptionalAccount(account))?;

    let mut transaction = output.transaction.load()?;
    let mut info = transaction.load_info()?;
    if let TxInfo::Ordinary(info) = &mut info {
        if let ComputePhase::Executed(compute) = &mut info.compute_phase {
            // C++ never sets these two.
            compute.msg_state_used = false;
            compute.account_activated = false;
        }
        if let Some(action) = &mut info.action_phase
            && action.result_arg == Some(0)
        {
            action.result_arg = None;
        }
    }
    transaction.info = Lazy::new(&info)?;
    let mut update = transaction.state_update.load()?;
    update.new = *account.repr_hash();
    transaction.state_update = Lazy::new(&update)?;
    let transaction = Lazy::new(&transaction)?;

    let state = ShardAccount {
        account,
        last_trans_hash: *transaction.repr_hash(),
        last_trans_lt: output.new_state.last_trans_lt,
    };
    Ok((transaction, state))
}

fn mend_storage(account: &mut Account) -> Result<(), Error> {
    let stat = &mut account.storage_stat;
    match &account.state {
        AccountState::Uninit => {
            // C++ counts what changed against an empty account, and takes the root cell for unchanged.
            stat.used.cells = VarUint56::ZERO;
            stat.used.bits = VarUint56::new(stat.used.bits.into_inner().saturating_sub(EMPTY_STORAGE_BITS));
        }
        AccountState::Frozen(_) => stat.storage_extra = StorageExtra::None,
        AccountState::Active(_) if stat.used.cells.into_inner() < DICT_FROM_CELLS => {
            stat.storage_extra = StorageExtra::None;
        }
        AccountState::Active(state) => {
            let root = CellBuilder::build_from(state)?;
            stat.storage_extra = match storage_dict(&root)? {
                Some(dict) => StorageExtra::DictHash(*dict.repr_hash()),
                None => StorageExtra::None,
            };
        }
    }
    Ok(())
}

/// For every cell below the root: by how many references it is reached, and how deep Merkle cells nest in it.
fn storage_dict(root: &Cell) -> Result<Option<Cell>, Error> {
    let mut references: BTreeMap<HashBytes, u32> = BTreeMap::new();
    let mut depths: BTreeMap<HashBytes, u8> = BTreeMap::new();
    // Each cell twice: before its children to count them, after them for the depth.
    let mut work: Vec<(Cell, bool)> = root.references().cloned().map(|cell| (cell, false)).collect();
    while let Some((cell, children_done)) = work.pop() {
        let hash = *cell.repr_hash();
        if children_done {
            let below = cell.references().filter_map(|c| depths.get(c.repr_hash())).max().copied().unwrap_or(0);
            let own = u8::from(matches!(cell.cell_type(), CellType::MerkleProof | CellType::MerkleUpdate));
            depths.insert(hash, (below + own).min(3));
            continue;
        }
        let count = references.entry(hash).or_insert(0);
        *count += 1;
        if *count == 1 {
            work.push((cell.clone(), true));
            work.extend(cell.references().cloned().map(|child| (child, false)));
        }
    }
    let mut dict = RawDict::<256>::new();
    for (hash, count) in &references {
        let mut value = CellBuilder::new();
        value.store_u32(*count)?;
        value.store_small_uint(depths.get(hash).copied().unwrap_or(0), 2)?;
        let mut key = CellBuilder::new();
        key.store_u256(hash)?;
        dict.set(key.as_data_slice(), value.as_data_slice())?;
    }
    Ok(dict.into_root())
}
