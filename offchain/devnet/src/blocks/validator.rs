//! The network's only validator.

use std::num::NonZeroU16;

use cocoon_protocol::NodeKey;
use sha2::{Digest, Sha256};
use tycho_types::cell::HashBytes;
use tycho_types::error::Error;
use tycho_types::models::{
    Block, BlockId, BlockchainConfig, CatchainConfig, ConfigParam28, ConfigParam34, ShardIdent, ValidatorDescription,
    ValidatorInfo, ValidatorSet,
};

/// Its weight; there is no other.
const WEIGHT: u64 = 1 << 16;

/// When its term ends: not while anybody travels in time.
const UNTIL: u32 = u32::MAX - 1;

/// `pub.ed25519`, as TL names the kind of a key.
const PUB_ED25519: [u8; 4] = [0xc6, 0xb4, 0x13, 0x48];

/// Signs blocks. Its key is no secret: there is nothing of value on a devnet.
pub struct Validator {
    key: NodeKey,
    hash_short: u32,
}

impl Validator {
    /// The validator, under a configuration that has its set.
    pub fn new(config: &BlockchainConfig) -> Result<Self, Error> {
        let set = config.params.get::<ConfigParam34>()?.ok_or(Error::InvalidData)?;
        let catchain = config.params.get::<ConfigParam28>()?.ok_or(Error::InvalidData)?;
        let (_, hash_short) = subset(&set, &catchain).ok_or(Error::InvalidData)?;
        Ok(Self { key: key(), hash_short })
    }

    /// The set of validators: this one.
    pub fn set() -> ValidatorSet {
        ValidatorSet {
            utime_since: 0,
            utime_until: UNTIL,
            main: NonZeroU16::MIN,
            total_weight: WEIGHT,
            list: vec![ValidatorDescription {
                public_key: HashBytes(*key().public().as_bytes()),
                weight: WEIGHT,
                adnl_addr: None,
                mc_seqno_since: 0,
                prev_total_weight: 0,
            }],
        }
    }

    /// The public key.
    pub fn public_key(&self) -> HashBytes {
        HashBytes(*self.key.public().as_bytes())
    }

    /// The key's short name, as signatures carry it.
    pub fn node_id(&self) -> HashBytes {
        let key = self.public_key();
        HashBytes(Sha256::new().chain_update(PUB_ED25519).chain_update(key.0).finalize().into())
    }

    /// The set's short hash, as block headers carry it.
    pub const fn hash_short(&self) -> u32 {
        self.hash_short
    }

    /// The signature under a masterchain block.
    pub fn sign(&self, block: &BlockId) -> [u8; 64] {
        self.key.sign_bytes(&Block::build_data_for_sign(block)).0
    }

    pub(super) const fn info(&self) -> ValidatorInfo {
        ValidatorInfo { validator_list_hash_short: self.hash_short, catchain_seqno: 0, nx_cc_updated: false }
    }
}

fn key() -> NodeKey {
    NodeKey::from_seed(&Sha256::digest(b"cocoon devnet validator").into())
}

fn subset(set: &ValidatorSet, catchain: &CatchainConfig) -> Option<(Vec<ValidatorDescription>, u32)> {
    set.compute_subset(ShardIdent::MASTERCHAIN, catchain, 0)
}
