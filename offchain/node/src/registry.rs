//! The registry as the services read it: what the DAO allows, in the types of this workspace.

use std::collections::{BTreeMap, BTreeSet};

use cocoon_attest::{ImageWindow, PlatformId, Policy, RootHash};
use cocoon_chain::{Chain, call_getter};
use cocoon_protocol::{
    GlobalId, Hash256, ImageId, KeyError, ModelHash, Nano, NodePublicKey, Role, StdAddr, UnixSeconds,
};
use cocoon_wrappers::generated::registry::{self, Life, RegistryState};

use crate::{ChannelError, NodeError};

/// Stored status of an entry that was approved.
const SCHEDULED: u8 = 1;
/// Stored status of an entry with a decided end.
const DEPRECATED: u8 = 3;

/// When an approved entry may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// First second.
    pub active_from: UnixSeconds,
    /// First second at which it may not be used any more.
    pub sunset: Option<UnixSeconds>,
    /// The council has suspended it until then.
    pub suspended_until: UnixSeconds,
}

impl Window {
    /// What the stored life says; `None` when the entry is revoked or of a kind that this version does not know.
    fn of(life: &Life) -> Option<Self> {
        matches!(life.status, SCHEDULED | DEPRECATED).then(|| Self {
            active_from: UnixSeconds(life.active_from),
            sunset: (life.sunset != 0).then_some(UnixSeconds(life.sunset)),
            suspended_until: UnixSeconds(life.suspended_until),
        })
    }

    /// Whether the entry may be used at a time (attack 48).
    pub fn contains(&self, now: UnixSeconds) -> bool {
        now >= self.active_from.max(self.suspended_until) && self.sunset.is_none_or(|sunset| now < sunset)
    }
}

/// A bonded proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyEntry {
    /// Who is paid.
    pub owner: StdAddr,
    /// The key that its evidence must certify.
    pub node_key: NodePublicKey,
    /// Where it listens, as `host:port`.
    pub endpoint: String,
    /// What it has at stake.
    pub bond: Nano,
}

/// Everything that the registry tells a service, from one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistryView {
    /// The network.
    pub network: GlobalId,
    /// Grows with each change.
    pub revision: u32,
    /// The DAO.
    pub governor: StdAddr,
    /// Approved images that are not revoked.
    pub images: BTreeMap<ImageId, (Role, Window)>,
    /// Approved models that are not revoked, with their names.
    pub models: BTreeMap<ModelHash, (String, Window)>,
    /// Bonded proxies that are not leaving.
    pub proxies: Vec<ProxyEntry>,
    /// Attestation roots, with the time from which they count.
    pub roots: BTreeMap<Hash256, UnixSeconds>,
    /// Machines that may not take part.
    pub banned: BTreeSet<Hash256>,
    /// Least TCB evaluation number of collateral.
    pub min_tcb_evaluation: u32,
    /// Least bond of a worker's node.
    pub min_worker_stake: Nano,
    /// Least bond of a proxy.
    pub min_proxy_bond: Nano,
    /// Least challenge period of a new channel, in seconds.
    pub min_challenge: u32,
    /// Part of every claim that a new channel burns, in hundredths of a percent.
    pub protocol_fee_bps: u16,
    /// Code of payment channels.
    pub channel_code: Hash256,
    /// Code of stake accounts.
    pub stake_code: Hash256,
}

/// The registry's state does not make sense.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The contract has not been set up.
    #[error("the registry has not been set up yet")]
    NotReady,
    /// An amount is beyond everything that exists.
    #[error("the registry's {0} is beyond the Toncoin that exists")]
    Amount(&'static str),
}

/// The registry as it stands at the newest block that this chain knows.
pub async fn read(chain: &dyn Chain, address: &StdAddr) -> Result<RegistryView, NodeError> {
    let state = async || -> Result<_, ChannelError> {
        let stack = call_getter(chain, address, &registry::get_snapshot()).await?;
        Ok(registry::decode_snapshot(stack)?)
    };
    let state = state()
        .await
        .map_err(|source| NodeError::Registry { address: Box::new(address.clone()), source: Box::new(source) })?;
    Ok(RegistryView::read(chain.network(), &state)?)
}

impl RegistryView {
    /// Reads the contract's own account of itself. An entry that makes no sense by itself (an unknown role, a key that is none)
    /// is left out with a warning: it can only ever allow less.
    pub fn read(network: GlobalId, state: &RegistryState) -> Result<Self, RegistryError> {
        if !state.ready {
            return Err(RegistryError::NotReady);
        }
        let nano =
            |what, amount: tycho_types::num::Tokens| Nano::try_from(amount).map_err(|_| RegistryError::Amount(what));
        let image = |(id, entry): (&_, &cocoon_wrappers::generated::registry::ImageEntry)| {
            let role = Role::from_code(entry.role)?;
            Some((ImageId(hash(id)), (role, Window::of(&entry.life)?)))
        };
        let model = |(id, entry): (&_, &cocoon_wrappers::generated::registry::ModelEntry)| {
            Some((ModelHash(hash(id)), (entry.name.clone(), Window::of(&entry.life)?)))
        };
        let proxy = |(owner, entry): (&StdAddr, &cocoon_wrappers::generated::registry::ProxyEntry)| {
            if entry.unbonding_at != 0 {
                return None;
            }
            let key: Result<_, KeyError> = NodePublicKey::from_bytes(&hash(&entry.node_key));
            let node_key = key.inspect_err(|error| tracing::warn!(%owner, %error, "a proxy is left out")).ok()?;
            let bond = Nano::try_from(entry.bond).ok()?;
            Some(ProxyEntry { owner: owner.clone(), node_key, endpoint: entry.endpoint.clone(), bond })
        };
        Ok(Self {
            network,
            revision: state.revision,
            governor: state.governor.clone(),
            images: state.images.iter().filter_map(image).collect(),
            models: state.models.iter().filter_map(model).collect(),
            proxies: state.proxies.iter().filter_map(proxy).collect(),
            roots: state.tcb.roots.iter().map(|(root, from)| (Hash256(hash(root)), UnixSeconds(*from))).collect(),
            banned: state.tcb.banned.keys().map(|id| Hash256(hash(id))).collect(),
            min_tcb_evaluation: state.tcb.min_evaluation,
            min_worker_stake: nano("least worker stake", state.params.min_worker_stake)?,
            min_proxy_bond: nano("least proxy bond", state.params.min_proxy_bond)?,
            min_challenge: state.params.min_challenge,
            protocol_fee_bps: state.params.protocol_fee_bps,
            channel_code: Hash256(hash(&state.codes.pay_channel.hash)),
            stake_code: Hash256(hash(&state.codes.stake_account.hash)),
        })
    }

    /// What a verifier demands at this time.
    pub fn policy(&self, now: UnixSeconds) -> Policy {
        let mut policy = Policy::new(self.network);
        for (root, from) in &self.roots {
            if now >= *from {
                policy.allow_root(RootHash(*root));
            }
        }
        for (id, (role, window)) in &self.images {
            let active_from = window.active_from.max(window.suspended_until);
            policy.allow_image(*role, *id, ImageWindow { active_from, sunset: window.sunset });
        }
        for platform in &self.banned {
            policy.ban_platform(PlatformId(*platform));
        }
        policy.require_tcb_evaluation(self.min_tcb_evaluation);
        policy
    }

    /// Whether a model may be served at this time.
    pub fn model_active(&self, model: &ModelHash, now: UnixSeconds) -> bool {
        self.models.get(model).is_some_and(|(_, window)| window.contains(now))
    }

    /// The name under which the DAO approved a model.
    pub fn model_name(&self, model: &ModelHash) -> Option<&str> {
        self.models.get(model).map(|(name, _)| name.as_str())
    }
}

fn hash(value: &tycho_types::cell::HashBytes) -> [u8; 32] {
    value.0
}
