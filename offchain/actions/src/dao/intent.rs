//! What somebody wants decided.

use std::collections::BTreeMap;

use cocoon_chain::Cell;
use cocoon_protocol::{Hash256, ImageId, ModelHash, Nano, NodePublicKey, Role, StdAddr};
use cocoon_wrappers::generated::governor::{Action, GovernorParams, SetGovernorParams, SetRegistry};
use cocoon_wrappers::generated::registry::{
    CodeHashes, DeprecateEntry, EvictProxy, LiftSuspension, RegistryParams, RemoveEntry, RevokeEntry, ScheduleImage,
    ScheduleModel, SetCodeHashes, SetCouncil, SetGovernor, SetMinTcbEvaluation, SetPlatformBan, SetRebuildThreshold,
    SetRebuilder, SetRegistryParams, SetRoot, SetSuccessor, Signature,
};
use tycho_types::cell::HashBytes;

use super::Roots;
use crate::ActionError;
use crate::registry::Kind;

/// What an action gets for gas from whoever executes; what is not used returns.
const ACTION_GAS: Nano = Nano::new(150_000_000);
/// Most members of a council.
const MAX_COUNCIL: usize = 15;
/// Longest text of an entry, in bytes.
const MAX_TEXT: usize = 127;

/// What is said about an image or a model when it is approved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approval {
    /// When it may be used at the earliest; 0: as soon as the rules allow.
    pub active_from: u32,
    /// The commit that it is built from.
    pub source_commit: Hash256,
    /// The recipe that builds it.
    pub recipe_hash: Hash256,
    /// Why it is approved.
    pub reason: String,
}

/// One thing to be decided.
#[derive(Clone, PartialEq, Debug)]
pub enum Intent {
    /// Approve an image.
    Image {
        /// The hash of its measurements.
        id: ImageId,
        /// Who runs it.
        role: Role,
        /// What is said about it.
        approval: Approval,
        /// Signatures of those who rebuilt it, by key.
        rebuilds: BTreeMap<HashBytes, [u8; 64]>,
    },
    /// Approve a model.
    Model {
        /// The hash of its files.
        id: ModelHash,
        /// Its name.
        name: String,
        /// What is said about it.
        approval: Approval,
    },
    /// Set an entry's sunset.
    Deprecate {
        /// Image or model.
        kind: Kind,
        /// Which one.
        id: Hash256,
        /// When it ends.
        sunset: u32,
        /// Why.
        reason: String,
    },
    /// End an entry at once.
    Revoke {
        /// Image or model.
        kind: Kind,
        /// Which one.
        id: Hash256,
        /// Why.
        reason: String,
    },
    /// Drop an ended entry to make room.
    Remove {
        /// Image or model.
        kind: Kind,
        /// Which one.
        id: Hash256,
    },
    /// Allow an attestation root, or withdraw one.
    Root {
        /// SHA-256 of its public key.
        root: Hash256,
        /// Whether it is allowed.
        allowed: bool,
    },
    /// Demand newer collateral.
    MinTcb {
        /// The least TCB evaluation number.
        number: u32,
    },
    /// Ban a platform, or lift the ban.
    Ban {
        /// Its id.
        platform: Hash256,
        /// Whether it is banned.
        banned: bool,
    },
    /// Change what the network asks of its members.
    Params(RegistryParams),
    /// Change which contract code members accept.
    Codes {
        /// All of it.
        codes: CodeHashes,
        /// Until when evidence from channels of the code so far counts, if that changes.
        former_until: u32,
    },
    /// End a suspension before its time.
    Lift {
        /// Image or model.
        kind: Kind,
        /// Which one.
        id: Hash256,
        /// Why.
        reason: String,
    },
    /// Replace the council.
    Council {
        /// How many must sign.
        threshold: u8,
        /// Its members; nobody: there is no council.
        members: Vec<NodePublicKey>,
    },
    /// Register a rebuilder, or strike one off.
    Rebuilder {
        /// Its key.
        key: NodePublicKey,
        /// Whether its rebuilds count.
        allowed: bool,
    },
    /// Change how many rebuilders must have signed.
    RebuildThreshold {
        /// How many.
        threshold: u8,
    },
    /// Name the registry that replaces this one, or withdraw that.
    Successor {
        /// Its address.
        successor: Option<StdAddr>,
    },
    /// Tell the governor whose accusations it believes.
    Registry {
        /// The registry.
        registry: StdAddr,
    },
    /// Change the rules of voting.
    Rules(GovernorParams),
    /// Hand the registry to another governor.
    Governor {
        /// Its address.
        governor: StdAddr,
    },
    /// Send a proxy away.
    Evict {
        /// Its owner.
        owner: StdAddr,
    },
    /// Pay from the treasury.
    Transfer {
        /// To whom.
        to: StdAddr,
        /// How much.
        amount: Nano,
        /// What the receiver reads.
        comment: Option<String>,
    },
    /// Send any message.
    Raw {
        /// To whom.
        to: StdAddr,
        /// From the treasury.
        value: Nano,
        /// From whoever executes.
        gas: Nano,
        /// What it says.
        body: Cell,
    },
}

impl Intent {
    /// The action that brings it about, alone.
    pub fn to_action(&self, roots: &Roots) -> Result<Action, ActionError> {
        let registry = |body| (roots.registry.clone(), Nano::ZERO, ACTION_GAS, body);
        let (to, value, gas, body) = match self {
            Self::Image { id, role, approval, rebuilds } => {
                let reason = text("reason", &approval.reason)?;
                registry(
                    ScheduleImage {
                        query_id: 0,
                        id: HashBytes(id.0),
                        role: role.code(),
                        active_from: approval.active_from,
                        source_commit: HashBytes(approval.source_commit.0),
                        recipe_hash: HashBytes(approval.recipe_hash.0),
                        reason,
                        rebuilds: rebuilds.iter().map(|(k, s)| (*k, Signature { bytes: *s })).collect(),
                    }
                    .to_cell()?,
                )
            }
            Self::Model { id, name, approval } => registry(
                ScheduleModel {
                    query_id: 0,
                    id: HashBytes(id.0),
                    active_from: approval.active_from,
                    source_commit: HashBytes(approval.source_commit.0),
                    recipe_hash: HashBytes(approval.recipe_hash.0),
                    name: text("name", name)?,
                    reason: text("reason", &approval.reason)?,
                }
                .to_cell()?,
            ),
            Self::Deprecate { kind, id, sunset, reason } => {
                let (kind, id, reason) = (kind.code(), HashBytes(id.0), text("reason", reason)?);
                registry(DeprecateEntry { query_id: 0, kind, id, sunset: *sunset, reason }.to_cell()?)
            }
            Self::Revoke { kind, id, reason } => {
                let (kind, id, reason) = (kind.code(), HashBytes(id.0), text("reason", reason)?);
                registry(RevokeEntry { query_id: 0, kind, id, reason }.to_cell()?)
            }
            Self::Remove { kind, id } => {
                registry(RemoveEntry { query_id: 0, kind: kind.code(), id: HashBytes(id.0) }.to_cell()?)
            }
            Self::Root { root, allowed } => {
                registry(SetRoot { query_id: 0, root: HashBytes(root.0), allowed: *allowed }.to_cell()?)
            }
            Self::MinTcb { number } => registry(SetMinTcbEvaluation { query_id: 0, number: *number }.to_cell()?),
            Self::Ban { platform, banned } => {
                registry(SetPlatformBan { query_id: 0, platform: HashBytes(platform.0), banned: *banned }.to_cell()?)
            }
            Self::Params(params) => registry(SetRegistryParams { query_id: 0, params: params.clone() }.to_cell()?),
            Self::Codes { codes, former_until } => {
                registry(SetCodeHashes { query_id: 0, codes: codes.clone(), former_until: *former_until }.to_cell()?)
            }
            Self::Lift { kind, id, reason } => {
                let (kind, id, reason) = (kind.code(), HashBytes(id.0), text("reason", reason)?);
                registry(LiftSuspension { query_id: 0, kind, id, reason }.to_cell()?)
            }
            Self::Council { threshold, members } => {
                let count = members.len();
                if count > MAX_COUNCIL || usize::from(*threshold) > count || (*threshold == 0) != (count == 0) {
                    let why = format!("{threshold} of {count}: 1 to all of up to {MAX_COUNCIL} members, or no council");
                    return Err(ActionError::invalid("council", why));
                }
                let members = members.iter().map(|key| (HashBytes(*key.as_bytes()), true)).collect();
                registry(SetCouncil { query_id: 0, threshold: *threshold, members }.to_cell()?)
            }
            Self::Rebuilder { key, allowed } => {
                let key = HashBytes(*key.as_bytes());
                registry(SetRebuilder { query_id: 0, key, allowed: *allowed }.to_cell()?)
            }
            Self::RebuildThreshold { threshold } => {
                registry(SetRebuildThreshold { query_id: 0, threshold: *threshold }.to_cell()?)
            }
            Self::Successor { successor } => {
                registry(SetSuccessor { query_id: 0, successor: successor.clone() }.to_cell()?)
            }
            Self::Registry { registry } => {
                let body = SetRegistry { query_id: 0, registry: registry.clone() }.to_cell()?;
                (roots.governor.clone(), Nano::ZERO, ACTION_GAS, body)
            }
            Self::Governor { governor } => registry(SetGovernor { query_id: 0, governor: governor.clone() }.to_cell()?),
            Self::Evict { owner } => registry(EvictProxy { query_id: 0, owner: owner.clone() }.to_cell()?),
            Self::Rules(params) => {
                let body = SetGovernorParams { query_id: 0, params: params.clone() }.to_cell()?;
                (roots.governor.clone(), Nano::ZERO, ACTION_GAS, body)
            }
            Self::Transfer { to, amount, comment } => {
                if amount.is_zero() {
                    return Err(ActionError::invalid("amount", "a transfer of nothing"));
                }
                let body = comment.as_deref().map(crate::text::comment).transpose()?.unwrap_or_default();
                (to.clone(), *amount, ACTION_GAS, body)
            }
            Self::Raw { to, value, gas, body } => (to.clone(), *value, *gas, body.clone()),
        };
        Ok(Action { to, value: value.into(), gas: gas.into(), body, next: None })
    }
}

fn text(what: &'static str, text: &str) -> Result<String, ActionError> {
    if text.is_empty() || text.len() > MAX_TEXT {
        let why = format!("it has {} bytes; the registry takes 1 to {MAX_TEXT}", text.len());
        return Err(ActionError::invalid(what, why));
    }
    Ok(text.to_owned())
}
