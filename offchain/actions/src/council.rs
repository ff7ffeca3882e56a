//! The emergency council: members sign, anybody sends.

use std::collections::BTreeMap;

use cocoon_chain::{OutMessage, cell_hash};
use cocoon_protocol::{Hash256, Nano, NodePublicKey, Signature};
use cocoon_wrappers::generated::registry::{self, Life, RegistryState, SuspendEntry, Suspension};
use tycho_types::cell::HashBytes;

use crate::plan::Purpose;
use crate::registry::{EntryStatus, Kind};
use crate::{ActionError, Plan, System};

/// First word of what members sign: ASCII `SSP1`.
const TAG: u32 = 0x5353_5031;
/// Attached for gas.
const GAS: Nano = Nano::new(150_000_000);
/// Longest reason, in bytes.
const MAX_REASON: usize = 127;

/// Which entry is to be suspended, and until when the signatures are good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Image or model.
    pub kind: Kind,
    /// Which one.
    pub id: Hash256,
    /// The signatures are good while block time is less.
    pub valid_until: u32,
}

fn life<'a>(state: &'a RegistryState, order: &Order) -> Result<&'a Life, ActionError> {
    let id = HashBytes(order.id.0);
    let found = match order.kind {
        Kind::Image => state.images.get(&id).map(|entry| &entry.life),
        Kind::Model => state.models.get(&id).map(|entry| &entry.life),
    };
    found.ok_or_else(|| ActionError::invalid("entry", format!("the registry knows no {} {}", order.kind, order.id)))
}

/// What members of the council sign. It names this approval of the entry, so it is worthless for every other (attack 41).
pub async fn to_sign(system: &System, order: &Order) -> Result<Hash256, ActionError> {
    hash(system, &system.registry_state().await?, order)
}

fn hash(system: &System, state: &RegistryState, order: &Order) -> Result<Hash256, ActionError> {
    let suspension = Suspension {
        tag: TAG,
        global_id: system.chain().network().0,
        registry: system.registry().clone(),
        kind: order.kind.code(),
        id: HashBytes(order.id.0),
        scheduled_at: life(state, order)?.scheduled_at,
        valid_until: order.valid_until,
    };
    Ok(cell_hash(&suspension.to_cell()?))
}

/// Suspends an entry with the signatures of enough members.
pub async fn suspend(
    system: &System,
    order: &Order,
    reason: &str,
    signatures: &BTreeMap<NodePublicKey, Signature>,
) -> Result<Plan, ActionError> {
    if reason.is_empty() || reason.len() > MAX_REASON {
        let why = format!("it has {} bytes; the registry takes 1 to {MAX_REASON}", reason.len());
        return Err(ActionError::invalid("reason", why));
    }
    let state = system.registry_state().await?;
    let now = system.chain().head().await?.utime.0;
    let life = life(&state, order)?;
    if life.suspended_until != 0 {
        let why = "it was suspended before in this approval; now it is the DAO's to decide";
        return Err(ActionError::invalid("entry", why));
    }
    let status = EntryStatus::of(life, now);
    if matches!(status, EntryStatus::Revoked | EntryStatus::Retired) {
        return Err(ActionError::invalid("entry", format!("it is {status}, so there is nothing to suspend")));
    }
    if now >= order.valid_until {
        return Err(ActionError::invalid("signatures", "they have expired; sign again with a later --valid-until"));
    }
    let hash = hash(system, &state, order)?;
    for (key, signature) in signatures {
        if !state.council.members.contains_key(&HashBytes(*key.as_bytes())) {
            return Err(ActionError::invalid("signatures", format!("{key} is no member of the council")));
        }
        key.verify(&hash, signature).map_err(|e| {
            ActionError::invalid("signatures", format!("{e}; the entry or the time may be other than what was signed"))
        })?;
    }
    let threshold = usize::from(state.council.threshold);
    if signatures.is_empty() || signatures.len() < threshold {
        let why = format!(
            "{} of {} members have signed, and {threshold} must",
            signatures.len(),
            state.council.members.len()
        );
        return Err(ActionError::invalid("signatures", why));
    }
    let body = SuspendEntry {
        query_id: 0,
        kind: order.kind.code(),
        id: HashBytes(order.id.0),
        valid_until: order.valid_until,
        reason: reason.to_owned(),
        signatures: signatures
            .iter()
            .map(|(k, s)| (HashBytes(*k.as_bytes()), registry::Signature { bytes: s.0 }))
            .collect(),
    };
    let message = OutMessage::new(system.registry().clone(), Nano::ZERO).body(body.to_cell()?);
    let what = format!("suspend {} {} at once, for {} s", order.kind, order.id, state.params.suspension_period);
    Ok(Plan::single(what, message, &[(Purpose::Gas, GAS)]))
}
