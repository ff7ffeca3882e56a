//! Accounts in memory, and what a message does to one of them on the Rust TVM.
//!
//! There are no blocks here: the caller says which message arrives when. Wallets are no accounts: what is sent to them is
//! for the caller to count.

use std::collections::HashMap;

use cocoon_devnet::genesis;
use cocoon_devnet::tvm::{Moment, Rules};
use cocoon_protocol::UnixSeconds;
use sha2::{Digest, Sha256};
use tycho_types::cell::{Cell, CellBuilder, HashBytes, Lazy};
use tycho_types::models::{
    Account, AccountState, AccountStatus, BouncePhase, ComputePhase, CurrencyCollection, IntAddr, IntMsgInfo,
    MessageLayout, MsgInfo, OptionalAccount, OwnedMessage, ShardAccount, StateInit, StdAddr, TxInfo,
};
use tycho_types::num::Tokens;

use crate::run::Failure;

/// When every run begins, in Unix seconds.
pub const BEGINNING: u32 = 1_760_000_000;

/// A message between accounts.
#[derive(Clone, Debug)]
pub struct Message {
    /// From.
    pub src: StdAddr,
    /// To.
    pub dst: StdAddr,
    /// Nanotons.
    pub value: u128,
    /// Whether it comes back when the receiver fails.
    pub bounce: bool,
    /// Whether it is such a return.
    pub bounced: bool,
    /// Code and data for an account that has none.
    pub init: Option<StateInit>,
    /// What it says.
    pub body: Cell,
}

impl Message {
    /// The operation, if the body is long enough for one.
    pub fn op(&self) -> Option<u32> {
        let mut body = self.body.as_slice_allow_exotic();
        if self.bounced {
            body.load_u32().ok()?;
        }
        body.load_u32().ok()
    }

    fn to_cell(&self, at: u32) -> Result<Cell, tycho_types::error::Error> {
        CellBuilder::build_from(OwnedMessage {
            info: MsgInfo::Int(IntMsgInfo {
                bounce: self.bounce,
                bounced: self.bounced,
                src: self.src.clone().into(),
                dst: self.dst.clone().into(),
                value: CurrencyCollection { tokens: Tokens::new(self.value), ..Default::default() },
                created_at: at,
                ..Default::default()
            }),
            init: self.init.clone(),
            body: self.body.clone().into(),
            layout: Some(MessageLayout { init_to_cell: true, body_to_cell: true }),
        })
    }

    fn from_sent(message: &OwnedMessage) -> Option<Self> {
        let MsgInfo::Int(info) = &message.info else { return None };
        let (IntAddr::Std(src), IntAddr::Std(dst)) = (&info.src, &info.dst) else { return None };
        let mut body = CellBuilder::new();
        body.store_slice(tycho_types::cell::CellSlice::apply_allow_exotic(&message.body)).ok()?;
        Some(Self {
            src: src.clone(),
            dst: dst.clone(),
            value: info.value.tokens.into_inner(),
            bounce: info.bounce,
            bounced: info.bounced,
            init: message.init.clone(),
            body: body.build().ok()?,
        })
    }
}

/// What became of the contract's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compute {
    /// It did not run: the message pays for no gas.
    NoGas,
    /// It did not run: no code, or frozen.
    NoContract,
    /// It ran.
    Ran {
        /// Exit code; 0 and 1 are success.
        exit: i32,
        /// Gas used.
        gas: u64,
    },
}

/// What a message did to its receiver.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Balance of the account before, in nanotons.
    pub before: u128,
    /// Storage fees, paid and newly due.
    pub storage: u128,
    /// Whether the network keeps the account frozen after it.
    pub frozen: bool,
    /// The balance that the contract's code saw: with the message's value, less storage fees.
    pub start: u128,
    /// The value that the contract's code saw: less what was due for storage.
    pub value: u128,
    /// Balance after.
    pub after: u128,
    /// What became of the code.
    pub compute: Compute,
    /// Whether the actions were done; absent if there was no call for any.
    pub action: Option<Result<(), i32>>,
    /// Whether the message was sent back.
    pub sent_back: bool,
    /// Messages sent, in order; one that was sent back, too.
    pub out: Vec<Message>,
    /// The contract's data after; absent when there is no contract.
    pub data: Option<Cell>,
    /// Whether the data changed.
    pub changed: bool,
}

impl Receipt {
    /// True if the message had its effect.
    pub fn succeeded(&self) -> bool {
        matches!(self.compute, Compute::Ran { exit: 0 | 1, .. }) && self.action == Some(Ok(()))
    }
}

/// The accounts and the clock.
#[derive(Clone, Debug)]
pub struct Chain {
    rules: std::sync::Arc<Rules>,
    accounts: HashMap<StdAddr, ShardAccount>,
    /// Unix seconds.
    pub now: u32,
    lt: u64,
}

impl Chain {
    /// The network's id, as signed things carry it.
    pub const NETWORK: i32 = 0x434f_434e;

    /// No accounts.
    pub fn new() -> Result<Self, Failure> {
        let config = genesis::config().map_err(|e| Failure::new(format!("network configuration: {e}")))?;
        let rules = Rules::new(&config, UnixSeconds(BEGINNING)).map_err(|e| Failure::new(e.to_string()))?;
        Ok(Self { rules: std::sync::Arc::new(rules), accounts: HashMap::new(), now: BEGINNING, lt: 1_000_000 })
    }

    /// The same rules, no accounts: reading the configuration takes longer than a whole run.
    pub fn emptied(&self) -> Self {
        Self { rules: self.rules.clone(), accounts: HashMap::new(), now: BEGINNING, lt: 1_000_000 }
    }

    /// Balance and data of an account.
    pub fn account(&self, address: &StdAddr) -> (u128, Option<Cell>) {
        read(self.accounts.get(address))
    }

    /// Removes money from an account, as years of storage would.
    pub fn erode(&mut self, address: &StdAddr, by: u128) {
        let Some(entry) = self.accounts.get_mut(address) else { return };
        let Ok(Some(mut account)) = entry.load_account() else { return };
        let left = account.balance.tokens.into_inner().saturating_sub(by);
        account.balance.tokens = Tokens::new(left);
        if let Ok(account) = Lazy::new(&OptionalAccount(Some(account))) {
            entry.account = account;
        }
    }

    /// Lets a message arrive.
    pub fn deliver(&mut self, message: &Message) -> Result<Receipt, Failure> {
        let broken = |what: &str, why: &dyn std::fmt::Display| Failure::new(format!("{what}: {why}"));
        let cell = message.to_cell(self.now).map_err(|e| broken("message", &e))?;
        let state = match self.accounts.get(&message.dst) {
            Some(state) => state.clone(),
            None => ShardAccount {
                account: Lazy::new(&OptionalAccount::EMPTY).map_err(|e| broken("no account", &e))?,
                last_trans_hash: HashBytes::ZERO,
                last_trans_lt: 0,
            },
        };
        let (before, data_before) = read(Some(&state));
        self.lt += 1_000_000;
        let moment = Moment {
            utime: UnixSeconds(self.now),
            block_lt: self.lt - 1_000_000,
            min_lt: self.lt - 1_000_000 + 1,
            seed: HashBytes::ZERO,
        };
        let done = self.rules.execute(&moment, &message.dst, &cell, false, &state);
        let done = done.map_err(|e| broken("the message cannot be executed", &e))?;
        let transaction = done.transaction.load().map_err(|e| broken("transaction", &e))?;
        let TxInfo::Ordinary(info) = transaction.load_info().map_err(|e| broken("transaction", &e))? else {
            return Err(Failure::new("the transaction is of another kind".to_owned()));
        };
        let storage = info.storage_phase.as_ref().map_or(0, |phase| phase.storage_fees_collected.into_inner());
        let credit = info.credit_phase.as_ref().map_or(0, |phase| phase.credit.tokens.into_inner());
        let start = (before + credit).checked_sub(storage).ok_or_else(|| Failure::new("storage fees".to_owned()))?;
        let compute = match &info.compute_phase {
            ComputePhase::Skipped(skipped) => match skipped.reason {
                tycho_types::models::ComputePhaseSkipReason::NoGas => Compute::NoGas,
                _ => Compute::NoContract,
            },
            ComputePhase::Executed(ran) => Compute::Ran { exit: ran.exit_code, gas: ran.gas_used.into_inner() },
        };
        let action = info.action_phase.map(|phase| if phase.success { Ok(()) } else { Err(phase.result_code) });
        let mut out = vec![];
        for sent in &done.out_messages {
            let sent = sent.load().map_err(|e| broken("sent message", &e))?;
            out.push(Message::from_sent(&sent).ok_or_else(|| Failure::new("a message to outside".to_owned()))?);
        }
        let (after, data) = read(Some(&done.state));
        let frozen = transaction.end_status == AccountStatus::Frozen;
        let receipt = Receipt {
            before,
            storage,
            frozen,
            start,
            value: credit.min(start),
            after,
            compute,
            action,
            sent_back: matches!(info.bounce_phase, Some(BouncePhase::Executed(_))),
            out,
            changed: data != data_before,
            data,
        };
        if done.exists {
            self.accounts.insert(message.dst.clone(), done.state);
        } else {
            self.accounts.remove(&message.dst);
        }
        Ok(receipt)
    }
}

fn read(entry: Option<&ShardAccount>) -> (u128, Option<Cell>) {
    match entry.map(ShardAccount::load_account) {
        Some(Ok(Some(Account { balance, state, .. }))) => {
            let data = if let AccountState::Active(state) = state { state.data } else { None };
            (balance.tokens.into_inner(), data)
        }
        _ => (0, None),
    }
}

/// The address of a contract with this code and this initial data.
pub fn address_of(init: &StateInit) -> StdAddr {
    StdAddr::new(0, *CellBuilder::build_from(init).expect("two references fit into a cell").repr_hash())
}

/// The address of a contract with this initial data, from the hash and depth of its code alone.
pub fn address_from(code_hash: &HashBytes, code_depth: u16, data: &Cell) -> StdAddr {
    let mut representation = vec![0x02, 0x01, 0x34];
    representation.extend(code_depth.to_be_bytes());
    representation.extend(data.repr_depth().to_be_bytes());
    representation.extend(code_hash.0);
    representation.extend(data.repr_hash().0);
    StdAddr::new(0, HashBytes(Sha256::digest(representation).into()))
}
