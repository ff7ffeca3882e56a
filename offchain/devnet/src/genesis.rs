//! What the network begins with: mainnet's prices and limits under a network id of its own, and one account with all of
//! the money.

use std::num::NonZeroU16;

use cocoon_chain::{NetworkConfig, Wallet, WalletError, WalletVersion};
use cocoon_protocol::{GlobalId, Nano, NodeKey, StdAddr, UnixSeconds};
use sha2::{Digest, Sha256};
use tycho_types::boc::Boc;
use tycho_types::cell::{HashBytes, Lazy};
use tycho_types::error::Error;
use tycho_types::models::{
    Account, AccountState, BlockCreationRewards, BlockchainConfig, BlockchainConfigParams, ConfigParam0, ConfigParam34,
    CurrencyCollection, DepthBalanceInfo, GlobalVersion, OptionalAccount, ShardAccount, ShardAccounts, StorageInfo,
    StorageUsed,
};
use tycho_types::num::Tokens;

use crate::blocks::validator::{self, Validators};
use crate::blocks::{Genesis, Pair, Sealed};
use crate::error::DevnetError;
use crate::ledger::LedgerState;

/// The configuration: the dictionary of parameters. Made by `scripts/build-devnet-config`.
pub const CONFIG: &[u8] = include_bytes!("../config/devnet.boc");

/// All the money there is; it begins at the giver.
pub const SUPPLY: Nano = Nano::from_ton(1_000_000_000);

/// The built-in configuration.
pub fn config() -> Result<NetworkConfig, DevnetError> {
    Ok(NetworkConfig::from_boc(CONFIG)?)
}

/// Capabilities whose formats the blocks of this network do not use: metadata in envelopes, and deferred messages.
const UNUSED_CAPABILITIES: u64 = 0x80 | 0x100;

/// The configuration of a network that begins with this state of the basechain: the built-in one with the network's id and
/// first validators in it, and without a reward for blocks, because all the money that there is exists from the beginning.
pub fn network_config(
    network: GlobalId,
    validators: NonZeroU16,
    basechain: &Sealed,
) -> Result<BlockchainConfig, Error> {
    let mut params = BlockchainConfigParams::from_raw(Boc::decode(CONFIG).map_err(|_| Error::InvalidData)?);
    params.set_global_id(network.0)?;
    let version = params.get_global_version()?;
    let used = u64::from(version.capabilities) & !UNUSED_CAPABILITIES;
    params.set_global_version(&GlobalVersion { capabilities: used.into(), ..version })?;
    params.set_block_creation_rewards(&BlockCreationRewards {
        masterchain_block_fee: Tokens::ZERO,
        basechain_block_fee: Tokens::ZERO,
    })?;
    let mut workchains = params.get_workchains()?;
    let mut description = workchains.get(0)?.ok_or(Error::InvalidData)?;
    (description.zerostate_root_hash, description.zerostate_file_hash) =
        (basechain.id.root_hash, basechain.id.file_hash);
    workchains.set(0, description)?;
    params.set_workchains(&workchains)?;
    params.set::<ConfigParam34>(&validator::elected(validators, UnixSeconds(0)))?;
    let address = params.get::<ConfigParam0>()?.ok_or(Error::InvalidData)?;
    Ok(BlockchainConfig { address, params })
}

/// The first states of both chains: the giver's account, and nothing else.
pub fn zerostates(network: GlobalId, validators: NonZeroU16, state: &LedgerState) -> Result<Pair, Error> {
    let mut accounts = ShardAccounts::new();
    for (address, entry) in &state.accounts {
        let balance = entry.load_account()?.map(|account| account.balance).unwrap_or_default();
        accounts.set(address.address, DepthBalanceInfo { split_depth: 0, balance }, entry)?;
    }
    let genesis = Genesis { global_id: network.0, utime: state.head.utime, accounts };
    let base = genesis.base()?;
    let config = network_config(network, validators, &base)?;
    let validators = Validators::new(&config.params, 0)?;
    let master = genesis.master(&base, config, &validators)?;
    Ok(Pair { base, master })
}

/// The wallet that the faucet pays from. Its key is no secret: there is nothing of value on a devnet.
pub fn giver(network: GlobalId) -> Result<Wallet, WalletError> {
    let seed: [u8; 32] = Sha256::digest(b"cocoon devnet giver").into();
    Wallet::new(NodeKey::from_seed(&seed), WalletVersion::V5R1, network)
}

/// Two accounts that nobody has a key of, and that have nothing. They are neighbours in the dictionary of accounts, so that
/// whatever a block changes, it leaves the two edges to them; so the update that it carries always refers to some part of the
/// state before it. Some parsers cannot read an update that does not, and no real network has one.
pub fn bystanders(now: UnixSeconds) -> Result<[(StdAddr, ShardAccount); 2], Error> {
    let mut hash: [u8; 32] = Sha256::digest(b"cocoon devnet bystander").into();
    let mut next = || {
        if let Some(last) = hash.last_mut() {
            *last ^= 1;
        }
        let address = StdAddr::new(0, HashBytes(hash));
        let entry = empty_account(&address, now, 0)?;
        Ok((address, entry))
    };
    Ok([next()?, next()?])
}

/// The giver's account before its first transaction: money, and no code yet.
pub fn giver_account(giver: &Wallet, now: UnixSeconds) -> Result<ShardAccount, Error> {
    empty_account(giver.address(), now, u128::from(SUPPLY.get()))
}

/// An account with money and nothing else.
fn empty_account(address: &StdAddr, now: UnixSeconds, balance: u128) -> Result<ShardAccount, Error> {
    let account = Account {
        address: address.clone().into(),
        storage_stat: StorageInfo { used: StorageUsed::ZERO, last_paid: now.0, ..Default::default() },
        last_trans_lt: 0,
        balance: CurrencyCollection::new(balance),
        state: AccountState::Uninit,
    };
    Ok(ShardAccount {
        account: Lazy::new(&OptionalAccount(Some(account)))?,
        last_trans_hash: HashBytes::ZERO,
        last_trans_lt: 0,
    })
}
