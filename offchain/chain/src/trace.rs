//! What a message caused: its transaction, the messages that this sent, their transactions, and so on.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cocoon_protocol::{Hash256, Nano, StdAddr};
use tokio::sync::watch;
use tokio::time::Instant;
use tycho_types::models::ComputePhaseSkipReason;

use crate::account::{AccountSnapshot, AccountStatus};
use crate::chain::{Chain, ChainError, Head};
use crate::message::{MessageKind, MessageRecord};
use crate::transaction::{ComputeOutcome, TransactionRecord};

/// More transactions than this are not followed. The longest flow of our contracts has about a dozen.
pub const MAX_TRANSACTIONS: usize = 1024;

/// How many transactions are asked for at once.
const PAGE: usize = 64;

/// For how long to wait for a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// How often to look again when no new block is announced.
    pub look_again: Duration,
    /// When to give up: after this time without the transaction that is waited for.
    pub give_up: Duration,
}

impl Default for Patience {
    /// Blocks come every few seconds; a network that shows nothing for two minutes has stalled.
    fn default() -> Self {
        Self { look_again: Duration::from_secs(5), give_up: Duration::from_secs(120) }
    }
}

/// A message's consequences could not be followed to their end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TraceError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A message does not arrive.
    #[error("message {message} to {account} has not arrived after {} s", waited.as_secs())]
    Stalled {
        /// Hash of the message.
        message: Hash256,
        /// Its receiver.
        account: StdAddr,
        /// For how long it was waited for.
        waited: Duration,
    },
    /// The message causes more than is followed.
    #[error("message {message} caused more than {MAX_TRANSACTIONS} transactions; look at its receivers one by one")]
    TooLong {
        /// Hash of the first message.
        message: Hash256,
    },
}

/// A transaction of a trace failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("transaction {hash} of {account} at lt {lt} failed: {failure}")]
pub struct TransactionFailure {
    /// Hash of the transaction.
    pub hash: Hash256,
    /// On which account.
    pub account: StdAddr,
    /// Its logical time.
    pub lt: u64,
    /// The operation that failed: first 32 bits of the message's body.
    pub op: Option<u32>,
    /// How it failed.
    pub failure: Failure,
}

impl TransactionFailure {
    /// The contract's exit code, if its code ran and failed.
    pub const fn exit_code(&self) -> Option<i32> {
        match self.failure {
            Failure::Exit { exit_code } => Some(exit_code),
            _ => None,
        }
    }
}

/// How a transaction failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The contract's code threw.
    #[error("the contract ended with exit code {exit_code}")]
    Exit {
        /// Exit code of the TVM.
        exit_code: i32,
    },
    /// The code did not run.
    #[error("the contract did not run: {}", Skip(*.0))]
    Skipped(ComputePhaseSkipReason),
    /// An action of the contract failed, so that its state is as before.
    #[error("an action of the contract failed with code {result_code}")]
    Action {
        /// Why.
        result_code: i32,
    },
    /// The wallet could not send all messages.
    #[error("the wallet did not send {skipped} of {total} messages; most often its balance is too low")]
    NotSent {
        /// How many it did not send.
        skipped: u16,
        /// How many it was to send.
        total: u16,
    },
}

struct Skip(ComputePhaseSkipReason);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ComputePhaseSkipReason::NoState => "no code is deployed there",
            ComputePhaseSkipReason::BadState => "the code to deploy does not belong to the address",
            ComputePhaseSkipReason::NoGas => "the message's value does not pay for any gas",
            ComputePhaseSkipReason::Suspended => "the account is suspended",
        })
    }
}

/// A transaction with those that it caused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceNode {
    /// The transaction.
    pub transaction: TransactionRecord,
    /// What its internal messages caused, in the order in which it sent them.
    pub children: Vec<Self>,
}

/// Everything that one message caused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The transaction that the message caused.
    pub root: TraceNode,
}

impl Trace {
    /// Follows what a transaction caused until every message has arrived.
    pub async fn follow(chain: &dyn Chain, first: TransactionRecord, patience: Patience) -> Result<Self, TraceError> {
        // Transactions in the order of discovery, each with the place of its cause.
        let mut found: Vec<(usize, TransactionRecord)> = vec![(0, first)];
        let mut next = 0;
        while let Some((_, transaction)) = found.get(next) {
            let messages: Vec<MessageRecord> = transaction.internal_messages().cloned().collect();
            for message in messages {
                if found.len() >= MAX_TRANSACTIONS {
                    let message = found.first().and_then(|(_, t)| t.in_message.as_ref()).map(|m| m.hash);
                    return Err(TraceError::TooLong { message: message.unwrap_or_default() });
                }
                let Some(account) = &message.dst else { continue };
                found.push((next, wait_for(chain, account, &message, patience).await?));
            }
            next += 1;
        }
        // From the last one up: each has all of its children when it is handed to its parent.
        let mut children: BTreeMap<usize, Vec<TraceNode>> = BTreeMap::new();
        while let Some((parent, transaction)) = found.pop() {
            let mut below = children.remove(&found.len()).unwrap_or_default();
            below.reverse();
            let node = TraceNode { transaction, children: below };
            if found.is_empty() {
                return Ok(Self { root: node });
            }
            children.entry(parent).or_default().push(node);
        }
        Err(ChainError::malformed("trace", "it has no transactions").into())
    }

    /// All transactions, each before those that it caused.
    pub fn transactions(&self) -> Vec<&TransactionRecord> {
        let mut all = vec![];
        let mut stack = vec![&self.root];
        while let Some(node) = stack.pop() {
            all.push(&node.transaction);
            stack.extend(node.children.iter().rev());
        }
        all
    }

    /// The first transaction on an account.
    pub fn on(&self, account: &StdAddr) -> Option<&TransactionRecord> {
        self.transactions().into_iter().filter(|t| t.account == *account).min_by_key(|t| t.lt)
    }

    /// Fails with the earliest transaction that failed. Money that arrives at an account without code is no failure,
    /// unless the sender asked for it to come back.
    pub fn ok(&self) -> Result<(), TransactionFailure> {
        let root = &self.root.transaction;
        let failed = self.transactions().into_iter().filter_map(|t| Some((t, failure(t, t.lt == root.lt)?)));
        match failed.min_by_key(|(t, _)| t.lt) {
            None => Ok(()),
            Some((t, failure)) => Err(TransactionFailure {
                hash: t.hash,
                account: t.account.clone(),
                lt: t.lt,
                op: t.in_message.as_ref().and_then(MessageRecord::op),
                failure,
            }),
        }
    }

    /// All that everybody paid to the network, to the nano: the fees of all transactions, and what the senders paid for
    /// the way of the messages between them.
    pub fn total_fees(&self) -> Nano {
        self.transactions()
            .into_iter()
            .flat_map(|t| [t.total_fees, t.in_message.as_ref().map_or(Nano::ZERO, |m| m.forward_fee)])
            .sum()
    }

    /// All gas used.
    pub fn total_gas(&self) -> u64 {
        self.transactions().into_iter().map(TransactionRecord::gas_used).sum()
    }

    /// By how many nanoton each account's balance changed. The sum over all accounts is minus the total fees.
    pub fn balance_changes(&self) -> BTreeMap<StdAddr, i128> {
        let mut changes = BTreeMap::new();
        for t in self.transactions() {
            *changes.entry(t.account.clone()).or_default() += t.balance_change();
        }
        changes
    }
}

fn failure(transaction: &TransactionRecord, is_root: bool) -> Option<Failure> {
    match transaction.compute {
        ComputeOutcome::Executed { success: false, exit_code, .. } => return Some(Failure::Exit { exit_code }),
        ComputeOutcome::Executed { .. } => {}
        ComputeOutcome::Skipped(ComputePhaseSkipReason::NoState) if !transaction.bounced_back => {}
        // Nor would code have run for more: there is none, and the money stays where it was sent (what burns, for one).
        ComputeOutcome::Skipped(ComputePhaseSkipReason::NoGas)
            if transaction.status_after != AccountStatus::Active && !transaction.bounced_back => {}
        // A notification without value for gas: its sender chose that it need not be acted on. It arrives all the same.
        ComputeOutcome::Skipped(ComputePhaseSkipReason::NoGas) if is_notification(transaction) => {}
        ComputeOutcome::Skipped(reason) => return Some(Failure::Skipped(reason)),
    }
    match transaction.action {
        Some(action) if !action.success => Some(Failure::Action { result_code: action.result_code }),
        // Elsewhere a contract says with the mode that it can do without the message; our wallets always do.
        Some(action) if is_root && action.skipped > 0 => {
            Some(Failure::NotSent { skipped: action.skipped, total: action.total })
        }
        _ => None,
    }
}

fn is_notification(transaction: &TransactionRecord) -> bool {
    transaction.in_message.as_ref().is_some_and(|m| m.kind == MessageKind::Internal && !m.bounce && m.value.is_zero())
}

/// The transaction of an account that received a message, if there is one later than `after_lt`.
pub async fn find_by_message(
    chain: &dyn Chain,
    account: &StdAddr,
    mut after_lt: u64,
    message: &Hash256,
) -> Result<Option<TransactionRecord>, ChainError> {
    loop {
        let page = chain.transactions(account, after_lt, PAGE).await?;
        let full = page.len() >= PAGE;
        let newest = page.last().map_or(after_lt, |t| t.lt);
        if let Some(found) = page.into_iter().find(|t| t.in_message.as_ref().is_some_and(|m| m.hash == *message)) {
            return Ok(Some(found));
        }
        if !full || newest <= after_lt {
            return Ok(None);
        }
        after_lt = newest;
    }
}

async fn wait_for(
    chain: &dyn Chain,
    account: &StdAddr,
    message: &MessageRecord,
    patience: Patience,
) -> Result<TransactionRecord, TraceError> {
    let mut heads = chain.subscribe();
    let start = Instant::now();
    loop {
        // It is received later than it was made.
        match find_by_message(chain, account, message.created_lt, &message.hash).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(e) if e.is_transient() => tracing::debug!(error = %e, "asking again"),
            Err(e) => return Err(e.into()),
        }
        let waited = start.elapsed();
        if waited >= patience.give_up {
            return Err(TraceError::Stalled { message: message.hash, account: account.clone(), waited });
        }
        next_head(&mut heads, patience).await;
    }
}

/// Waits for a new block, or for a while.
pub(crate) async fn next_head(heads: &mut watch::Receiver<Head>, patience: Patience) {
    let changed = tokio::time::timeout(patience.look_again, heads.changed()).await;
    if matches!(changed, Ok(Err(_))) {
        // Nobody announces blocks any more.
        tokio::time::sleep(patience.look_again).await;
    }
}

/// Money that appeared or vanished.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the balance of {account} changed by {found} nanoton, and its transactions account for {expected}")]
pub struct Imbalance {
    /// On which account.
    pub account: StdAddr,
    /// The change that its transactions explain.
    pub expected: i128,
    /// The change that happened.
    pub found: i128,
}

/// Checks that the balances of these accounts changed by exactly what the traces say: nobody is off by a nano.
/// `before` and `after` hold the same accounts; one that does not exist counts as empty.
pub fn check_balances<'a>(
    before: &[AccountSnapshot],
    after: &[AccountSnapshot],
    traces: impl IntoIterator<Item = &'a Trace>,
) -> Result<(), Imbalance> {
    let mut expected: BTreeMap<StdAddr, i128> = BTreeMap::new();
    for trace in traces {
        for (account, change) in trace.balance_changes() {
            *expected.entry(account).or_default() += change;
        }
    }
    let mut found: BTreeMap<&StdAddr, i128> = BTreeMap::new();
    for (snapshots, sign) in [(before, -1), (after, 1)] {
        for snapshot in snapshots {
            *found.entry(&snapshot.address).or_default() += sign * i128::from(snapshot.balance.get());
        }
    }
    for (account, found) in found {
        let expected = expected.get(account).copied().unwrap_or_default();
        if found != expected {
            return Err(Imbalance { account: account.clone(), expected, found });
        }
    }
    Ok(())
}

impl MessageRecord {
    /// True if the message moves on to another account.
    pub const fn is_internal(&self) -> bool {
        matches!(self.kind, MessageKind::Internal)
    }
}
