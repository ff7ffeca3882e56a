//! The transparency log on chain: its state as every service may read it, and evidence that is published in it.

use cocoon_chain::{Chain, ChainError, OutMessage, Trace, TransactionFailure, TransactionRecord, Wallet, WalletError};
use cocoon_protocol::{Hash256, Nano, NodeKey, StdAddr};
use cocoon_transparency::{Index, IndexError, Leaf, LogError, LogState, Tail, evidence_message, log_address};

/// Attached to evidence: what it costs (a fee of 0.02 TON that burns, and some 0.01 TON for gas) comes out of it, and the rest
/// comes back.
pub const EVIDENCE_LOG_VALUE: Nano = Nano::new(60_000_000);
/// Transactions that are asked for at once.
const PAGE: usize = 64;

/// The log cannot be read, or evidence cannot be published in it.
#[derive(Debug, thiserror::Error)]
pub enum LogAccessError {
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There is no log, or it is not what it should be.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Its transactions do not fit its state.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A wallet could not send.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The log did not take the evidence.
    #[error(transparent)]
    Failed(#[from] Box<TransactionFailure>),
}

/// The log of this registry as it stands at the newest block that this chain knows.
pub async fn read(chain: &dyn Chain, registry: &StdAddr) -> Result<LogState, LogAccessError> {
    let account = chain.account(&log_address(registry)?).await?;
    Ok(LogState::from_account(&account, registry)?)
}

/// The log from the newest block on.
pub async fn tail(chain: &dyn Chain, registry: &StdAddr) -> Result<Tail, LogAccessError> {
    let account = chain.account(&log_address(registry)?).await?;
    Ok(Tail::from_account(&account, registry)?)
}

/// Takes in what has come since, and compares with what the contract says. Each leaf is told with its position as it is read: what
/// was told stays read when something fails after it.
pub async fn follow(
    tail: &mut Tail,
    chain: &dyn Chain,
    registry: &StdAddr,
    mut each: impl FnMut(u64, &Leaf) + Send,
) -> Result<(), LogAccessError> {
    loop {
        let account = chain.account(tail.log()).await?;
        if account.last_trans_lt == tail.last_lt() {
            return Ok(tail.check(&LogState::from_account(&account, registry)?)?);
        }
        for transaction in &page_after(chain, tail.log(), tail.last_lt()).await? {
            if let Some((index, leaf)) = tail.read(transaction)? {
                each(index, &leaf);
            }
        }
    }
}

/// All of the log, from its first transaction on, compared with what the contract says.
pub async fn read_whole(chain: &dyn Chain, registry: &StdAddr) -> Result<Index, LogAccessError> {
    let log = log_address(registry)?;
    let account = chain.account(&log).await?;
    let state = LogState::from_account(&account, registry)?;
    let mut index = Index::new(log.clone());
    while index.last_lt() < account.last_trans_lt {
        for transaction in &page_after(chain, &log, index.last_lt()).await? {
            index.read(transaction)?;
        }
    }
    index.check(&state.head())?;
    Ok(index)
}

/// Transactions that the account says to be there.
async fn page_after(chain: &dyn Chain, log: &StdAddr, lt: u64) -> Result<Vec<TransactionRecord>, ChainError> {
    let page = chain.transactions(log, lt, PAGE).await?;
    if page.is_empty() {
        let why = "what the account names as its last transaction is not there";
        return Err(ChainError::malformed("the log's history", why));
    }
    Ok(page)
}

/// Publishes the digest of a node's evidence; whoever pays, the node signs.
pub async fn publish(
    wallet: &Wallet,
    chain: &dyn Chain,
    registry: &StdAddr,
    node: &NodeKey,
    digest: &Hash256,
) -> Result<Trace, LogAccessError> {
    let log = log_address(registry)?;
    let body = evidence_message(node, digest, &log, chain.network(), 0)?;
    let trace = wallet.send_and_confirm(chain, &[OutMessage::new(log, EVIDENCE_LOG_VALUE).body(body)]).await?;
    trace.ok().map_err(Box::new)?;
    Ok(trace)
}
