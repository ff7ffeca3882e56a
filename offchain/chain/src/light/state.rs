//! What is read of a state of which only a part is there. As for blocks, no more is read than is needed.

use cocoon_lite::BlockIdExt;
use tycho_types::cell::{Cell, CellSlice, HashBytes, Load};
use tycho_types::dict::{AugDict, Dict};
use tycho_types::error::Error;
use tycho_types::models::{
    BlockchainConfigParams, CurrencyCollection, DepthBalanceInfo, KeyBlockRef, KeyMaxLt, ShardIdent,
};

use super::error::ProofError;
use super::header::config;

/// A state, as far as it is needed.
pub(super) struct State {
    pub global_id: i32,
    pub shard: ShardIdent,
    accounts: Cell,
    rest: Cell,
    custom: Option<Cell>,
}

/// What the masterchain's state has besides.
pub(super) struct Master {
    pub shards: Dict<i32, Cell>,
    pub config: BlockchainConfigParams,
    history: Cell,
}

/// An account in a state. Its own cells need not be there.
pub(super) struct Entry {
    pub hash: HashBytes,
    pub last_trans_hash: HashBytes,
    pub last_trans_lt: u64,
}

/// A public library in a state. Its own cells need not be there.
pub(super) struct Library {
    pub hash: HashBytes,
}

impl<'a> Load<'a> for Library {
    fn load_from(slice: &mut CellSlice<'a>) -> Result<Self, Error> {
        if slice.load_small_uint(2)? != 0 {
            return Err(Error::InvalidTag);
        }
        let hash = *slice.load_reference()?.hash(0);
        // Who publishes it.
        let _publishers = slice.load_remaining();
        Ok(Self { hash })
    }
}

impl<'a> Load<'a> for Entry {
    fn load_from(slice: &mut CellSlice<'a>) -> Result<Self, Error> {
        Ok(Self {
            hash: *slice.load_reference()?.hash(0),
            last_trans_hash: slice.load_u256()?,
            last_trans_lt: slice.load_u64()?,
        })
    }
}

impl State {
    /// Reads a state.
    pub fn read(what: &'static str, root: &Cell) -> Result<Self, ProofError> {
        let read = || -> Result<Self, Error> {
            let mut slice = root.as_slice()?;
            if slice.load_u32()? != 0x9023_afe2 {
                return Err(Error::InvalidTag);
            }
            let global_id = slice.load_u32()?.cast_signed();
            let shard = ShardIdent::load_from(&mut slice)?;
            // Two numbers, two times, the masterchain block that it needs; and the queue of messages.
            slice.skip_first(32 + 32 + 32 + 64 + 32, 1)?;
            let _before_split = slice.load_bit()?;
            let (accounts, rest) = (slice.load_reference_cloned()?, slice.load_reference_cloned()?);
            let custom = if slice.load_bit()? { Some(slice.load_reference_cloned()?) } else { None };
            Ok(Self { global_id, shard, accounts, rest, custom })
        };
        read().map_err(|e| match e {
            Error::InvalidTag => ProofError::unsupported(what, "a state of another format"),
            other => ProofError::unreadable(what, other),
        })
    }

    /// What there is of an account; none if there is none.
    pub fn account(&self, address: &HashBytes) -> Result<Option<Entry>, Error> {
        let accounts: AugDict<HashBytes, DepthBalanceInfo, Entry> = self.accounts.parse()?;
        Ok(accounts.get(address)?.map(|(_, entry)| entry))
    }

    /// The public libraries.
    pub fn libraries(&self) -> Result<Dict<HashBytes, Library>, Error> {
        let mut slice = self.rest.as_slice()?;
        // How full the last blocks were.
        slice.skip_first(64 + 64, 0)?;
        let (_balance, _fees) =
            (CurrencyCollection::load_from(&mut slice)?, CurrencyCollection::load_from(&mut slice)?);
        Dict::load_from(&mut slice)
    }

    /// What only the masterchain's state has.
    pub fn master(&self, what: &'static str) -> Result<Master, ProofError> {
        let custom =
            self.custom.as_ref().ok_or_else(|| ProofError::wrong(what, "it is no state of the masterchain"))?;
        let read = || -> Result<Master, Error> {
            let mut slice = custom.as_slice()?;
            if slice.load_u16()? != 0xcc26 {
                return Err(Error::InvalidTag);
            }
            let shards = Dict::load_from(&mut slice)?;
            let config = config(&mut slice)?;
            Ok(Master { shards, config, history: slice.load_reference_cloned()? })
        };
        read().map_err(|e| ProofError::unreadable(what, e))
    }
}

impl Master {
    /// An older block of the masterchain.
    pub fn previous(&self, seqno: u32) -> Result<Option<KeyBlockRef>, Error> {
        let mut slice = self.history.as_slice()?;
        // Flags, and who made the block.
        slice.skip_first(16 + 32 + 32 + 1, 0)?;
        let blocks = AugDict::<u32, KeyMaxLt, KeyBlockRef>::load_from(&mut slice)?;
        Ok(blocks.get(seqno)?.map(|(_, block)| block))
    }

    /// The newest block of the shard with this account; none if there is no such workchain.
    pub fn shard_of(&self, workchain: i32, account: &HashBytes) -> Result<Option<BlockIdExt>, Error> {
        shard_of(&self.shards, workchain, account)
    }
}

/// The newest block of the shard with this account.
pub(super) fn shard_of(
    shards: &Dict<i32, Cell>,
    workchain: i32,
    account: &HashBytes,
) -> Result<Option<BlockIdExt>, Error> {
    let Some(mut cell) = shards.get(workchain)? else { return Ok(None) };
    let mut prefix = 1u64 << 63;
    let mut address = Bits::new(account);
    loop {
        let mut slice = cell.as_slice()?;
        if !slice.load_bit()? {
            return shard(workchain, prefix, slice).map(Some);
        }
        // The lowest set bit marks where a shard's prefix ends.
        let mark = prefix & prefix.wrapping_neg();
        if mark <= 1 {
            return Err(Error::InvalidData);
        }
        let right = address.next();
        prefix = (prefix ^ mark) | mark >> 1 | if right { mark } else { 0 };
        cell = slice.get_reference_cloned(u8::from(right))?;
    }
}

/// The bits of an address, from the first.
struct Bits<'a>(&'a HashBytes, usize);

impl<'a> Bits<'a> {
    const fn new(bytes: &'a HashBytes) -> Self {
        Self(bytes, 0)
    }

    fn next(&mut self) -> bool {
        let byte = self.0.0.get(self.1 / 8).copied().unwrap_or(0);
        let bit = byte >> (7 - self.1 % 8) & 1 == 1;
        self.1 += 1;
        bit
    }
}

fn shard(workchain: i32, shard: u64, mut slice: CellSlice<'_>) -> Result<BlockIdExt, Error> {
    if !matches!(slice.load_small_uint(4)?, 0xa | 0xb) {
        return Err(Error::InvalidTag);
    }
    let seqno = slice.load_u32()?;
    // The masterchain block that registered it, and its logical times.
    slice.skip_first(32 + 64 + 64, 0)?;
    Ok(BlockIdExt { workchain, shard, seqno, root_hash: slice.load_u256()?, file_hash: slice.load_u256()? })
}
