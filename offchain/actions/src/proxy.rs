//! Bonded proxies: registered, changed and withdrawn by their owners.

use cocoon_chain::{Cell, OutMessage};
use cocoon_protocol::{GlobalId, Hash256, Nano, NodePublicKey, Signature, StdAddr};
use cocoon_wrappers::generated::registry::{
    ProxyAuth, ProxyEntry, RegisterProxy, RegistryState, UnbondProxy, UpdateProxy, WithdrawProxy,
};
use tycho_types::cell::HashBytes;

use crate::plan::Purpose;
use crate::system::nano;
use crate::{ActionError, Plan, System};

/// First word of a proxy's proof that it holds its node key: ASCII `PRX1`.
const AUTH_TAG: u32 = 0x5052_5831;
/// Attached for gas.
const GAS: Nano = Nano::new(100_000_000);
/// What a proxy leaves in the registry for the storage of its entry.
const STORAGE: Nano = Nano::new(100_000_000);
/// Longest endpoint, in bytes.
const MAX_ENDPOINT: usize = 127;

/// What a proxy's node key signs so that nobody registers somebody else's key.
pub fn proof(network: GlobalId, registry: &StdAddr, owner: &StdAddr, key: &NodePublicKey) -> Result<Cell, ActionError> {
    let key = HashBytes(*key.as_bytes());
    let (registry, owner) = (registry.clone(), owner.clone());
    Ok(ProxyAuth { tag: AUTH_TAG, global_id: network.0, registry, owner, key }.to_cell()?)
}

/// The hash of the proof: what is signed.
pub fn proof_hash(system: &System, owner: &StdAddr, key: &NodePublicKey) -> Result<Hash256, ActionError> {
    Ok(cocoon_chain::cell_hash(&proof(system.chain().network(), system.registry(), owner, key)?))
}

fn check_endpoint(endpoint: &str) -> Result<(), ActionError> {
    if endpoint.is_empty() || endpoint.len() > MAX_ENDPOINT {
        let why = format!("it has {} bytes; 1 to {MAX_ENDPOINT} are possible", endpoint.len());
        return Err(ActionError::invalid("endpoint", why));
    }
    Ok(())
}

fn existing<'a>(state: &'a RegistryState, owner: &StdAddr) -> Result<&'a ProxyEntry, ActionError> {
    state.proxies.get(owner).ok_or_else(|| {
        ActionError::invalid("proxy", format!("the registry knows no proxy of {owner}; register it first"))
    })
}

/// Registers a proxy of the sender with a bond.
pub async fn register(
    system: &System,
    owner: &StdAddr,
    key: &NodePublicKey,
    endpoint: &str,
    bond: Nano,
    signature: &Signature,
) -> Result<Plan, ActionError> {
    check_endpoint(endpoint)?;
    key.verify(&proof_hash(system, owner, key)?, signature)
        .map_err(|e| ActionError::invalid("signature", format!("{e}; the proxy's node key must sign for {owner}")))?;
    let state = system.registry_state().await?;
    if state.proxies.contains_key(owner) {
        return Err(ActionError::invalid("proxy", format!("{owner} has a proxy already; update it")));
    }
    let least = nano(state.params.min_proxy_bond);
    if bond < least {
        return Err(ActionError::invalid("bond", format!("{bond} is below the {least} that the registry asks for")));
    }
    let body = RegisterProxy {
        query_id: 0,
        node_key: HashBytes(*key.as_bytes()),
        bond: bond.into(),
        signature: signature.0,
        endpoint: endpoint.to_owned(),
    };
    let message = OutMessage::new(system.registry().clone(), Nano::ZERO).body(body.to_cell()?);
    let parts = [(Purpose::Bond, bond), (Purpose::Storage, STORAGE), (Purpose::Gas, GAS)];
    Ok(Plan::single(format!("register a proxy at {endpoint} with a bond of {bond}"), message, &parts))
}

/// Tells where the sender's proxy listens now, or adds to its bond. Its key never changes, so that it can be held to what it signed.
pub async fn update(system: &System, owner: &StdAddr, endpoint: &str, add_bond: Nano) -> Result<Plan, ActionError> {
    check_endpoint(endpoint)?;
    let state = system.registry_state().await?;
    if existing(&state, owner)?.unbonding_at != 0 {
        return Err(ActionError::invalid("proxy", "it is leaving; withdraw its bond, and register it again"));
    }
    let body = UpdateProxy { query_id: 0, add_bond: add_bond.into(), endpoint: endpoint.to_owned() };
    let message = OutMessage::new(system.registry().clone(), Nano::ZERO).body(body.to_cell()?);
    let parts = [(Purpose::Bond, add_bond), (Purpose::Gas, GAS)];
    Ok(Plan::single(format!("tell the registry that the proxy listens at {endpoint}"), message, &parts))
}

/// The sender's proxy begins to leave.
pub async fn unbond(system: &System, owner: &StdAddr) -> Result<Plan, ActionError> {
    let state = system.registry_state().await?;
    if existing(&state, owner)?.unbonding_at != 0 {
        return Err(ActionError::invalid("proxy", "it is leaving already"));
    }
    let message = OutMessage::new(system.registry().clone(), Nano::ZERO).body(UnbondProxy { query_id: 0 }.to_cell()?);
    let what =
        format!("take the proxy out of service; its bond can be withdrawn after {} s", state.params.proxy_unbonding);
    Ok(Plan::single(what, message, &[(Purpose::Gas, GAS)]))
}

/// The bond of the sender's former proxy comes back.
pub async fn withdraw(system: &System, owner: &StdAddr) -> Result<Plan, ActionError> {
    let state = system.registry_state().await?;
    let entry = existing(&state, owner)?;
    if entry.unbonding_at == 0 {
        return Err(ActionError::invalid("proxy", "it is in service; unbond it first"));
    }
    let (now, free) =
        (system.chain().head().await?.utime.0, entry.unbonding_at.saturating_add(state.params.proxy_unbonding));
    if now < free {
        return Err(ActionError::invalid("proxy", format!("its bond is locked for another {} s", free - now)));
    }
    let message = OutMessage::new(system.registry().clone(), Nano::ZERO).body(WithdrawProxy { query_id: 0 }.to_cell()?);
    Ok(Plan::single(format!("withdraw the proxy's bond of {}", nano(entry.bond)), message, &[(Purpose::Gas, GAS)]))
}
