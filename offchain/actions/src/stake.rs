//! What owners do with their stake.

use std::collections::BTreeMap;

use cocoon_chain::{AccountStatus, Cell, OutMessage, StateInit};
use cocoon_protocol::{GlobalId, Hash256, Nano, NodePublicKey, Signature, StdAddr};
use cocoon_wrappers::generated::stake_account::{
    self, Data, Deposit, ForgetNode, Lot, NodeAuth, RegisterNode, RetireNode, StakeState, Unbond, Withdraw,
};
use tycho_types::cell::HashBytes;

use crate::plan::Purpose;
use crate::system::nano;
use crate::{ActionError, Plan, System};

/// First word of the proof that whoever registers a node holds its key: ASCII `NOD1`.
const NODE_AUTH_TAG: u32 = 0x4e4f_4431;
/// The smallest lot.
const MIN_LOT: Nano = Nano::from_ton(1);
/// For what stays within the account.
const LOCAL_GAS: Nano = Nano::new(100_000_000);
/// For what goes to the governor and back.
pub(crate) const ROUND_TRIP_GAS: Nano = Nano::new(250_000_000);
/// What a new account keeps for its storage.
const RESERVE: Nano = Nano::new(100_000_000);
/// What an old account's reserve may lack.
const TOP_UP: Nano = Nano::new(20_000_000);

/// State init and address of an owner's stake account, from the code that this program knows.
pub fn identify(governor: &StdAddr, owner: &StdAddr) -> Result<(StateInit, StdAddr), ActionError> {
    let data = Data {
        governor: governor.clone(),
        owner: owner.clone(),
        lots: BTreeMap::new(),
        receipts: BTreeMap::new(),
        books: None,
    };
    Ok((stake_account::state_init(&data)?, stake_account::address(0, &data)?))
}

/// An owner's stake account on a network.
pub struct Stake<'a> {
    system: &'a System,
    owner: StdAddr,
    governor: StdAddr,
    address: StdAddr,
    state: Option<StakeState>,
}

impl<'a> Stake<'a> {
    /// Reads the account of this owner.
    pub async fn of(system: &'a System, owner: &StdAddr) -> Result<Self, ActionError> {
        let governor = system.governor().await?;
        let address = system.stake_account(&governor, owner).await?;
        let state = system.stake(&governor, owner).await?;
        Ok(Self { system, owner: owner.clone(), governor, address, state })
    }

    /// Whose it is.
    pub const fn owner(&self) -> &StdAddr {
        &self.owner
    }

    /// The governor that counts it.
    pub const fn governor(&self) -> &StdAddr {
        &self.governor
    }

    /// Where it is, or would be.
    pub const fn address(&self) -> &StdAddr {
        &self.address
    }

    /// What it holds; `None` before the first deposit.
    pub const fn state(&self) -> Option<&StakeState> {
        self.state.as_ref()
    }

    /// The same, required.
    pub fn existing(&self) -> Result<&StakeState, ActionError> {
        self.state.as_ref().ok_or_else(|| ActionError::Missing {
            what: "stake account",
            address: Box::new(self.address.clone()),
            advice: format!("{} has staked nothing; deposit first", self.owner),
        })
    }

    /// What it weighs in an epoch.
    pub async fn weight_at(&self, epoch: u32) -> Result<Nano, ActionError> {
        self.system.weight_at(&self.governor, &self.owner, epoch).await
    }

    /// A new lot. It weighs from the next epoch on.
    pub async fn deposit(&self, amount: Nano) -> Result<Plan, ActionError> {
        if amount < MIN_LOT {
            return Err(ActionError::invalid("amount", format!("a lot of stake has at least {MIN_LOT}, not {amount}")));
        }
        let body = Deposit { query_id: 0, amount: amount.into() }.to_cell()?;
        let mut message = OutMessage::new(self.address.clone(), Nano::ZERO).body(body);
        let mut storage = TOP_UP;
        if self.system.chain().account(&self.address).await?.status != AccountStatus::Active {
            let (init, address) = identify(&self.governor, &self.owner)?;
            if address != self.address {
                let why = "the governor works with another stake account code; update this program".to_owned();
                return Err(ActionError::Foreign { what: "stake account", address: Box::new(address), why });
            }
            message = message.state_init(init);
            storage = storage.saturating_add(RESERVE);
        }
        let parts = [(Purpose::Stake, amount), (Purpose::Storage, storage), (Purpose::Gas, ROUND_TRIP_GAS)];
        Ok(Plan::single(format!("stake {amount} in {}", self.address), message, &parts))
    }

    fn lot(&self, number: u32) -> Result<&Lot, ActionError> {
        let state = self.existing()?;
        state.lots.get(&number).ok_or_else(|| {
            let lots: Vec<String> = state.lots.keys().map(u32::to_string).collect();
            let lots = if lots.is_empty() { "none".to_owned() } else { lots.join(", ") };
            ActionError::invalid("lot", format!("there is no lot {number}; there are: {lots}"))
        })
    }

    /// A lot begins to leave, or a part of it, which becomes a lot of its own.
    pub fn unbond(&self, number: u32, part: Option<Nano>) -> Result<Plan, ActionError> {
        let lot = self.lot(number)?;
        let whole = nano(lot.amount);
        let amount = part.filter(|amount| *amount != whole).unwrap_or_default();
        let rest = whole.saturating_sub(amount);
        if part.is_some_and(|part| part.is_zero())
            || amount > whole
            || (!amount.is_zero() && (amount < MIN_LOT || rest < MIN_LOT))
        {
            let why = format!("of {whole}, {MIN_LOT} to {} can leave, or all of it", whole.saturating_sub(MIN_LOT));
            return Err(ActionError::invalid("amount", why));
        }
        if lot.exit_from != 0 {
            return Err(ActionError::invalid("lot", format!("lot {number} is leaving already")));
        }
        let what = match amount.is_zero() {
            true => format!("unbond lot {number} of {whole}"),
            false => format!("unbond {amount} of lot {number}; {rest} stays"),
        };
        let body = Unbond { query_id: 0, lot: number, amount: amount.into() }.to_cell()?;
        self.message(what, body, ROUND_TRIP_GAS)
    }

    /// A released lot comes out. `now` is the time of the newest block.
    pub fn withdraw(&self, number: u32, now: u32) -> Result<Plan, ActionError> {
        let lot = self.lot(number)?;
        if lot.release_at == 0 {
            return Err(ActionError::invalid("lot", format!("lot {number} is not leaving; unbond it first")));
        }
        if now < lot.release_at {
            let wait = lot.release_at - now;
            return Err(ActionError::invalid("lot", format!("lot {number} is locked for another {wait} s")));
        }
        let what = format!("withdraw lot {number} of {}", nano(lot.amount));
        self.message(what, Withdraw { query_id: 0, lot: number }.to_cell()?, LOCAL_GAS)
    }

    /// What a node's key must sign so that this account may answer for it.
    pub fn node_proof(&self, key: &NodePublicKey) -> Result<Hash256, ActionError> {
        Ok(cocoon_chain::cell_hash(&node_proof(self.system.chain().network(), &self.address, key)?))
    }

    /// The stake answers for a node's key, with a part of it as a bond; or raises that bond.
    pub fn register_node(&self, key: &NodePublicKey, bond: Nano, signature: &Signature) -> Result<Plan, ActionError> {
        let state = self.existing()?;
        key.verify(&self.node_proof(key)?, signature).map_err(|e| {
            ActionError::invalid("signature", format!("{e}; the node's key must sign for account {}", self.address))
        })?;
        let free = nano(state.staying).saturating_sub(nano(state.bonded));
        let before = state.nodes.get(&HashBytes(*key.as_bytes())).map_or(Nano::ZERO, |n| nano(n.bond));
        if bond > free.saturating_add(before) {
            return Err(ActionError::invalid("bond", format!("{bond} is more than the {free} of stake that is free")));
        }
        let number = HashBytes(*key.as_bytes());
        let body = RegisterNode { query_id: 0, key: number, bond: bond.into(), signature: signature.0 }.to_cell()?;
        self.message(format!("let {bond} of the stake answer for node {key}"), body, LOCAL_GAS)
    }

    fn node(&self, key: &NodePublicKey) -> Result<(), ActionError> {
        if self.existing()?.nodes.contains_key(&HashBytes(*key.as_bytes())) {
            return Ok(());
        }
        Err(ActionError::invalid("node", format!("{key} is not registered with {}", self.address)))
    }

    /// A node works no more.
    pub fn retire_node(&self, key: &NodePublicKey) -> Result<Plan, ActionError> {
        self.node(key)?;
        let body = RetireNode { query_id: 0, key: HashBytes(*key.as_bytes()) }.to_cell()?;
        self.message(format!("retire node {key}"), body, LOCAL_GAS)
    }

    /// The record of a node that was retired long ago goes.
    pub fn forget_node(&self, key: &NodePublicKey) -> Result<Plan, ActionError> {
        self.node(key)?;
        let body = ForgetNode { query_id: 0, key: HashBytes(*key.as_bytes()) }.to_cell()?;
        self.message(format!("drop the record of node {key}"), body, LOCAL_GAS)
    }

    pub(crate) fn message(&self, what: String, body: Cell, gas: Nano) -> Result<Plan, ActionError> {
        let message = OutMessage::new(self.address.clone(), Nano::ZERO).body(body);
        Ok(Plan::single(what, message, &[(Purpose::Gas, gas)]))
    }
}

/// What a node's key signs so that a stake account may answer for it.
pub fn node_proof(network: GlobalId, account: &StdAddr, key: &NodePublicKey) -> Result<Cell, ActionError> {
    let key = HashBytes(*key.as_bytes());
    Ok(NodeAuth { tag: NODE_AUTH_TAG, global_id: network.0, account: account.clone(), key }.to_cell()?)
}
