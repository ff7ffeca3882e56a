//! Blocks, headers and shards.

use cocoon_lite::{answers, queries, types};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, CellBuilder};
use tycho_types::error::Error;
use tycho_types::models::ShardStateUnsplit;

use super::answer::{Failure, Responder, chain};
use super::proof;
use crate::block::Workchain;
use crate::blocks::queue::QueueInfo;
use crate::view::Known;

/// Bits of the mode of a header: what is proven besides it.
const WITH_EXTRA: u32 = 0x10;
const WITH_SHARDS: u32 = 0x20;

/// How many messages from outside may wait: none do, they are executed at once.
const EXTERNAL_QUEUE: u32 = 8000;

impl Responder<'_> {
    pub fn block_data(&self, query: &queries::GetBlock) -> Result<answers::BlockData, Failure> {
        Ok(answers::BlockData { id: query.id.clone(), data: self.a_block(&query.id)?.boc })
    }

    pub fn block_state(&self, query: &queries::GetState) -> Result<answers::BlockState, Failure> {
        let known = self.find(&query.id)?;
        let state = self.state(&known)?;
        let data = Boc::encode(&state);
        let (root_hash, file_hash) = (*state.repr_hash(), Boc::file_hash(&data));
        Ok(answers::BlockState { id: query.id.clone(), root_hash, file_hash, data })
    }

    pub fn block_header(&self, query: &queries::GetBlockHeader) -> Result<answers::BlockHeader, Failure> {
        let known = self.a_block(&query.id)?;
        header(&known, query.mode)
    }

    pub fn lookup(&self, query: &queries::LookupBlock) -> Result<answers::BlockHeader, Failure> {
        let known = self.looked_up(query.mode, &query.id, query.lt, query.utime)?;
        header(&known, query.mode)
    }

    pub fn lookup_with_proof(
        &self,
        query: &queries::LookupBlockWithProof,
    ) -> Result<answers::LookupBlockResult, Failure> {
        let known = self.looked_up(query.mode, &query.id, query.lt, query.utime)?;
        let client = self.find_master(&query.mc_block_id)?;
        let seqno = known.id.seqno;
        if seqno > client.id.seqno {
            return Err(Failure::NotReady(format!("block {seqno} is newer than the given masterchain block")));
        }
        let is_master = known.id.is_masterchain();
        let master = if is_master { known.clone() } else { self.numbered(Workchain::Master, seqno)? };
        // Why the client should believe the masterchain block: its own one names it.
        let (client_mc_state_proof, mc_block_proof) = if master.id == client.id {
            (vec![], vec![])
        } else {
            let named = proof::master_state(&self.state(&client)?, |extra| {
                extra.prev_blocks.get(seqno)?.map(drop).ok_or(Error::InvalidData)
            })?;
            (bag(&proof::header(&client.root)?), bag(&named))
        };
        let shard_links = if is_master {
            vec![]
        } else {
            vec![types::ShardBlockLink { id: known.id.into(), proof: bag(&shards_of_block(&master.root)?) }]
        };
        // Why it is the block that was asked for, and not a later one: the one before it ended earlier.
        let prev_header = if seqno > 1 && query.mode & 1 == 0 {
            bag(&proof::header(&self.numbered(chain(query.id.workchain, query.id.shard)?, seqno - 1)?.root)?)
        } else {
            vec![]
        };
        Ok(answers::LookupBlockResult {
            id: known.id.into(),
            mode: query.mode,
            mc_block_id: master.id.into(),
            client_mc_state_proof,
            mc_block_proof,
            shard_links,
            header: bag(&proof::header(&known.root)?),
            prev_header,
        })
    }

    fn looked_up(&self, mode: u32, id: &types::BlockId, lt: Option<u64>, utime: Option<u32>) -> Result<Known, Failure> {
        let chain = chain(id.workchain, id.shard)?;
        let found = match (mode & 1 != 0, lt, utime) {
            (true, None, None) => Some(id.seqno),
            // The beginning is no block.
            (false, Some(lt), None) => self.view.first(|record| record.seqno > 0 && record.name(chain).end_lt >= lt)?,
            (false, None, Some(utime)) => self.view.first(|record| record.seqno > 0 && record.utime.0 >= utime)?,
            _ => {
                let why = "a block is looked up by number (mode 1), logical time (2) or time (4)";
                return Err(Failure::Protocol(why.to_owned()));
            }
        };
        let seqno = found.ok_or_else(|| Failure::NotReady("there is no such block yet".to_owned()))?;
        let known = self.numbered(chain, seqno)?;
        if seqno == 0 {
            return Err(Failure::NotReady("block 0 is the zerostate: ask for its state".to_owned()));
        }
        Ok(known)
    }

    pub fn shard_info(&self, query: &queries::GetShardInfo) -> Result<answers::ShardInfo, Failure> {
        let known = self.find_master(&query.id)?;
        if query.workchain != 0 {
            return Err(Failure::NotReady(format!("there is no shard of workchain {}", query.workchain)));
        }
        let custom = master_extra(&self.state(&known)?)?;
        let entry = custom.shards.iter().next().ok_or(Error::InvalidData)??;
        if query.exact && query.shard != entry.0.prefix() {
            return Err(Failure::NotReady(format!("there is no shard {:016x}", query.shard)));
        }
        Ok(answers::ShardInfo {
            id: query.id.clone(),
            shardblk: entry.1.as_block_id(entry.0).into(),
            shard_proof: self.shard_proof(&known)?,
            shard_descr: Boc::encode(CellBuilder::build_from(&entry.1)?),
        })
    }

    pub fn all_shards(&self, query: &queries::GetAllShardsInfo) -> Result<answers::AllShardsInfo, Failure> {
        let known = self.find_master(&query.id)?;
        let (shards, proof) = if known.id.seqno == 0 {
            (master_extra(&known.root)?.shards, self.shard_proof(&known)?)
        } else {
            let block = known.root.parse::<tycho_types::models::Block>()?;
            let custom = block.load_extra()?.load_custom()?.ok_or(Error::InvalidData)?;
            (custom.shards, bag(&shards_of_block(&known.root)?))
        };
        Ok(answers::AllShardsInfo { id: query.id.clone(), proof, data: Boc::encode(CellBuilder::build_from(&shards)?) })
    }

    pub fn shard_block_proof(&self, query: &queries::GetShardBlockProof) -> Result<answers::ShardBlockProof, Failure> {
        let known = self.a_block(&query.id)?;
        let master = self.numbered(Workchain::Master, known.id.seqno)?;
        let links = if known.id.is_masterchain() {
            vec![]
        } else {
            vec![types::ShardBlockLink { id: known.id.into(), proof: bag(&shards_of_block(&master.root)?) }]
        };
        Ok(answers::ShardBlockProof { masterchain_id: master.id.into(), links })
    }

    pub fn queue_sizes(&self, query: &queries::GetOutMsgQueueSizes) -> Result<answers::OutMsgQueueSizes, Failure> {
        let mut shards = vec![];
        for chain in [Workchain::Master, Workchain::Base] {
            if query.wc.is_some_and(|workchain| workchain != chain.shard().workchain()) {
                continue;
            }
            let known = self.numbered(chain, self.view.head.seqno)?;
            let size = u32::try_from(queue(&self.state(&known)?)?.size).unwrap_or(u32::MAX);
            shards.push(types::OutMsgQueueSize { id: known.id.into(), size });
        }
        Ok(answers::OutMsgQueueSizes { shards, ext_msg_queue_size_limit: EXTERNAL_QUEUE })
    }

    pub fn queue_size(
        &self,
        query: &queries::GetBlockOutMsgQueueSize,
    ) -> Result<answers::BlockOutMsgQueueSize, Failure> {
        let known = self.a_block(&query.id)?;
        let state = self.state(&known)?;
        let proof = if query.mode & 1 != 0 {
            let sized = proof::state(&state, |state| {
                let _ = state.out_msg_queue_info.data();
                Ok(())
            })?;
            Some(proof::bag(&[&proof::header(&known.root)?, &sized]))
        } else {
            None
        };
        Ok(answers::BlockOutMsgQueueSize { mode: query.mode, id: query.id.clone(), size: queue(&state)?.size, proof })
    }

    /// Proves which shards a masterchain block knows: its header, and that part of its state.
    pub fn shard_proof(&self, master: &Known) -> Result<Vec<u8>, Failure> {
        let shards = proof::master_state(&self.state(master)?, |extra| {
            for entry in extra.shards.iter() {
                entry?;
            }
            Ok(())
        })?;
        if master.id.seqno == 0 {
            return Ok(bag(&shards));
        }
        Ok(proof::bag(&[&proof::header(&master.root)?, &shards]))
    }

    /// The block with this name, and not the beginning.
    pub fn a_block(&self, id: &types::BlockIdExt) -> Result<Known, Failure> {
        let known = self.find(id)?;
        if id.seqno == 0 {
            return Err(Failure::NotReady("block 0 is the zerostate: ask for its state".to_owned()));
        }
        Ok(known)
    }
}

fn header(known: &Known, mode: u32) -> Result<answers::BlockHeader, Failure> {
    let header = proof::block(&known.root, |block| {
        if mode & (WITH_EXTRA | WITH_SHARDS) != 0 {
            let extra = block.load_extra()?;
            if mode & WITH_SHARDS != 0
                && let Some(custom) = extra.load_custom()?
            {
                for entry in custom.shards.iter() {
                    entry?;
                }
            }
        }
        Ok(())
    })?;
    Ok(answers::BlockHeader { id: known.id.into(), mode, header_proof: bag(&header) })
}

/// Proves which shards a masterchain block commits to.
pub(super) fn shards_of_block(root: &Cell) -> Result<Cell, Error> {
    proof::master_block(root, |extra| {
        for entry in extra.shards.iter() {
            entry?;
        }
        Ok(())
    })
}

pub(super) fn master_extra(state: &Cell) -> Result<tycho_types::models::McStateExtra, Error> {
    state.parse::<ShardStateUnsplit>()?.load_custom()?.ok_or(Error::InvalidData)
}

fn queue(state: &Cell) -> Result<QueueInfo, Error> {
    state.parse::<ShardStateUnsplit>()?.out_msg_queue_info.parse::<QueueInfo>()
}

fn bag(root: &Cell) -> Vec<u8> {
    Boc::encode(root)
}
