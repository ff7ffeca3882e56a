//! What happened, in words: transactions of the system's contracts as events.

use cocoon_chain::{ComputeOutcome, MessageRecord, TransactionRecord};
use cocoon_wrappers::generated::{governor, pay_channel, proposal, registry, reputation, stake_account};
use rusqlite::{Transaction, params};
use serde_json::{Value, json};

use super::IndexError;
use super::contracts::{Kind, nano};

/// Names of the messages that the contracts take, by their first word.
macro_rules! operations {
    ($($module:ident::$name:ident),* $(,)?) => {
        fn name_of(op: u32) -> Option<&'static str> {
            match op {
                $( $module::$name::OP => Some(stringify!($name)), )*
                _ => None,
            }
        }
    };
}

operations! {
    pay_channel::TopUp, pay_channel::Claim, pay_channel::RequestClose, pay_channel::Settle, pay_channel::CoopClose,
    registry::SetUpRegistry, registry::ScheduleImage, registry::ScheduleModel, registry::DeprecateEntry,
    registry::RevokeEntry, registry::RemoveEntry, registry::SetRoot, registry::SetMinTcbEvaluation,
    registry::SetPlatformBan, registry::SetRegistryParams, registry::SetCodeHashes, registry::SetGovernor,
    registry::EvictProxy, registry::RegisterProxy, registry::UpdateProxy, registry::UnbondProxy, registry::WithdrawProxy,
    governor::SetUpGovernor, governor::AddStake, governor::RemoveStake, governor::SubmitProposal,
    governor::ExecuteProposal, governor::SetGovernorParams,
    proposal::OpenProposal, proposal::CastVote, proposal::Execute, proposal::ProposalExecuted, proposal::CloseProposal,
    stake_account::Deposit, stake_account::Unbond, stake_account::Withdraw, stake_account::Propose, stake_account::Vote,
    stake_account::RegisterNode, stake_account::RetireNode, stake_account::ForgetNode, stake_account::StakeConfirmed,
    stake_account::ExitConfirmed,
    reputation::AddEvidence,
}

/// What a message asks for: the name of its type, or its first word.
fn operation(message: &MessageRecord) -> Option<String> {
    let op = message.op()?;
    Some(name_of(op).map_or_else(|| format!("{op:08x}"), str::to_owned))
}

/// Writes a transaction, what it says beyond the new state, and its event; returns the event.
pub fn write(db: &Transaction<'_>, kind: Kind, seqno: u32, t: &TransactionRecord) -> Result<Option<Event>, IndexError> {
    let account = t.account.to_string();
    let (mut source, mut value, mut operation_name) = (None, 0, None);
    if let Some(message) = &t.in_message {
        source = message.src.as_ref().map(ToString::to_string);
        value = i64::try_from(message.value.get()).unwrap_or(i64::MAX);
        operation_name = operation(message);
    }
    let exit_code = match t.compute {
        ComputeOutcome::Executed { exit_code, .. } => Some(exit_code),
        ComputeOutcome::Skipped(_) => None,
    };
    let lt = i64::try_from(t.lt).unwrap_or(i64::MAX);
    db.prepare_cached("INSERT INTO transactions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?.execute(
        params![
            account,
            lt,
            t.hash.to_string(),
            seqno,
            t.utime.0,
            source,
            value,
            operation_name,
            exit_code,
            t.aborted,
            i64::try_from(t.total_fees.get()).unwrap_or(i64::MAX)
        ],
    )?;
    // A refused message changes nothing, so it is no event.
    let Some(operation) = operation_name.filter(|_| !t.aborted) else { return Ok(None) };
    let mut data = json!({ "from": source, "value": value.to_string() });
    if kind == Kind::PayChannel {
        money(db, &account, lt, t, &mut data)?;
    }
    let event = Event {
        id: db.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM events")?.query_row([], |row| row.get(0))?,
        seqno,
        utime: t.utime.0,
        account,
        lt: t.lt,
        kind: format!("{}.{operation}", kind.name()),
        data,
    };
    db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        event.id,
        event.seqno,
        event.utime,
        event.account,
        lt,
        event.kind,
        event.data.to_string()
    ])?;
    Ok(Some(event))
}

/// What a channel paid to whom.
fn money(
    db: &Transaction<'_>,
    account: &str,
    lt: i64,
    t: &TransactionRecord,
    data: &mut Value,
) -> Result<(), IndexError> {
    for message in &t.out_messages {
        let (Some(destination), Some(op)) = (&message.dst, message.op()) else { continue };
        if op == pay_channel::Paid::OP
            && let Ok(paid) = pay_channel::Paid::from_cell(&message.body)
        {
            let (amount, fee, claimed) = (nano(paid.amount)?, nano(paid.fee)?, nano(paid.claimed)?);
            db.prepare_cached("INSERT INTO claims VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
                account,
                lt,
                t.utime.0,
                destination.to_string(),
                amount,
                fee,
                claimed
            ])?;
            *data = json!({
                "payee": destination.to_string(), "amount": amount.to_string(), "fee": fee.to_string(), "claimed": claimed.to_string()
            });
        } else if op == pay_channel::Refunded::OP
            && let Ok(refunded) = pay_channel::Refunded::from_cell(&message.body)
        {
            *data = json!({
                "payer": destination.to_string(), "refunded": nano(refunded.amount)?.to_string(),
                "claimed": nano(refunded.claimed)?.to_string()
            });
        } else if op == pay_channel::ClosingStarted::OP
            && let Ok(closing) = pay_channel::ClosingStarted::from_cell(&message.body)
        {
            *data = json!({ "close_at": closing.close_at });
        }
    }
    Ok(())
}

/// Something that happened to one of the system's contracts.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Event {
    /// Counts from 1 without gaps; the same in every index of the same chain.
    pub id: i64,
    /// Masterchain block.
    pub seqno: u32,
    /// Its time.
    pub utime: u32,
    /// To which contract.
    pub account: String,
    /// Logical time of the transaction.
    pub lt: u64,
    /// `CONTRACT.OPERATION`.
    pub kind: String,
    /// Particulars; amounts are nanotons as decimal strings.
    pub data: Value,
}
