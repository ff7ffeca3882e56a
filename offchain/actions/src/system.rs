//! The contracts of one network, read with care: an address is believed only when its code and its place say what it is.

use std::sync::Arc;

use cocoon_chain::{AccountSnapshot, AccountStatus, Chain, run_getter};
use cocoon_protocol::{Hash256, Nano, StdAddr};
use cocoon_wrappers::generated::governor::{self, GovernorState};
use cocoon_wrappers::generated::pay_channel::{self, ChannelState};
use cocoon_wrappers::generated::proposal::{self, ProposalState};
use cocoon_wrappers::generated::registry::{self, RegistryState};
use cocoon_wrappers::generated::stake_account::{self, StakeState};
use cocoon_wrappers::{AbiError, GetterCall, StackValue};
use num_bigint::{BigInt, Sign};
use tycho_types::cell::HashBytes;
use tycho_types::num::Tokens;

use crate::ActionError;

/// A network's contracts, reached through its registry.
#[derive(Clone)]
pub struct System {
    chain: Arc<dyn Chain>,
    registry: StdAddr,
}

impl System {
    /// The network whose root is this registry.
    pub fn new(chain: Arc<dyn Chain>, registry: StdAddr) -> Self {
        Self { chain, registry }
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<dyn Chain> {
        &self.chain
    }

    /// The registry's address.
    pub const fn registry(&self) -> &StdAddr {
        &self.registry
    }

    /// Everything in the registry.
    pub async fn registry_state(&self) -> Result<RegistryState, ActionError> {
        let account = self.contract("registry", &self.registry, registry::CODE_HASH).await?;
        self.ask(&account, &registry::get_snapshot(), registry::decode_snapshot).await
    }

    /// The governor: the one that the registry obeys.
    pub async fn governor(&self) -> Result<StdAddr, ActionError> {
        Ok(self.registry_state().await?.governor)
    }

    /// Everything that the governor knows.
    pub async fn governor_state(&self, governor: &StdAddr) -> Result<GovernorState, ActionError> {
        let account = self.contract("governor", governor, governor::CODE_HASH).await?;
        self.ask(&account, &governor::get_state(), governor::decode_state).await
    }

    /// Address of an owner's stake account, computed by the governor.
    pub async fn stake_account(&self, governor: &StdAddr, owner: &StdAddr) -> Result<StdAddr, ActionError> {
        let account = self.contract("governor", governor, governor::CODE_HASH).await?;
        let call = governor::get_stake_account_address(owner)?;
        self.ask(&account, &call, governor::decode_stake_account_address).await
    }

    /// Address of the proposal of these actions and this description, computed by the governor.
    pub async fn proposal_address(
        &self,
        governor: &StdAddr,
        actions: &Hash256,
        metadata: &Hash256,
    ) -> Result<StdAddr, ActionError> {
        let account = self.contract("governor", governor, governor::CODE_HASH).await?;
        let number = |hash: &Hash256| BigInt::from_bytes_be(Sign::Plus, &hash.0);
        let call = governor::get_proposal_address(&number(actions), &number(metadata))?;
        self.ask(&account, &call, governor::decode_proposal_address).await
    }

    /// An owner's stake; `None` if there never was any.
    pub async fn stake(&self, governor: &StdAddr, owner: &StdAddr) -> Result<Option<StakeState>, ActionError> {
        let address = self.stake_account(governor, owner).await?;
        let account = self.chain.account(&address).await?;
        if account.status != AccountStatus::Active {
            return Ok(None);
        }
        self.ask(&account, &stake_account::get_state(), stake_account::decode_state).await.map(Some)
    }

    /// What an owner's stake weighs in an epoch.
    pub async fn weight_at(&self, governor: &StdAddr, owner: &StdAddr, epoch: u32) -> Result<Nano, ActionError> {
        let address = self.stake_account(governor, owner).await?;
        let account = self.chain.account(&address).await?;
        if account.status != AccountStatus::Active {
            return Ok(Nano::ZERO);
        }
        let call = stake_account::get_weight_at(&BigInt::from(epoch))?;
        let weight = self.ask(&account, &call, stake_account::decode_weight_at).await?;
        u64::try_from(weight).map(Nano::new).map_err(|_| ActionError::invalid("stake", "its weight is no amount"))
    }

    /// A proposal of this network's governor: its state, after its address was recomputed from what it says it does (attack 37).
    pub async fn proposal(&self, governor: &StdAddr, address: &StdAddr) -> Result<ProposalState, ActionError> {
        const WHAT: &str = "proposal";
        let account = self.contract(WHAT, address, proposal::CODE_HASH).await?;
        let state = self.ask(&account, &proposal::get_state(), proposal::decode_state).await?;
        let hash = cocoon_chain::cell_hash;
        let expected = self.proposal_address(governor, &hash(&state.actions), &hash(&state.metadata)).await?;
        if expected == *address {
            return Ok(state);
        }
        let why = format!("the governor's proposal with these actions is at {expected}");
        Err(ActionError::Foreign { what: WHAT, address: Box::new(address.clone()), why })
    }

    /// A payment channel: its state, after its code was recognised (attack 25).
    pub async fn channel(&self, address: &StdAddr) -> Result<ChannelState, ActionError> {
        let account = self.contract("channel", address, pay_channel::CODE_HASH).await?;
        self.ask(&account, &pay_channel::get_state(), pay_channel::decode_state).await
    }

    /// An account with this code, or an error that says what is there instead.
    pub(crate) async fn contract(
        &self,
        what: &'static str,
        address: &StdAddr,
        code: HashBytes,
    ) -> Result<AccountSnapshot, ActionError> {
        let account = self.chain.account(address).await?;
        let address = || Box::new(address.clone());
        if account.status != AccountStatus::Active {
            let advice = format!("the account is {}; check the address and the network", account.status);
            return Err(ActionError::Missing { what, address: address(), advice });
        }
        if !account.has_code(&Hash256(code.0)) {
            let found = account.code.as_ref().map(cocoon_chain::cell_hash).unwrap_or_default();
            let why = format!("its code is {found}, and this program knows {code}; check the address, or update");
            return Err(ActionError::Foreign { what, address: address(), why });
        }
        Ok(account)
    }

    pub(crate) async fn ask<T>(
        &self,
        account: &AccountSnapshot,
        call: &GetterCall,
        decode: impl FnOnce(Vec<StackValue>) -> Result<T, AbiError>,
    ) -> Result<T, ActionError> {
        let config = self.chain.config().await?;
        Ok(decode(run_getter(account, &config, call)?.stack)?)
    }
}

/// An amount that a contract tells.
pub fn nano(tokens: Tokens) -> Nano {
    // More than exists cannot be in a state that a contract has accounted for.
    Nano::try_from(tokens).unwrap_or(Nano::MAX)
}

/// A 256-bit number as a hash.
pub const fn hash(bytes: HashBytes) -> Hash256 {
    Hash256(bytes.0)
}
