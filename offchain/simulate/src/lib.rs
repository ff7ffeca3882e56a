//! Dry runs: what a message would do now, computed on the chain's own state. Nothing is sent.
//!
//! [`run`] executes an external message and every internal message that follows from it with the executor of the embedded
//! network, under the network's own configuration. States are fetched from the [`Chain`] one by one as messages reach new
//! accounts; behind a light client they are proven, so no server is trusted with the answer.
//!
//! The answer is exact for the states and the time of the newest block. [`CAVEATS`] says what cannot be known before the message
//! is really in a block.

mod diff;

pub use diff::{Change, changes};

use std::collections::BTreeMap;

use cocoon_actions::exits::{contract_of, describe};
use cocoon_actions::{ActionError, Refused};
use cocoon_chain::{
    AccountSnapshot, AccountStatus, Cell, Chain, ChainError, Head, MessageRecord, NetworkConfig, OutMessage, Trace,
    TraceNode, TransactionFailure, TransactionRecord, Wallet, WalletError,
};
use cocoon_devnet::tvm::{Moment, NotExecuted, Rules};
use cocoon_protocol::StdAddr;
use std::sync::Arc;
use tycho_types::cell::{HashBytes, Lazy};
use tycho_types::models::{OptionalAccount, ShardAccount};

/// What a dry run cannot know.
pub const CAVEATS: [&str; 4] = [
    "other people's messages may arrive first and change the states that this was computed on",
    "each further step really happens in a later block: a deadline that passes until then passes",
    "storage fees grow with the time until the block",
    "random numbers of the block are not known; no contract of this project uses them",
];

/// More transactions than this are not followed.
pub const MAX_TRANSACTIONS: usize = 256;
/// Logical time begins anew at multiples of this with each block.
const LT_STEP: u64 = 1_000_000;

/// A dry run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The wallet could not sign.
    #[error(transparent)]
    Wallet(#[from] Box<WalletError>),
    /// A contract's state could not be read.
    #[error(transparent)]
    Action(#[from] Box<ActionError>),
    /// The network's configuration or a state is not what the executor understands.
    #[error("a dry run is not possible: {0}")]
    Unfit(String),
    /// The first account would not take the message.
    #[error("{account} would not accept the message: {why}")]
    NotAccepted {
        /// The account that it is for.
        account: Box<StdAddr>,
        /// Why not.
        why: String,
    },
    /// The message causes more than is followed.
    #[error("the message causes more than {MAX_TRANSACTIONS} transactions")]
    TooLong,
}

/// An account before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// As the chain has it.
    pub before: AccountSnapshot,
    /// As it would be.
    pub after: AccountSnapshot,
}

/// What a message would do.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The block on whose state it was computed.
    pub at: Head,
    /// The transactions, as if they had happened.
    pub trace: Trace,
    /// Every account that is touched.
    pub effects: BTreeMap<StdAddr, Effect>,
    /// The network's configuration.
    pub config: Arc<NetworkConfig>,
}

impl Simulation {
    /// A failure of one of the transactions, in the contract's own words.
    pub fn explain(&self, failure: TransactionFailure) -> Refused {
        describe(self.kind_of(&failure.account), failure)
    }

    /// What kind of contract an account is, or becomes.
    pub fn kind_of(&self, account: &StdAddr) -> Option<&'static str> {
        let effect = self.effects.get(account)?;
        contract_of(&effect.after).or_else(|| contract_of(&effect.before))
    }
}

/// What a wallet's messages would do if they were sent now.
pub async fn run_plan(
    chain: &dyn Chain,
    wallet: &Wallet,
    messages: &[OutMessage],
) -> Result<Simulation, SimulateError> {
    let account = chain.account(wallet.address()).await?;
    let seqno = wallet.seqno(chain).await.map_err(Box::new)?;
    let valid_until = chain.head().await?.utime.plus(cocoon_chain::wallet::VALIDITY);
    let deploy = account.status != AccountStatus::Active;
    let message = wallet.sign(messages, seqno, valid_until, deploy).map_err(Box::new)?;
    run(chain, message).await
}

/// A message on its way.
struct Pending {
    cell: Cell,
    to: StdAddr,
    cause: Option<usize>,
}

/// What an external message would do if it were sent now.
pub async fn run(chain: &dyn Chain, message: Cell) -> Result<Simulation, SimulateError> {
    let (config, at) = (chain.config().await?, chain.head().await?);
    let rules = Rules::new(&config, at.utime).map_err(|e| SimulateError::Unfit(format!("configuration: {e}")))?;
    let block_lt = (at.lt / LT_STEP).saturating_add(1).saturating_mul(LT_STEP);
    let first = MessageRecord::from_cell(&message)?;
    let to = first.dst.ok_or_else(|| SimulateError::Unfit("the message has no receiver".to_owned()))?;

    let mut states = States { chain, at, effects: BTreeMap::new(), live: BTreeMap::new() };
    // By logical time, as a network would deliver them.
    let mut queue = BTreeMap::from([((0_u64, 0_usize), Pending { cell: message, to, cause: None })]);
    let mut done: Vec<(Option<usize>, TransactionRecord)> = vec![];
    while let Some(((lt, _), pending)) = queue.pop_first() {
        if done.len() >= MAX_TRANSACTIONS {
            return Err(SimulateError::TooLong);
        }
        let state = states.of(&pending.to).await?;
        let moment =
            Moment { utime: at.utime, block_lt, min_lt: block_lt.max(lt.saturating_add(1)), seed: HashBytes::ZERO };
        let external = pending.cause.is_none();
        let executed = rules
            .execute(&moment, &pending.to, &pending.cell, external, &state)
            .map_err(|e| not_executed(&pending.to, e))?;
        let transaction = TransactionRecord::from_cell(pending.to.workchain, executed.transaction.inner().clone())?;
        states.update(&pending.to, executed.state)?;
        let place = done.len();
        for sent in &executed.out_messages {
            let record = MessageRecord::from_lazy(sent)?;
            if let (true, Some(to)) = (record.is_internal(), record.dst) {
                let pending = Pending { cell: sent.inner().clone(), to, cause: Some(place) };
                queue.insert((record.created_lt, place), pending);
            }
        }
        done.push((pending.cause, transaction));
    }
    let trace = tree(done).ok_or_else(|| SimulateError::Unfit("nothing was executed".to_owned()))?;
    Ok(Simulation { at, trace, effects: states.effects, config })
}

fn not_executed(account: &StdAddr, error: NotExecuted) -> SimulateError {
    let account = || Box::new(account.clone());
    match error {
        NotExecuted::NotAccepted { exit_code: Some(code), .. } => {
            SimulateError::NotAccepted { account: account(), why: format!("its code ends with exit code {code}") }
        }
        NotExecuted::NotAccepted { exit_code: None, .. } => SimulateError::NotAccepted {
            account: account(),
            why: "there is no code to run, or it has no money for the first step; fund the wallet".to_owned(),
        },
        NotExecuted::NotReceived(why) => SimulateError::NotAccepted { account: account(), why },
        NotExecuted::Failed(why) => SimulateError::Unfit(why),
    }
}

/// States as they become, fetched when they are first needed.
struct States<'a> {
    chain: &'a dyn Chain,
    at: Head,
    effects: BTreeMap<StdAddr, Effect>,
    live: BTreeMap<StdAddr, ShardAccount>,
}

impl States<'_> {
    async fn of(&mut self, address: &StdAddr) -> Result<ShardAccount, SimulateError> {
        if let Some(state) = self.live.get(address) {
            return Ok(state.clone());
        }
        let before = self.chain.account(address).await?;
        let state = ShardAccount {
            account: Lazy::new(&OptionalAccount(before.raw().cloned()))
                .map_err(|e| SimulateError::Unfit(format!("state of {address}: {e}")))?,
            last_trans_hash: HashBytes(before.last_trans_hash.0),
            last_trans_lt: before.last_trans_lt,
        };
        self.effects.insert(address.clone(), Effect { after: before.clone(), before });
        self.live.insert(address.clone(), state.clone());
        Ok(state)
    }

    fn update(&mut self, address: &StdAddr, state: ShardAccount) -> Result<(), SimulateError> {
        if let Some(effect) = self.effects.get_mut(address) {
            effect.after = AccountSnapshot::from_state(address.clone(), &state, self.at)?;
        }
        self.live.insert(address.clone(), state);
        Ok(())
    }
}

/// Each transaction under the one that caused it.
fn tree(mut done: Vec<(Option<usize>, TransactionRecord)>) -> Option<Trace> {
    let mut children: BTreeMap<usize, Vec<TraceNode>> = BTreeMap::new();
    while let Some((cause, transaction)) = done.pop() {
        let mut below = children.remove(&done.len()).unwrap_or_default();
        below.reverse();
        let node = TraceNode { transaction, children: below };
        match cause {
            Some(cause) => children.entry(cause).or_default().push(node),
            None => return Some(Trace { root: node }),
        }
    }
    None
}
