//! Stake accounts: who answers for a worker's key.

use std::collections::BTreeMap;

use cocoon_chain::{AccountStatus, Cell, Chain, StateInit, run_getter};
use cocoon_protocol::{GlobalId, NodePublicKey, StdAddr};
use cocoon_wrappers::generated::stake_account::{self, Data, NodeAuth};
use tycho_types::cell::HashBytes;

use crate::registry::RegistryView;
use crate::{ChannelError, nano};

/// First word of the proof that whoever registers a node holds its key: ASCII `NOD1`.
const NODE_AUTH_TAG: u32 = 0x4e4f_4431;

/// State init and address of an owner's stake account.
pub fn identify(governor: &StdAddr, owner: &StdAddr) -> Result<(StateInit, StdAddr), ChannelError> {
    let data = Data {
        governor: governor.clone(),
        owner: owner.clone(),
        lots: BTreeMap::new(),
        receipts: BTreeMap::new(),
        books: None,
    };
    Ok((stake_account::state_init(&data)?, stake_account::address(0, &data)?))
}

/// What a node's key signs so that the account may answer for it.
pub fn node_proof(network: GlobalId, account: &StdAddr, key: &NodePublicKey) -> Result<Cell, ChannelError> {
    let auth = NodeAuth {
        tag: NODE_AUTH_TAG,
        global_id: network.0,
        account: account.clone(),
        key: HashBytes(*key.as_bytes()),
    };
    Ok(auth.to_cell()?)
}

/// Checks on chain that the owner's stake answers for this key with at least what the registry asks.
pub async fn check_node(
    chain: &dyn Chain,
    registry: &RegistryView,
    owner: &StdAddr,
    key: &NodePublicKey,
) -> Result<(), ChannelError> {
    let (_, address) = identify(&registry.governor, owner)?;
    let refuse = |why: String| Err(ChannelError::Stake { owner: Box::new(owner.clone()), key: *key, why });
    let account = chain.account(&address).await?;
    if account.status != AccountStatus::Active || !account.has_code(&registry.stake_code) {
        return refuse(format!("the stake account {address} does not exist; deposit a stake first"));
    }
    let config = chain.config().await?;
    let nodes = stake_account::decode_nodes(run_getter(&account, &config, &stake_account::get_nodes())?.stack)?;
    let Some(node) = nodes.get(&HashBytes(*key.as_bytes())) else {
        return refuse("the key is not registered with the stake account; register the node".into());
    };
    if node.free_at != 0 {
        return refuse("the key is retired; register a fresh one".into());
    }
    let bond = nano(node.bond)?;
    if bond < registry.min_worker_stake {
        return refuse(format!("its bond is {bond}, and the registry asks for {}", registry.min_worker_stake));
    }
    Ok(())
}
