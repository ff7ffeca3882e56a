//! Transactions as a chain would report them.

use cocoon_chain::{AccountStatus, ActionOutcome, Cell, ComputeOutcome, MessageKind, MessageRecord, TransactionRecord};
use cocoon_protocol::{Hash256, Nano, StdAddr, UnixSeconds};

/// A transaction of the log at this time that took this message.
pub fn took(log: &StdAddr, lt: u64, prev_lt: u64, utime: u32, body: Cell) -> TransactionRecord {
    TransactionRecord {
        hash: Hash256([lt as u8; 32]),
        account: log.clone(),
        lt,
        prev_lt,
        prev_hash: Hash256([prev_lt as u8; 32]),
        utime: UnixSeconds(utime),
        status_before: AccountStatus::Active,
        status_after: AccountStatus::Active,
        in_message: Some(MessageRecord {
            hash: Hash256([0; 32]),
            kind: MessageKind::Internal,
            src: Some(log.clone()),
            dst: Some(log.clone()),
            value: Nano::ZERO,
            forward_fee: Nano::ZERO,
            bounce: true,
            bounced: false,
            has_state_init: false,
            created_lt: lt,
            body,
        }),
        out_messages: vec![],
        total_fees: Nano::ZERO,
        storage_fees: Nano::ZERO,
        compute: ComputeOutcome::Executed { success: true, exit_code: 0, gas_used: 1, gas_fees: Nano::ZERO, steps: 1 },
        action: Some(ActionOutcome { success: true, result_code: 0, total: 0, skipped: 0, messages: 0 }),
        bounced_back: false,
        aborted: false,
        cell: Cell::default(),
    }
}
