//! What the network begins with: mainnet's prices and limits under a network id of its own, and one account with all of
//! the money.

use cocoon_chain::{NetworkConfig, Wallet, WalletError, WalletVersion};
use cocoon_protocol::{GlobalId, Nano, NodeKey, UnixSeconds};
use sha2::{Digest, Sha256};
use tycho_types::cell::{HashBytes, Lazy};
use tycho_types::error::Error;
use tycho_types::models::{
    Account, AccountState, CurrencyCollection, OptionalAccount, ShardAccount, StorageInfo, StorageUsed,
};

use crate::error::DevnetError;

/// The configuration: the dictionary of parameters. Made by `scripts/build-devnet-config`.
pub const CONFIG: &[u8] = include_bytes!("../config/devnet.boc");

/// All the money there is; it begins at the giver.
pub const SUPPLY: Nano = Nano::from_ton(1_000_000_000);

/// The built-in configuration.
pub fn config() -> Result<NetworkConfig, DevnetError> {
    Ok(NetworkConfig::from_boc(CONFIG)?)
}

/// The wallet that the faucet pays from. Its key is no secret: there is nothing of value on a devnet.
pub fn giver(network: GlobalId) -> Result<Wallet, WalletError> {
    let seed: [u8; 32] = Sha256::digest(b"cocoon devnet giver").into();
    Wallet::new(NodeKey::from_seed(&seed), WalletVersion::V5R1, network)
}

/// The giver's account before its first transaction: money, and no code yet.
pub fn giver_account(giver: &Wallet, now: UnixSeconds) -> Result<ShardAccount, Error> {
    let account = Account {
        address: giver.address().clone().into(),
        storage_stat: StorageInfo { used: StorageUsed::ZERO, last_paid: now.0, ..Default::default() },
        last_trans_lt: 0,
        balance: CurrencyCollection::new(u128::from(SUPPLY.get())),
        state: AccountState::Uninit,
    };
    Ok(ShardAccount {
        account: Lazy::new(&OptionalAccount(Some(account)))?,
        last_trans_hash: HashBytes::ZERO,
        last_trans_lt: 0,
    })
}
