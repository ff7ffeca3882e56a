//! The state machine of the network: accounts and messages on their way. It has no clock, no disk and no threads.
//!
//! [`Ledger::make_block`] says what the next block would be, given the time and at most one message from outside;
//! [`Ledger::adopt`] makes it part of the chain. Between the two lies the store's commit, so that what is not durable never
//! happened.
//!
//! A block has a part in the basechain and then one in the masterchain. Each delivers the message from outside first, if it
//! is for this chain, and then, in the order of their logical times, the messages on their way and those that these cause,
//! up to [`MAX_BLOCK_TRANSACTIONS`]; the rest waits for the next block. So every block is bounded work, and a contract that
//! keeps sending to itself ends when its money does. What the basechain sends to the masterchain arrives in the same block,
//! what the masterchain sends back in the next one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use cocoon_chain::{AccountSnapshot, ChainError, Head, NetworkConfig, Refusal, RefusalReason, Wallet, cell_hash};
use cocoon_protocol::{Nano, StdAddr, UnixSeconds};
use sha2::{Digest, Sha256};
use tycho_types::cell::{Cell, HashBytes, Lazy};
use tycho_types::models::{IntAddr, IntMsgInfo, MsgInfo, OptionalAccount, OwnedMessage, ShardAccount, Transaction};
use tycho_types::num::Tokens;

use crate::block::{Block, BlockTransaction, Part, QueueKey, Workchain};
use crate::genesis;
use crate::inbound::{self, Inbound};
use crate::libraries::{self, Libraries};
use crate::tvm::{EntryFees, Executed, Moment, NotExecuted, Rules};

/// The part of a block in one chain has at most this many transactions.
pub const MAX_BLOCK_TRANSACTIONS: usize = 1000;

/// Blocks begin at multiples of this logical time, as on mainnet.
const LT_STEP: u64 = 1_000_000;

/// No block can be made. The ledger is as it was.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The message from outside was not accepted.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A structure cannot be built or read.
    #[error("{what}: {source}")]
    Cell {
        /// Which one.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: tycho_types::error::Error,
    },
    /// The numbers of blocks or the logical time are used up.
    #[error("the network has no further block numbers")]
    Exhausted,
}

fn cell(what: &'static str) -> impl Fn(tycho_types::error::Error) -> LedgerError {
    move |source| LedgerError::Cell { what, source }
}

/// What left circulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Paid to the network.
    pub fees: Nano,
    /// Destroyed.
    pub burned: Nano,
    /// In messages that no account could ever receive.
    pub lost: Nano,
    /// Transactions so far.
    pub transactions: u64,
}

/// Where all the money is. Whatever happens, the sum stays [`genesis::SUPPLY`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supply {
    /// On accounts.
    pub balances: Nano,
    /// In messages on their way.
    pub in_flight: Nano,
    /// What left circulation.
    pub totals: Totals,
}

impl Supply {
    /// All of it.
    pub fn sum(&self) -> Nano {
        [self.balances, self.in_flight, self.totals.fees, self.totals.burned, self.totals.lost].into_iter().sum()
    }
}

/// Everything but the configuration; what a store keeps.
#[derive(Clone, Debug)]
pub struct LedgerState {
    /// The newest block.
    pub head: Head,
    /// The newest block's random seed.
    pub seed: HashBytes,
    /// What left circulation.
    pub totals: Totals,
    /// All accounts.
    pub accounts: HashMap<StdAddr, ShardAccount>,
    /// Messages on their way.
    pub queue: BTreeMap<QueueKey, Cell>,
    /// Public libraries.
    pub libraries: Libraries,
}

impl LedgerState {
    /// The beginning: one account with all the money.
    pub fn genesis(giver: &Wallet, now: UnixSeconds) -> Result<Self, LedgerError> {
        let account = genesis::giver_account(giver, now).map_err(cell("giver's account"))?;
        let mut accounts = HashMap::from(genesis::bystanders(now).map_err(cell("first accounts"))?);
        accounts.insert(giver.address().clone(), account);
        Ok(Self {
            head: Head { seqno: 0, utime: now, lt: 0 },
            seed: HashBytes(Sha256::digest(b"cocoon devnet genesis").into()),
            totals: Totals::default(),
            accounts,
            queue: BTreeMap::new(),
            libraries: Libraries::new(),
        })
    }
}

/// The network.
#[derive(Debug)]
pub struct Ledger {
    rules: Rules,
    state: LedgerState,
}

impl Ledger {
    /// A network in this state under this configuration.
    pub fn new(config: &NetworkConfig, state: LedgerState) -> Result<Self, LedgerError> {
        let rules = Rules::new(config, state.head.utime).map_err(cell("network configuration"))?;
        Ok(Self { rules, state })
    }

    /// Puts another configuration in force, from the next block on.
    pub fn configure(&mut self, config: &NetworkConfig) -> Result<(), LedgerError> {
        self.rules = Rules::new(config, self.state.head.utime).map_err(cell("network configuration"))?;
        Ok(())
    }

    /// The newest block.
    pub const fn head(&self) -> Head {
        self.state.head
    }

    /// What left circulation.
    pub const fn totals(&self) -> Totals {
        self.state.totals
    }

    /// True if messages are on their way.
    pub fn has_queue(&self) -> bool {
        !self.state.queue.is_empty()
    }

    /// An account as the newest block left it.
    pub fn account(&self, address: &StdAddr) -> Result<AccountSnapshot, ChainError> {
        match self.state.accounts.get(address) {
            Some(entry) => AccountSnapshot::from_state(address.clone(), entry, self.head()),
            None => Ok(AccountSnapshot::nonexistent(address.clone(), self.head())),
        }
    }

    /// Where all the money is. Reads every account.
    pub fn supply(&self) -> Result<Supply, ChainError> {
        let mut balances = Nano::ZERO;
        for address in self.state.accounts.keys() {
            balances = balances.saturating_add(self.account(address)?.balance);
        }
        let mut in_flight = Nano::ZERO;
        for message in self.state.queue.values() {
            in_flight = in_flight.saturating_add(carried(message));
        }
        Ok(Supply { balances, in_flight, totals: self.state.totals })
    }

    /// The next block at this time, with this message from outside. A message that is not accepted, or that makes the
    /// virtual machine fail anywhere on its way, makes no block.
    pub fn make_block(&mut self, now: UnixSeconds, external: Option<&Cell>) -> Result<Block, LedgerError> {
        // Set here, and not after an attempt, which may have ended in any way.
        self.rules.accept_any_signature(false);
        self.next_block(now, external)
    }

    fn next_block(&mut self, now: UnixSeconds, external: Option<&Cell>) -> Result<Block, LedgerError> {
        let head = self.state.head;
        let utime = now.max(head.utime);
        self.rules.move_to(head.utime, utime).map_err(cell("storage prices"))?;
        let seqno = head.seqno.checked_add(1).ok_or(LedgerError::Exhausted)?;
        let block = Block {
            head: Head { seqno, utime, lt: head.lt },
            parts: vec![],
            accounts: BTreeMap::new(),
            taken: vec![],
            queued: BTreeMap::new(),
            libraries: self.state.libraries.clone(),
            fees: Nano::ZERO,
            burned: Nano::ZERO,
            lost: Nano::ZERO,
        };
        let inbound = external.map(|message| inbound::check(&self.rules, message).map(|inbound| (message, inbound)));
        let inbound = inbound.transpose().map_err(LedgerError::Refused)?;
        let mut stage = Stage { ledger: self, touched: HashMap::new(), block };
        for chain in Workchain::ALL {
            stage.part(chain, inbound.as_ref())?;
        }
        Ok(stage.block)
    }

    /// What a message from outside would do now. Nothing changes. `any_signature` takes every signature for a right one, for
    /// clients that do not know the key.
    pub(crate) fn attempt(
        &mut self,
        now: UnixSeconds,
        message: &Cell,
        any_signature: bool,
    ) -> Result<Attempt, LedgerError> {
        self.rules.accept_any_signature(any_signature);
        let block = match self.next_block(now, Some(message)) {
            Err(LedgerError::Refused(refusal)) => {
                let fees = self.entry_fees(now, message);
                return fees.map(Attempt::NotAccepted).ok_or(LedgerError::Refused(refusal));
            }
            block => block?,
        };
        let hash = message.repr_hash();
        for transaction in block.transactions() {
            let parsed = transaction.cell.parse::<Transaction>().map_err(cell("transaction"))?;
            if parsed.in_msg.is_some_and(|taken| taken.repr_hash() == hash) {
                return Ok(Attempt::Taken(transaction.cell.clone()));
            }
        }
        Err(cell("transaction")(tycho_types::error::Error::InvalidData))
    }

    /// What a message costs that reaches its account and is not accepted there; none if it does not get so far.
    fn entry_fees(&self, now: UnixSeconds, message: &Cell) -> Option<EntryFees> {
        let inbound = inbound::check(&self.rules, message).ok()?;
        let head = self.state.head;
        let moment = Moment {
            utime: now.max(head.utime),
            block_lt: head.lt,
            min_lt: head.lt.saturating_add(1),
            seed: HashBytes::ZERO,
        };
        let state = self.state.accounts.get(&inbound.dst)?;
        let libraries = &self.state.libraries;
        match self.rules.execute_with(libraries, &moment, &inbound.dst, message, true, state) {
            Err(NotExecuted::NotAccepted { fees, .. }) => Some(fees),
            _ => None,
        }
    }

    /// Makes a block part of the chain. It must come from the latest [`Ledger::make_block`].
    pub fn adopt(&mut self, block: Block) {
        let state = &mut self.state;
        state.head = block.head;
        if let Some(part) = block.parts.first() {
            state.seed = part.seed;
        }
        for (address, entry) in block.accounts {
            match entry {
                Some(entry) => state.accounts.insert(address, entry),
                None => state.accounts.remove(&address),
            };
        }
        for key in &block.taken {
            state.queue.remove(key);
        }
        state.queue.extend(block.queued);
        state.libraries = block.libraries;
        let totals = &mut state.totals;
        totals.fees = totals.fees.saturating_add(block.fees);
        totals.burned = totals.burned.saturating_add(block.burned);
        totals.lost = totals.lost.saturating_add(block.lost);
        totals.transactions += block.parts.iter().map(|part| part.transactions.len() as u64).sum::<u64>();
    }
}

/// What a message from outside would do.
pub(crate) enum Attempt {
    /// The account takes it; the transaction.
    Taken(Cell),
    /// The account does not accept it; what its way there would have cost.
    NotAccepted(EntryFees),
}

/// A block in the making.
struct Stage<'a> {
    ledger: &'a Ledger,
    /// Accounts that the block touched, with the lowest logical time of their next transaction. Within a block the next
    /// transaction knows the one before it even if the account is gone.
    touched: HashMap<StdAddr, (ShardAccount, u64)>,
    block: Block,
}

impl Stage<'_> {
    /// What happens in one chain.
    fn part(&mut self, chain: Workchain, external: Option<&(&Cell, Inbound)>) -> Result<(), LedgerError> {
        let lt = self.block.head.lt;
        let start_lt = lt.checked_next_multiple_of(LT_STEP).and_then(|lt| lt.checked_add(LT_STEP));
        let start_lt = start_lt.ok_or(LedgerError::Exhausted)?;
        let seed = Sha256::new()
            .chain_update(self.ledger.state.seed.0)
            .chain_update(self.block.head.seqno.to_be_bytes())
            .chain_update([chain as u8]);
        let part = Part {
            chain,
            start_lt,
            end_lt: start_lt,
            seed: HashBytes(seed.finalize().into()),
            transactions: vec![],
            dropped: vec![],
            is_full: false,
            burned: Nano::ZERO,
        };
        let mut stage = PartStage { stage: self, part };
        if let Some((message, inbound)) = external
            && Workchain::of(&inbound.dst) == chain
        {
            stage.receive(message, inbound).map_err(LedgerError::Refused)?;
        }
        stage.deliver(external.map(|(message, _)| *message))?;
        let mut part = stage.part;
        part.end_lt += 1;
        self.block.head.lt = part.end_lt;
        self.block.parts.push(part);
        Ok(())
    }
}

/// The part of one chain in the making.
struct PartStage<'a, 'b> {
    stage: &'a mut Stage<'b>,
    part: Part,
}

impl PartStage<'_, '_> {
    /// The message from outside.
    fn receive(&mut self, message: &Cell, inbound: &Inbound) -> Result<(), Box<Refusal>> {
        let refuse =
            |reason| Box::new(Refusal { message: cell_hash(message), account: Some(inbound.dst.clone()), reason });
        match self.execute(&inbound.dst, message, true) {
            Ok(executed) => {
                self.record(&inbound.dst, executed).map_err(|e| refuse(RefusalReason::Failed(e.to_string())))
            }
            Err(NotExecuted::Failed(why)) => Err(refuse(RefusalReason::Failed(why))),
            Err(NotExecuted::NotAccepted { exit_code: Some(exit_code), .. }) => {
                Err(refuse(RefusalReason::NotAccepted { exit_code }))
            }
            // There is no code to run, or none that may be.
            Err(NotExecuted::NotAccepted { exit_code: None, .. }) if inbound.has_init => {
                Err(refuse(RefusalReason::Malformed("its code and data do not belong to the address".to_owned())))
            }
            Err(NotExecuted::NotAccepted { exit_code: None, .. }) => Err(refuse(RefusalReason::NoContract)),
            // The form was checked, so that only the import fee is left.
            Err(NotExecuted::NotReceived(why)) => {
                let account = self.stage.ledger.account(&inbound.dst);
                let nothing_there = account.is_ok_and(|account| account.code.is_none()) && !inbound.has_init;
                Err(refuse(match (nothing_there, why.contains("cannot pay")) {
                    (true, _) => RefusalReason::NoContract,
                    (false, true) => RefusalReason::NoFunds,
                    (false, false) => RefusalReason::Malformed(why),
                }))
            }
        }
    }

    /// The messages on their way, and those that these cause.
    fn deliver(&mut self, external: Option<&Cell>) -> Result<(), LedgerError> {
        // What a message causes comes later than the message, so that nothing before the last one is left.
        let mut last = None;
        loop {
            // The older of what waited before the block and what the block itself sent.
            let chain = self.part.chain;
            let first = QueueKey { to: chain, lt: 0, hash: HashBytes::ZERO };
            let end = QueueKey { to: chain, lt: u64::MAX, hash: HashBytes([0xff; 32]) };
            let range = (last.map_or(Bound::Included(first), Bound::Excluded), Bound::Included(end));
            let waiting = self.stage.ledger.state.queue.range(range).next();
            let fresh = self.stage.block.queued.range(range).next();
            let (key, message) = match (waiting, fresh) {
                (Some(waiting), Some(fresh)) => {
                    if waiting.0 < fresh.0 {
                        waiting
                    } else {
                        fresh
                    }
                }
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => break,
            };
            if self.part.transactions.len() >= MAX_BLOCK_TRANSACTIONS {
                self.part.is_full = true;
                break;
            }
            let (key, message) = (*key, message.clone());
            last = Some(key);
            let failed = match destination(&message) {
                Ok((dst, fee)) => match self.execute(&dst, &message, false) {
                    Ok(executed) => {
                        self.record(&dst, executed).map_err(cell("transaction"))?;
                        let block = &mut self.stage.block;
                        block.fees = block.fees.saturating_add(fee);
                        self.take(key);
                        continue;
                    }
                    Err(e) => e.to_string(),
                },
                Err(e) => e.to_string(),
            };
            // The executor lets no contract send such a message. Should one be found all the same, then whoever causes it
            // is told and nothing happens; if nobody can be told any more, the rest of the network goes on without it.
            if let Some(external) = external {
                let why = format!("a message that it caused cannot be delivered: {failed}");
                let refusal =
                    Refusal { message: cell_hash(external), account: None, reason: RefusalReason::Failed(why) };
                return Err(LedgerError::Refused(Box::new(refusal)));
            }
            tracing::error!(message = %cell_hash(&message), why = failed, "an internal message cannot be delivered");
            // One that this block sent is tried once more by the next, which then knows it as waiting.
            if self.stage.ledger.state.queue.contains_key(&key) {
                let block = &mut self.stage.block;
                block.lost = block.lost.saturating_add(carried(&message));
                self.part.dropped.push(message);
                self.take(key);
            }
        }
        Ok(())
    }

    /// Takes a message out of the queue.
    fn take(&mut self, key: QueueKey) {
        let block = &mut self.stage.block;
        if block.queued.remove(&key).is_none() {
            block.taken.push(key);
        }
    }

    fn execute(&self, dst: &StdAddr, message: &Cell, is_external: bool) -> Result<Executed, NotExecuted> {
        let empty = || {
            let account = Lazy::new(&OptionalAccount::EMPTY).map_err(|e| NotExecuted::Failed(e.to_string()))?;
            Ok(ShardAccount { account, last_trans_hash: HashBytes::ZERO, last_trans_lt: 0 })
        };
        let (state, min_lt) = match self.stage.touched.get(dst) {
            Some((state, next_lt)) => (state.clone(), *next_lt),
            None => {
                let state = match self.stage.ledger.state.accounts.get(dst) {
                    Some(state) => state.clone(),
                    None => empty()?,
                };
                (state, self.part.start_lt + 1)
            }
        };
        let moment =
            Moment { utime: self.stage.block.head.utime, block_lt: self.part.start_lt, min_lt, seed: self.part.seed };
        // Those that there were before the block, as on mainnet.
        let ledger = self.stage.ledger;
        ledger.rules.execute_with(&ledger.state.libraries, &moment, dst, message, is_external, &state)
    }

    fn record(&mut self, account: &StdAddr, executed: Executed) -> Result<(), tycho_types::error::Error> {
        if self.part.chain == Workchain::Master {
            let before = match self.stage.touched.get(account) {
                Some((state, _)) => Some(state),
                None => self.stage.ledger.state.accounts.get(account),
            };
            let libraries = &mut self.stage.block.libraries;
            libraries::update(libraries, &account.address, before, Some(&executed.state))?;
        }
        let block = &mut self.stage.block;
        let cell = executed.transaction.inner().clone();
        let lt = executed.state.last_trans_lt;
        for message in &executed.out_messages {
            let message = message.inner();
            if let MsgInfo::Int(info) = message.parse::<OwnedMessage>()?.info {
                block.queued.insert(queue_key(message, &info)?, message.clone());
            }
        }
        block.fees = block.fees.saturating_add(Nano::try_from(executed.total_fees)?);
        let burned = Nano::try_from(executed.burned)?;
        block.burned = block.burned.saturating_add(burned);
        block.accounts.insert(account.clone(), executed.exists.then(|| executed.state.clone()));
        let part = &mut self.part;
        part.burned = part.burned.saturating_add(burned);
        part.end_lt = part.end_lt.max(executed.next_lt);
        part.transactions.push(BlockTransaction { account: account.clone(), lt, cell });
        self.stage.touched.insert(account.clone(), (executed.state, executed.next_lt));
        Ok(())
    }
}

/// Place of an internal message in the queue.
pub(crate) fn queue_key(message: &Cell, info: &IntMsgInfo) -> Result<QueueKey, tycho_types::error::Error> {
    let IntAddr::Std(dst) = &info.dst else { return Err(tycho_types::error::Error::InvalidTag) };
    Ok(QueueKey { to: Workchain::of(dst), lt: info.created_lt, hash: *message.repr_hash() })
}

/// Where an internal message goes, and what its sender paid for its way.
fn destination(message: &Cell) -> Result<(StdAddr, Nano), tycho_types::error::Error> {
    match message.parse::<OwnedMessage>()?.info {
        MsgInfo::Int(info) => match info.dst {
            IntAddr::Std(dst) => Ok((dst, Nano::try_from(info.fwd_fee)?)),
            IntAddr::Var(_) => Err(tycho_types::error::Error::InvalidTag),
        },
        _ => Err(tycho_types::error::Error::InvalidTag),
    }
}

/// What a message carries: its value, and what its sender paid for its way.
fn carried(message: &Cell) -> Nano {
    let amount = |tokens: Tokens| Nano::try_from(tokens).unwrap_or(Nano::MAX);
    match message.parse::<OwnedMessage>().map(|m| m.info) {
        Ok(MsgInfo::Int(info)) => amount(info.value.tokens).saturating_add(amount(info.fwd_fee)),
        _ => Nano::ZERO,
    }
}
