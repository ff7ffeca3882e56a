//! A new network: what its two root contracts begin with, and the messages that create them.
//!
//! Governor and registry are known by their addresses, which follow from this. So whoever has the published [`Genesis`] can
//! recompute which registry is the right one.

use std::collections::BTreeMap;

use cocoon_chain::{OutMessage, StateInit};
use cocoon_protocol::{Hash256, Nano, NodePublicKey, StdAddr};
use cocoon_wrappers::generated::governor::{self, GovernorParams, SetUpGovernor};
use cocoon_wrappers::generated::registry::{
    self, Code, CodeHashes, Council, RegistryCounts, RegistryParams, SetUpRegistry, TcbPolicy,
};
use cocoon_wrappers::generated::{fault_report, pay_channel, proposal, stake_account};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::num::Tokens;

use crate::plan::Purpose;
use crate::{ActionError, Plan};

/// What the governor keeps, and a little for its first days.
const GOVERNOR_STORAGE: Nano = Nano::from_ton(1);
/// What the registry keeps.
const REGISTRY_STORAGE: Nano = Nano::from_ton(2);
const GAS: Nano = Nano::new(100_000_000);

/// What a network begins with. Images, models and proxies come by votes and bonds.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// Tells networks with the same beginning apart.
    pub salt: u64,
    /// Seconds per epoch of stake.
    pub epoch_length: u32,
    /// The rules of voting.
    pub rules: GovernorParams,
    /// What the network asks of its members.
    pub params: RegistryParams,
    /// Attestation roots that are trusted from the beginning.
    pub roots: Vec<Hash256>,
    /// The least TCB evaluation number.
    pub min_evaluation: u32,
    /// Who may suspend entries.
    pub council: Vec<NodePublicKey>,
    /// How many of them must sign; zero without a council.
    pub council_threshold: u8,
    /// Whose rebuilds count.
    pub rebuilders: Vec<NodePublicKey>,
    /// How many of them must have rebuilt an image.
    pub rebuild_threshold: u8,
}

/// The code of a contract as addresses are computed from it.
pub fn code(code: &Cell) -> Code {
    Code { hash: *code.repr_hash(), depth: code.repr_depth() }
}

/// The code that this program knows.
pub fn known_codes() -> CodeHashes {
    CodeHashes {
        pay_channel: code(&pay_channel::code()),
        stake_account: code(&stake_account::code()),
        proposal: code(&proposal::code()),
        fault_report: code(&fault_report::code()),
    }
}

fn number(key: &NodePublicKey) -> HashBytes {
    HashBytes(*key.as_bytes())
}

impl Genesis {
    /// State init and address of the governor.
    pub fn governor(&self) -> Result<(StateInit, StdAddr), ActionError> {
        let data = governor::Data {
            salt: self.salt,
            epoch_length: self.epoch_length,
            params: self.rules.clone(),
            ready: false,
            epoch: 0,
            total: Tokens::ZERO,
            joining: Tokens::ZERO,
            leaving: Tokens::ZERO,
            proposals: 0,
            registry: None,
        };
        Ok((governor::state_init(&data)?, governor::address(0, &data)?))
    }

    /// State init and address of the registry.
    pub fn registry(&self) -> Result<(StateInit, StdAddr), ActionError> {
        let data = registry::Data {
            governor: self.governor()?.1,
            ready: false,
            revision: 0,
            bonded: Tokens::ZERO,
            params: self.params.clone(),
            counts: RegistryCounts { images: 0, models: 0, proxies: 0, roots: 0, banned: 0 },
            codes: known_codes(),
            tcb: TcbPolicy {
                min_evaluation: self.min_evaluation,
                roots: self.roots.iter().map(|root| (HashBytes(root.0), 0)).collect(),
                banned: BTreeMap::new(),
            },
            images: BTreeMap::new(),
            models: BTreeMap::new(),
            proxies: BTreeMap::new(),
            council: Council {
                threshold: self.council_threshold,
                members: self.council.iter().map(|key| (number(key), true)).collect(),
            },
            rebuilders: self.rebuilders.iter().map(|key| (number(key), 0)).collect(),
            rebuild_threshold: self.rebuild_threshold,
            former_channels: BTreeMap::new(),
            successor: None,
            successor_from: 0,
        };
        Ok((registry::state_init(&data)?, registry::address(0, &data)?))
    }

    /// The messages that create both contracts.
    pub fn deploy(&self) -> Result<Plan, ActionError> {
        let (init, address) = self.governor()?;
        let body = SetUpGovernor { query_id: 0 }.to_cell()?;
        let message = OutMessage::new(address, Nano::ZERO).body(body).state_init(init);
        let parts = [(Purpose::Storage, GOVERNOR_STORAGE), (Purpose::Gas, GAS)];
        let mut plan = Plan::single("create a network's governor and registry".to_owned(), message, &parts);

        let (init, address) = self.registry()?;
        let body = SetUpRegistry { query_id: 0 }.to_cell()?;
        let message = OutMessage::new(address, Nano::ZERO).body(body).state_init(init);
        let parts = [(Purpose::Storage, REGISTRY_STORAGE), (Purpose::Gas, GAS)];
        let second = Plan::single(String::new(), message, &parts);
        plan.messages.extend(second.messages);
        plan.parts.extend(second.parts);
        plan.watch.extend(second.watch);
        Ok(plan)
    }
}
