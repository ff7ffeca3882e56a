//! Who makes and signs blocks.
//!
//! All keys follow from the set that they are in, so that whoever has a key block can sign what comes after it. They are no
//! secret: there is nothing of value on a devnet.

use std::collections::HashMap;
use std::num::NonZeroU16;

use cocoon_lite::types::{Signature, SignatureSetOrdinary};
use cocoon_protocol::{NodeKey, UnixSeconds};
use sha2::{Digest, Sha256};
use tycho_types::cell::HashBytes;
use tycho_types::error::Error;
use tycho_types::models::{
    Block, BlockId, BlockchainConfigParams, CatchainConfig, ConfigParam28, ConfigParam32, ConfigParam34, ConfigParam36,
    ShardIdent, ValidatorDescription, ValidatorInfo, ValidatorSet,
};

/// Weight of a validator; some have twice or three times as much.
const WEIGHT: u64 = 1 << 16;

/// When a term ends: not while anybody travels in time.
const UNTIL: u32 = u32::MAX - 1;

/// `pub.ed25519`, as TL names the kind of a key.
const PUB_ED25519: [u8; 4] = [0xc6, 0xb4, 0x13, 0x48];

/// A set may have so many; mainnet has about 400, of whom 100 are of the masterchain.
pub const MAX_VALIDATORS: u16 = 100;

/// One session of validators: those of the masterchain, and those of the basechain's shard.
pub struct Validators {
    catchain_seqno: u32,
    master: Subset,
    base: Subset,
    keys: HashMap<HashBytes, NodeKey>,
}

struct Subset {
    members: Vec<ValidatorDescription>,
    hash_short: u32,
}

impl Subset {
    fn new(set: &ValidatorSet, catchain: &CatchainConfig, shard: ShardIdent, seqno: u32) -> Result<Self, Error> {
        let (members, hash_short) = set.compute_subset(shard, catchain, seqno).ok_or(Error::InvalidData)?;
        Ok(Self { members, hash_short })
    }

    /// Whose turn it is.
    fn creator(&self, seqno: u32) -> HashBytes {
        let count = self.members.len().max(1);
        self.members.get(seqno as usize % count).map_or(HashBytes::ZERO, |member| member.public_key)
    }
}

impl Validators {
    /// The session with this number, under a configuration that has the set.
    pub fn new(config: &BlockchainConfigParams, catchain_seqno: u32) -> Result<Self, Error> {
        let set = config.get::<ConfigParam34>()?.ok_or(Error::InvalidData)?;
        let catchain = config.get::<ConfigParam28>()?.ok_or(Error::InvalidData)?;
        let subset = |shard| Subset::new(&set, &catchain, shard, catchain_seqno);
        let keys = set.list.iter().zip(0..).map(|(member, index)| (member.public_key, key(set.utime_since, index)));
        Ok(Self {
            catchain_seqno,
            master: subset(ShardIdent::MASTERCHAIN)?,
            base: subset(ShardIdent::BASECHAIN)?,
            keys: keys.collect(),
        })
    }

    /// Number of the session.
    pub const fn catchain_seqno(&self) -> u32 {
        self.catchain_seqno
    }

    /// Short hash of a chain's validators, as block headers carry it.
    pub const fn hash_short(&self, is_masterchain: bool) -> u32 {
        self.of(is_masterchain).hash_short
    }

    /// The public key of whoever makes a block.
    pub fn creator(&self, is_masterchain: bool, seqno: u32) -> HashBytes {
        self.of(is_masterchain).creator(seqno)
    }

    const fn of(&self, is_masterchain: bool) -> &Subset {
        if is_masterchain { &self.master } else { &self.base }
    }

    /// The signatures under a masterchain block. As on a real network, not all sign: they stop when more than two thirds of
    /// the weight have.
    pub fn sign(&self, block: &BlockId) -> Result<SignatureSetOrdinary, Error> {
        let data = Block::build_data_for_sign(block);
        let total: u64 = self.master.members.iter().map(|member| member.weight).sum();
        let (mut signatures, mut weight) = (vec![], 0);
        for member in &self.master.members {
            if u128::from(weight) * 3 > u128::from(total) * 2 {
                break;
            }
            let key = self.keys.get(&member.public_key).ok_or(Error::InvalidData)?;
            let signature = key.sign_bytes(&data).0.to_vec();
            signatures.push(Signature { node_id_short: node_id(&member.public_key), signature });
            weight += member.weight;
        }
        Ok(SignatureSetOrdinary {
            validator_set_hash: self.master.hash_short,
            catchain_seqno: self.catchain_seqno,
            signatures,
        })
    }

    /// What the masterchain's state says of the session; `is_new` if the one before ends here.
    pub(super) const fn info(&self, is_new: bool) -> ValidatorInfo {
        ValidatorInfo {
            validator_list_hash_short: self.master.hash_short,
            catchain_seqno: self.catchain_seqno,
            nx_cc_updated: is_new,
        }
    }
}

/// A set of so many validators, who sign from a time on.
pub(crate) fn elected(count: NonZeroU16, since: UnixSeconds) -> ValidatorSet {
    let mut total_weight = 0;
    let list = (0..count.get()).map(|index| {
        // Some weigh more than others.
        let weight = WEIGHT * (1 + u64::from(index % 3));
        let prev_total_weight = total_weight;
        total_weight += weight;
        let public_key = HashBytes(*key(since.0, index).public().as_bytes());
        // Real ones have an address in another network; nobody lives at this one.
        let adnl_addr = (since.0 > 0).then(|| node_id(&public_key));
        ValidatorDescription { public_key, weight, adnl_addr, mc_seqno_since: 0, prev_total_weight }
    });
    let list = list.collect();
    ValidatorSet { utime_since: since.0, utime_until: UNTIL, main: count, total_weight, list }
}

/// Makes the next set the current one when its time has come, and the current one the last: what validators do on a real
/// network. Says whether it did.
pub(crate) fn rotate(config: &mut BlockchainConfigParams, now: UnixSeconds) -> Result<bool, Error> {
    let Some(next) = config.get::<ConfigParam36>()? else { return Ok(false) };
    if next.utime_since > now.0 {
        return Ok(false);
    }
    let current = config.get::<ConfigParam34>()?.ok_or(Error::InvalidData)?;
    config.set::<ConfigParam32>(&current)?;
    config.set::<ConfigParam34>(&next)?;
    config.remove(36)?;
    Ok(true)
}

/// The key's short name, as signatures carry it.
fn node_id(key: &HashBytes) -> HashBytes {
    HashBytes(Sha256::new().chain_update(PUB_ED25519).chain_update(key.0).finalize().into())
}

fn key(since: u32, index: u16) -> NodeKey {
    let mut name = Sha256::new().chain_update(b"cocoon devnet validator");
    // The first of all has no number.
    if (since, index) != (0, 0) {
        name = name.chain_update(since.to_be_bytes()).chain_update(index.to_be_bytes());
    }
    NodeKey::from_seed(&name.finalize().into())
}
