//! The one field in which a recorded transaction may differ: when its action phase failed, C++ names the forwarding fees of messages
//! that were made and not sent. Nobody pays them, and tycho-executor does not keep them.

use cocoon_devnet::tvm::Executed;
use tycho_types::cell::{Cell, CellBuilder, Lazy};
use tycho_types::error::Error;
use tycho_types::models::{ShardAccount, Transaction, TxInfo};

/// Whether transaction and account are the recorded ones, but for that field and for the hash by which the account names the
/// transaction.
pub fn agrees_but_for_unsent(here: &Executed, transaction: &Cell, after: &Cell) -> Result<bool, Error> {
    let mut recorded = transaction.parse::<Transaction>()?;
    let mut info = recorded.load_info()?;
    let TxInfo::Ordinary(ordinary) = &mut info else { return Ok(false) };
    let Some(action) = ordinary.action_phase.as_mut().filter(|action| !action.success) else { return Ok(false) };
    action.total_fwd_fees = None;
    recorded.info = Lazy::new(&info)?;
    let same_transaction = CellBuilder::build_from(&recorded)?.repr_hash() == here.transaction.inner().repr_hash();
    let after = after.parse::<ShardAccount>()?;
    Ok(same_transaction && after.account.inner().repr_hash() == here.state.account.inner().repr_hash())
}
