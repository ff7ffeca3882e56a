//! Five places in which `tycho-executor` writes a transaction or an account otherwise than the C++ implementation does,
//! without any difference in money or state. Mended here, so that hashes agree.

use std::collections::BTreeMap;

use tycho_executor::{ExecutorOutput, ParsedConfig};
use tycho_types::cell::{Cell, CellBuilder, CellFamily, CellTreeStats, CellType, HashBytes, Lazy, Store};
use tycho_types::dict::RawDict;
use tycho_types::error::Error;
use tycho_types::models::{
    Account, AccountState, BouncePhase, ComputePhase, MsgInfo, OptionalAccount, ShardAccount, StorageExtra,
    Transaction, TxInfo,
};
use tycho_types::num::{Tokens, VarUint56};

/// Accounts of at least this many cells carry the hash of a dictionary of their cells.
const DICT_FROM_CELLS: u64 = 26;

/// The same outcome as C++ writes it, for an account that was `before`.
pub(crate) fn normalise(
    config: &ParsedConfig,
    before: &ShardAccount,
    output: &ExecutorOutput,
) -> Result<(Lazy<Transaction>, ShardAccount), Error> {
    let mut transaction = output.transaction.load()?;
    let mut info = transaction.load_info()?;
    let computed = matches!(&info, TxInfo::Ordinary(info) if matches!(&info.compute_phase, ComputePhase::Executed(c) if c.success));
    let mut account = output.new_state.load_account()?;
    if let Some(account) = &mut account {
        mend_storage(before.load_account()?.as_ref(), account, computed)?;
    }
    let account = Lazy::new(&OptionalAccount(account))?;

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
        if let Some(BouncePhase::NoFunds(bounce)) = &mut info.bounce_phase
            && bounce.req_fwd_fees != Tokens::MAX
        {
            // C++ writes what the way back costs; tycho-executor what is missing of it.
            let stats = CellTreeStats {
                cell_count: bounce.msg_size.cells.into_inner(),
                bit_count: bounce.msg_size.bits.into_inner(),
            };
            bounce.req_fwd_fees = config.fwd_prices(in_masterchain(&transaction)?).compute_fwd_fee(stats);
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

/// True if the message came from the masterchain or to it.
fn in_masterchain(transaction: &Transaction) -> Result<bool, Error> {
    Ok(match transaction.load_in_msg()?.map(|message| message.info) {
        Some(MsgInfo::Int(info)) => info.src.is_masterchain() || info.dst.is_masterchain(),
        _ => false,
    })
}

/// `computed`: the compute phase succeeded. Then C++ counts an active account anew, even when the action phase takes all back.
fn mend_storage(before: Option<&Account>, account: &mut Account, computed: bool) -> Result<(), Error> {
    if let Some(before) = before
        && before.state == account.state
        && (!computed || account.state == AccountState::Uninit)
    {
        // Nothing below the root cell changed: C++ adds what the root grew by to whatever was counted before, which may
        // be less than the root, or nothing at all for an account that was placed by hand; tycho-executor then counts anew.
        let grown =
            (before.storage_stat.used.bits.into_inner() + root_bits(account)?).saturating_sub(root_bits(before)?);
        account.storage_stat.used.cells = before.storage_stat.used.cells;
        account.storage_stat.used.bits = VarUint56::new(grown);
        account.storage_stat.storage_extra = before.storage_stat.storage_extra;
        return Ok(());
    }
    let stat = &mut account.storage_stat;
    match &account.state {
        AccountState::Uninit => {}
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

/// Bits in the root cell of an account's storage.
fn root_bits(account: &Account) -> Result<u64, Error> {
    let mut root = CellBuilder::new();
    root.store_u64(account.last_trans_lt)?;
    account.balance.store_into(&mut root, Cell::empty_context())?;
    account.state.store_into(&mut root, Cell::empty_context())?;
    Ok(u64::from(root.size_bits()))
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
