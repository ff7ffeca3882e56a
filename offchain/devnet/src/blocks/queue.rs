//! Messages between transactions: envelopes, the queue of a shard, and what the shard has processed.

use tycho_types::cell::{
    Cell, CellBuilder, CellContext, CellDataBuilder, CellFamily, CellSlice, HashBytes, Lazy, Load, Store,
};
use tycho_types::dict::{AugDict, AugDictExtra, Dict, DictKey, LoadDictKey, StoreDictKey};
use tycho_types::error::Error;
use tycho_types::models::{
    EnqueuedMsg, IntAddr, IntMsgInfo, IntermediateAddr, IntermediateAddrRegular, MsgEnvelope, MsgInfo, OwnedMessage,
    ShardIdent, StdAddr,
};
use tycho_types::num::Tokens;

use crate::block::{QueueKey, Workchain};

/// An internal message with what is needed to route it.
#[derive(Clone, Debug)]
pub(crate) struct Routed {
    /// The message.
    pub message: Lazy<OwnedMessage>,
    /// Its envelope, as every block writes it.
    pub envelope: Lazy<MsgEnvelope>,
    /// What the sender paid for its way, and nobody has collected yet.
    pub fwd_fee: Tokens,
    /// Its header.
    pub info: IntMsgInfo,
    /// Its receiver.
    pub dst: StdAddr,
}

impl Routed {
    /// Reads a message; none if it is not internal.
    pub fn new(message: &Cell) -> Result<Option<Self>, Error> {
        let MsgInfo::Int(info) = MsgInfo::load_from(&mut message.as_slice()?)? else { return Ok(None) };
        let (IntAddr::Std(src), IntAddr::Std(dst)) = (&info.src, &info.dst) else { return Err(Error::InvalidTag) };
        // Within a shard the message is at its destination at once; between a shard and the masterchain it is one hop
        // away.
        let whole_way = |bits| {
            let address = IntermediateAddrRegular::with_dest_bits(bits).ok_or(Error::IntOverflow)?;
            Ok::<_, Error>(IntermediateAddr::Regular(address))
        };
        let passed = if src.workchain == dst.workchain { IntermediateAddrRegular::FULL_BITS } else { 0 };
        let lazy = Lazy::from_raw(message.clone())?;
        let envelope = Lazy::new(&MsgEnvelope {
            cur_addr: whole_way(passed)?,
            next_addr: whole_way(IntermediateAddrRegular::FULL_BITS)?,
            fwd_fee_remaining: info.fwd_fee,
            message: lazy.clone(),
        })?;
        let (fwd_fee, dst) = (info.fwd_fee, dst.clone());
        Ok(Some(Self { message: lazy, envelope, fwd_fee, info, dst }))
    }

    /// Where the ledger has it.
    pub fn place(&self) -> QueueKey {
        QueueKey { to: Workchain::of(&self.dst), lt: self.info.created_lt, hash: *self.message.repr_hash() }
    }

    /// Where the queue of its sender's shard has it.
    pub fn queue_key(&self) -> OutQueueKey {
        let mut prefix = [0; 8];
        prefix.copy_from_slice(&self.dst.address.0[..8]);
        let (workchain, prefix) = (i32::from(self.dst.workchain), u64::from_be_bytes(prefix));
        OutQueueKey { workchain, prefix, hash: *self.message.repr_hash() }
    }
}

/// Place of a message in a queue: where it goes next, and its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct OutQueueKey {
    pub workchain: i32,
    pub prefix: u64,
    pub hash: HashBytes,
}

impl DictKey for OutQueueKey {
    const BITS: u16 = 352;
}

impl StoreDictKey for OutQueueKey {
    fn store_into_data(&self, data: &mut CellDataBuilder) -> Result<(), Error> {
        data.store_u32(self.workchain.cast_unsigned())?;
        data.store_u64(self.prefix)?;
        data.store_u256(&self.hash)
    }
}

impl LoadDictKey for OutQueueKey {
    fn load_from_data(data: &CellDataBuilder) -> Option<Self> {
        let (workchain, rest) = data.raw_data().split_first_chunk()?;
        let (prefix, rest) = rest.split_first_chunk()?;
        let (hash, _) = rest.split_first_chunk()?;
        let (workchain, prefix) = (i32::from_be_bytes(*workchain), u64::from_be_bytes(*prefix));
        Some(Self { workchain, prefix, hash: HashBytes(*hash) })
    }
}

/// The smallest logical time of the messages in a part of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct MinLt(pub u64);

impl Store for MinLt {
    fn store_into(&self, builder: &mut CellBuilder, _: &dyn CellContext) -> Result<(), Error> {
        builder.store_u64(self.0)
    }
}

impl<'a> Load<'a> for MinLt {
    fn load_from(slice: &mut CellSlice<'a>) -> Result<Self, Error> {
        slice.load_u64().map(Self)
    }
}

impl AugDictExtra for MinLt {
    fn comp_add(
        left: &mut CellSlice<'_>,
        right: &mut CellSlice<'_>,
        builder: &mut CellBuilder,
        _: &dyn CellContext,
    ) -> Result<(), Error> {
        builder.store_u64(left.load_u64()?.min(right.load_u64()?))
    }
}

/// Messages that a shard sent and no receiver has taken yet, as far as the shard knows.
pub(crate) type OutQueue = AugDict<OutQueueKey, MinLt, EnqueuedMsg>;

/// Which messages a shard has processed: all up to this logical time and hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Processed {
    /// The masterchain block in whose view that holds.
    pub mc_seqno: u32,
    /// Logical time of the last message.
    pub lt: u64,
    /// Hash of the last message.
    pub hash: HashBytes,
}

/// Shard prefix and number of a masterchain block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct ProcessedKey(u64, u32);

impl DictKey for ProcessedKey {
    const BITS: u16 = 96;
}

impl StoreDictKey for ProcessedKey {
    fn store_into_data(&self, data: &mut CellDataBuilder) -> Result<(), Error> {
        data.store_u64(self.0)?;
        data.store_u32(self.1)
    }
}

impl LoadDictKey for ProcessedKey {
    fn load_from_data(data: &CellDataBuilder) -> Option<Self> {
        let (shard, rest) = data.raw_data().split_first_chunk()?;
        let (seqno, _) = rest.split_first_chunk()?;
        Some(Self(u64::from_be_bytes(*shard), u32::from_be_bytes(*seqno)))
    }
}

/// The queue of a shard as its state keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueInfo {
    /// The messages.
    pub queue: OutQueue,
    /// Their number.
    pub size: u64,
    /// What was processed; none before the first message.
    pub processed: Option<Processed>,
}

/// `out_msg_queue_extra#0`.
const EXTRA_TAG: u8 = 0;

impl Store for QueueInfo {
    fn store_into(&self, builder: &mut CellBuilder, context: &dyn CellContext) -> Result<(), Error> {
        self.queue.store_into(builder, context)?;
        let mut processed = Dict::<ProcessedKey, (u64, HashBytes)>::new();
        if let Some(upto) = &self.processed {
            processed.set(ProcessedKey(ShardIdent::PREFIX_FULL, upto.mc_seqno), (upto.lt, upto.hash))?;
        }
        processed.store_into(builder, context)?;
        // No message is ever deferred, so that the dispatch queue (an augmented dictionary) is empty.
        builder.store_bit_one()?;
        builder.store_small_uint(EXTRA_TAG, 4)?;
        builder.store_bit_zero()?;
        builder.store_u64(0)?;
        builder.store_bit_one()?;
        builder.store_uint(self.size, 48)
    }
}

impl<'a> Load<'a> for QueueInfo {
    fn load_from(slice: &mut CellSlice<'a>) -> Result<Self, Error> {
        let queue = OutQueue::load_from(slice)?;
        let processed = Dict::<ProcessedKey, (u64, HashBytes)>::load_from(slice)?;
        let processed = match processed.iter().next() {
            Some(entry) => {
                let (key, (lt, hash)) = entry?;
                Some(Processed { mc_seqno: key.1, lt, hash })
            }
            None => None,
        };
        let with_extra = slice.load_bit()? && slice.load_small_uint(4)? == EXTRA_TAG;
        let no_dispatch = with_extra && !slice.load_bit()? && slice.load_u64()? == 0;
        if !no_dispatch || !slice.load_bit()? {
            return Err(Error::InvalidTag);
        }
        Ok(Self { queue, size: slice.load_uint(48)?, processed })
    }
}

impl QueueInfo {
    /// As the state has it.
    pub fn to_cell(&self) -> Result<Cell, Error> {
        CellBuilder::build_from_ext(self, Cell::empty_context())
    }
}
