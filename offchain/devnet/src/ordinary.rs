//! The phases of a transaction that a message causes.
//!
//! The phases are `tycho-executor`'s; their sequence is written down here because its own differs from the C++
//! implementation's where an account is frozen:
//!
//! * an account that the storage phase freezes runs no code any more in the same transaction, and
//! * a frozen account that gets a message without a state has no state, rather than a bad one.

use anyhow::{Context, Result, anyhow};
use tycho_executor::phase::{
    ActionPhaseContext, BouncePhaseContext, ComputePhaseContext, ReceivedMessage, StoragePhaseContext, TransactionInput,
};
use tycho_executor::{ExecutorInspector, ExecutorState};
use tycho_types::cell::{Cell, CellBuilder};
use tycho_types::models::{
    AccountState, AccountStatus, AccountStatusChange, BounceReason, ComputePhase, ComputePhaseSkipReason, CreditPhase,
    NewBounceComputePhaseInfo, OrdinaryTxInfo, SkippedComputePhase, StoragePhase,
};
use tycho_types::num::Tokens;

/// What a message did to an account.
pub(crate) enum Outcome {
    /// A transaction.
    Done(Box<OrdinaryTxInfo>),
    /// The account did not accept the message from outside; what its way to the account would have cost.
    NotAccepted(EntryFees),
    /// The message from outside cannot be received: malformed, or the account cannot pay for it.
    NotReceived(String),
}

/// What a message from outside costs before any code runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryFees {
    /// Importing the message.
    pub import: Tokens,
    /// What the account owes for its storage.
    pub storage: Tokens,
}

/// Runs the phases. After an error the state is of no use.
pub(crate) fn run(
    exec: &mut ExecutorState<'_>,
    is_external: bool,
    message: Cell,
    inspector: &mut ExecutorInspector<'_>,
) -> Result<Outcome> {
    let mut message = match exec.receive_in_msg(message) {
        Ok(received) if received.is_external == is_external => received,
        Ok(_) => return Err(anyhow!("the message is of another kind than it was delivered as")),
        Err(e) if is_external => return Ok(Outcome::NotReceived(format!("{e:#}"))),
        Err(e) => return Err(e),
    };
    let import = exec.total_fees;
    // What may come back has to be there before the debts of the account eat it.
    let credit_first = !message.bounce_enabled;
    let (storage_phase, credit_phase);
    if credit_first {
        credit_phase = credit(exec, &message)?;
        storage_phase = storage(exec, &mut message, true, inspector)?;
    } else {
        storage_phase = storage(exec, &mut message, false, inspector)?;
        credit_phase = credit(exec, &message)?;
    }

    let mut computed = exec
        .compute_phase(ComputePhaseContext {
            input: TransactionInput::Ordinary(&message),
            storage_fee: storage_phase.storage_fees_collected,
            force_accept: false,
            stop_on_accept: false,
            inspector: Some(inspector),
        })
        .context("compute phase")?;
    if is_external && !computed.accepted {
        return Ok(Outcome::NotAccepted(EntryFees { import, storage: storage_phase.storage_fees_collected }));
    }
    if let ComputePhase::Skipped(SkippedComputePhase { reason }) = &mut computed.compute_phase
        && *reason == ComputePhaseSkipReason::BadState
        && message.init.is_none()
    {
        *reason = ComputePhaseSkipReason::NoState;
    }

    let mut info = OrdinaryTxInfo {
        credit_first,
        storage_phase: Some(storage_phase),
        credit_phase,
        compute_phase: computed.compute_phase,
        action_phase: None,
        aborted: true,
        bounce_phase: None,
        destroyed: false,
    };
    let mut bounce = true;
    let mut action_fine = Tokens::ZERO;
    if let ComputePhase::Executed(compute_phase) = &info.compute_phase
        && compute_phase.success
    {
        let acted = exec
            .action_phase(ActionPhaseContext {
                received_message: Some(&mut message),
                original_balance: computed.original_balance,
                new_state: computed.new_state,
                actions: computed.actions,
                compute_phase,
                inspector: Some(inspector),
            })
            .context("action phase")?;
        info.aborted = !acted.action_phase.success;
        info.destroyed = exec.end_status == AccountStatus::NotExists;
        info.action_phase = Some(acted.action_phase);
        bounce = acted.state_exceeds_limits || acted.bounce;
        action_fine = acted.action_fine;
    }
    if message.bounce_enabled && bounce {
        info.bounce_phase =
            Some(exec.bounce_phase(bounce_context(&info, &message, action_fine)).context("bounce phase")?);
    }
    Ok(Outcome::Done(Box::new(info)))
}

fn credit(exec: &mut ExecutorState<'_>, message: &ReceivedMessage) -> Result<Option<CreditPhase>> {
    if message.is_external { Ok(None) } else { exec.credit_phase(message).context("credit phase").map(Some) }
}

fn storage(
    exec: &mut ExecutorState<'_>,
    message: &mut ReceivedMessage,
    adjust_msg_balance: bool,
    inspector: &mut ExecutorInspector<'_>,
) -> Result<StoragePhase> {
    let phase = exec
        .storage_phase(StoragePhaseContext {
            adjust_msg_balance,
            received_message: Some(message),
            inspector: Some(inspector),
        })
        .context("storage phase")?;
    if phase.status_change == AccountStatusChange::Frozen
        && let AccountState::Active(state) = &exec.state
    {
        exec.state = AccountState::Frozen(*CellBuilder::build_from(state)?.repr_hash());
    }
    Ok(phase)
}

fn bounce_context<'a>(info: &OrdinaryTxInfo, message: &'a ReceivedMessage, fine: Tokens) -> BouncePhaseContext<'a> {
    let reason = match (&info.action_phase, &info.compute_phase) {
        (Some(phase), _) => BounceReason::ActionPhaseFailed { result_code: phase.result_code },
        (None, ComputePhase::Executed(phase)) => BounceReason::ComputePhaseFailed { exit_code: phase.exit_code },
        (None, ComputePhase::Skipped(skipped)) => BounceReason::ComputePhaseSkipped(skipped.reason),
    };
    let (gas_fees, compute_phase_info) = match &info.compute_phase {
        ComputePhase::Executed(phase) => (
            phase.gas_fees,
            Some(NewBounceComputePhaseInfo {
                gas_used: phase.gas_used.into_inner().try_into().unwrap_or(u32::MAX),
                vm_steps: phase.vm_steps,
            }),
        ),
        ComputePhase::Skipped(_) => (Tokens::ZERO, None),
    };
    BouncePhaseContext { gas_fees, action_fine: fine, received_message: message, reason, compute_phase_info }
}
