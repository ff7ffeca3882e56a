//! Transactions, as far as services look into them.

use cocoon_protocol::{Hash256, Nano, StdAddr, UnixSeconds};
use tycho_types::cell::Cell;
use tycho_types::models::{self, BouncePhase, ComputePhase, ComputePhaseSkipReason, Transaction, TxInfo};

use crate::account::AccountStatus;
use crate::chain::ChainError;
use crate::message::{MessageKind, MessageRecord};
use crate::{cell_hash, hash, nano};

const WHAT: &str = "transaction";

/// What became of the contract's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ComputeOutcome {
    /// It did not run.
    Skipped(ComputePhaseSkipReason),
    /// It ran.
    Executed {
        /// True if it ended well, which exit codes 0 and 1 say.
        success: bool,
        /// Exit code of the TVM.
        exit_code: i32,
        /// Gas paid for.
        gas_used: u64,
        /// What the gas cost.
        gas_fees: Nano,
        /// Instructions executed.
        steps: u32,
    },
}

/// What became of the actions that the contract's code asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActionOutcome {
    /// False if one failed; then none was done, and the contract's state is as before.
    pub success: bool,
    /// 0, or why not.
    pub result_code: i32,
    /// Actions asked for.
    pub total: u16,
    /// Actions that failed and were passed over because their mode said so.
    pub skipped: u16,
    /// Messages sent.
    pub messages: u16,
}

/// One transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransactionRecord {
    /// Hash of its cell.
    pub hash: Hash256,
    /// On which account.
    pub account: StdAddr,
    /// Its logical time.
    pub lt: u64,
    /// Logical time of the account's transaction before it; 0 if it is the first.
    pub prev_lt: u64,
    /// Hash of the account's transaction before it.
    pub prev_hash: Hash256,
    /// Time of its block.
    pub utime: UnixSeconds,
    /// What the account was before.
    pub status_before: AccountStatus,
    /// What the account is after.
    pub status_after: AccountStatus,
    /// What caused it; absent if the chain itself did.
    pub in_message: Option<MessageRecord>,
    /// What it sent, in order.
    pub out_messages: Vec<MessageRecord>,
    /// All that it paid to the network: storage, gas, its part of the forwarding fees, the import of an external message.
    pub total_fees: Nano,
    /// The part of the fees that is for storage.
    pub storage_fees: Nano,
    /// What became of the code.
    pub compute: ComputeOutcome,
    /// What became of the actions; absent if the code failed.
    pub action: Option<ActionOutcome>,
    /// Whether the incoming message was sent back.
    pub bounced_back: bool,
    /// Whether the chain counts it as failed. A transfer to an account without code is, and yet arrives.
    pub aborted: bool,
    /// The transaction itself.
    pub cell: Cell,
}

impl TransactionRecord {
    /// Reads a transaction. Its cell does not name the workchain.
    pub fn from_cell(workchain: i8, cell: Cell) -> Result<Self, ChainError> {
        let malformed = |e| ChainError::malformed(WHAT, e);
        let tx: Transaction = cell.parse().map_err(malformed)?;
        let mut storage_fees = Nano::ZERO;
        let mut bounced_back = false;
        let (compute, action, aborted) = match tx.load_info().map_err(malformed)? {
            TxInfo::Ordinary(info) => {
                if let Some(phase) = &info.storage_phase {
                    storage_fees = nano(WHAT, phase.storage_fees_collected)?;
                }
                bounced_back = matches!(info.bounce_phase, Some(BouncePhase::Executed(_)));
                (info.compute_phase, info.action_phase, info.aborted)
            }
            TxInfo::TickTock(info) => {
                storage_fees = nano(WHAT, info.storage_phase.storage_fees_collected)?;
                (info.compute_phase, info.action_phase, info.aborted)
            }
        };
        let mut out_messages = vec![];
        for message in tx.out_msgs.values() {
            out_messages.push(MessageRecord::from_cell(&message.map_err(malformed)?)?);
        }
        Ok(Self {
            hash: cell_hash(&cell),
            account: StdAddr::new(workchain, tx.account),
            lt: tx.lt,
            prev_lt: tx.prev_trans_lt,
            prev_hash: hash(&tx.prev_trans_hash),
            utime: UnixSeconds(tx.now),
            status_before: status(tx.orig_status),
            status_after: status(tx.end_status),
            in_message: tx.in_msg.as_ref().map(MessageRecord::from_cell).transpose()?,
            out_messages,
            total_fees: nano(WHAT, tx.total_fees.tokens)?,
            storage_fees,
            compute: match compute {
                ComputePhase::Skipped(phase) => ComputeOutcome::Skipped(phase.reason),
                ComputePhase::Executed(phase) => ComputeOutcome::Executed {
                    success: phase.success,
                    exit_code: phase.exit_code,
                    gas_used: phase.gas_used.into_inner(),
                    gas_fees: nano(WHAT, phase.gas_fees)?,
                    steps: phase.vm_steps,
                },
            },
            action: action.map(|phase| ActionOutcome {
                success: phase.success,
                result_code: phase.result_code,
                total: phase.total_actions,
                skipped: phase.skipped_actions,
                messages: phase.messages_created,
            }),
            bounced_back,
            aborted,
            cell,
        })
    }

    /// Gas that the contract's code used; 0 if it did not run.
    pub const fn gas_used(&self) -> u64 {
        match self.compute {
            ComputeOutcome::Executed { gas_used, .. } => gas_used,
            ComputeOutcome::Skipped(_) => 0,
        }
    }

    /// Exit code of the contract's code, if it ran.
    pub const fn exit_code(&self) -> Option<i32> {
        match self.compute {
            ComputeOutcome::Executed { exit_code, .. } => Some(exit_code),
            ComputeOutcome::Skipped(_) => None,
        }
    }

    /// By how many nanoton it changed the account's balance: what came in, less what it sent on and what it paid.
    pub fn balance_change(&self) -> i128 {
        let came = self.in_message.as_ref().map_or(Nano::ZERO, |m| m.value);
        let left: i128 = self.out_messages.iter().map(|m| cost(m.value) + cost(m.forward_fee)).sum();
        cost(came) - left - cost(self.total_fees)
    }

    /// The internal messages that it sent.
    pub fn internal_messages(&self) -> impl Iterator<Item = &MessageRecord> {
        self.out_messages.iter().filter(|m| m.kind == MessageKind::Internal)
    }
}

fn cost(amount: Nano) -> i128 {
    i128::from(amount.get())
}

const fn status(status: models::AccountStatus) -> AccountStatus {
    match status {
        models::AccountStatus::Uninit => AccountStatus::Uninit,
        models::AccountStatus::Frozen => AccountStatus::Frozen,
        models::AccountStatus::Active => AccountStatus::Active,
        models::AccountStatus::NotExists => AccountStatus::NotExists,
    }
}
