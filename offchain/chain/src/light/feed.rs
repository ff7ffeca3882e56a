//! Whole blocks, proven to belong to the chain: for those who must see everything.
//!
//! A masterchain block is proven by a step back from the newest one. It names the newest blocks of all shards, those name the
//! ones before them, and each block is known by its hash.

use std::collections::BTreeSet;

use async_trait::async_trait;
use cocoon_lite::queries::{GetBlock, GetBlockProof, LookupBlock};
use cocoon_lite::types::BlockId as BlockNumber;
use cocoon_lite::{Answer, BlockIdExt};
use cocoon_protocol::UnixSeconds;
use tycho_types::boc::Boc;
use tycho_types::cell::Cell;
use tycho_types::models::{Block, BlockId, BlockRef, PrevBlockRef, ShardIdent};

use super::client::{Inner, LightClient};
use super::error::{ProofError, same, same_block};
use super::links::check_steps;
use super::pool::expect;
use super::server::ServerError;
use crate::chain::ChainError;
use crate::feed::{BlockFeed, NetworkBlock};

const BLOCK: &str = "a block";
/// Most blocks of shards between two of the masterchain that are believed; more would be an attack on this program's memory.
const MAX_SHARD_BLOCKS: usize = 4096;

#[async_trait]
impl BlockFeed for LightClient {
    async fn network_block(&self, seqno: u32) -> Result<Option<NetworkBlock>, ChainError> {
        let inner = self.inner();
        let head = inner.block()?;
        if seqno > head.id.seqno {
            return Ok(None);
        }
        let id = if seqno == head.id.seqno { head.id } else { inner.earlier(&head.id, seqno).await? };
        let master = inner.whole(&id).await?;
        let (tops, before, utime) = master_contents(&master).map_err(|e| ChainError::malformed(BLOCK, e))?;
        // The basechain begins with the masterchain: its zerostate is no block.
        let known = if seqno <= 1 {
            BTreeSet::new()
        } else {
            let previous = inner.whole(&ext(ShardIdent::MASTERCHAIN, &before)).await?;
            master_contents(&previous).map_err(|e| ChainError::malformed(BLOCK, e))?.0
        };
        let mut shards = vec![];
        let mut waiting: Vec<BlockId> = tops.difference(&known).copied().collect();
        let mut seen = known;
        while let Some(top) = waiting.pop() {
            if top.seqno == 0 || !seen.insert(top) {
                continue;
            }
            if shards.len() >= MAX_SHARD_BLOCKS {
                return Err(ChainError::malformed(
                    BLOCK,
                    format!("over {MAX_SHARD_BLOCKS} blocks of shards since the last one"),
                ));
            }
            let cell = inner.whole(&ext(top.shard, &top)).await?;
            let (lt, previous) = shard_contents(&cell, &top).map_err(|e| ChainError::malformed(BLOCK, e))?;
            waiting.extend(previous);
            shards.push((lt, cell));
        }
        shards.sort_by_key(|(lt, _)| *lt);
        let shards = shards.into_iter().map(|(_, cell)| cell).collect();
        Ok(Some(NetworkBlock { seqno, utime: UnixSeconds(utime), shards }))
    }
}

impl Inner {
    /// The masterchain block with this number, proven by a step back from a proven one.
    async fn earlier(&self, from: &BlockIdExt, seqno: u32) -> Result<BlockIdExt, ChainError> {
        let number = BlockNumber { workchain: -1, shard: 1 << 63, seqno };
        let query = LookupBlock { mode: 1, id: number, lt: None, utime: None }.into();
        let named = |answer| {
            expect(answer, |answer| match answer {
                Answer::BlockHeader(header) => Some(header.id),
                _ => None,
            })
        };
        let id = self.pool.ask(&query, from.seqno, named).await;
        let id = id.map_err(|vain| self.vain(&format!("block {seqno}"), &vain))?;
        let query = GetBlockProof { mode: 1, known_block: from.clone(), target_block: Some(id.clone()) }.into();
        let check = |answer| {
            let proof = expect(answer, |answer| match answer {
                Answer::PartialBlockProof(proof) => Some(proof),
                _ => None,
            })?;
            let reached = check_steps(from, &id, &proof)?;
            same("the number of a block", seqno, id.seqno, u32::to_string)?;
            if reached.complete {
                Ok(())
            } else {
                Err(ProofError::wrong("a chain of proofs", "it ends too early").into())
            }
        };
        let proven = self.pool.ask(&query, from.seqno, check).await;
        proven.map_err(|vain| self.vain(&format!("a proof of block {seqno}"), &vain))?;
        Ok(id)
    }

    /// A block whose name is proven.
    async fn whole(&self, id: &BlockIdExt) -> Result<Cell, ChainError> {
        let query = GetBlock { id: id.clone() }.into();
        let check = |answer| {
            let data = expect(answer, |answer| match answer {
                Answer::BlockData(data) => Some(data),
                _ => None,
            })?;
            same_block(BLOCK, id, &data.id)?;
            let root = Boc::decode(&data.data).map_err(|e| ProofError::unreadable(BLOCK, e))?;
            same("the hash of a block", id.root_hash, *root.repr_hash(), ToString::to_string)?;
            Ok::<_, ServerError>(root)
        };
        let found = self.pool.ask(&query, 0, check).await;
        found.map_err(|vain| self.vain(&format!("block {}", id.seqno), &vain))
    }
}

fn ext(shard: ShardIdent, id: &impl Named) -> BlockIdExt {
    let (seqno, root_hash, file_hash) = id.name();
    BlockIdExt { workchain: shard.workchain(), shard: shard.prefix(), seqno, root_hash, file_hash }
}

trait Named {
    fn name(&self) -> (u32, tycho_types::cell::HashBytes, tycho_types::cell::HashBytes);
}

impl Named for BlockRef {
    fn name(&self) -> (u32, tycho_types::cell::HashBytes, tycho_types::cell::HashBytes) {
        (self.seqno, self.root_hash, self.file_hash)
    }
}

impl Named for BlockId {
    fn name(&self) -> (u32, tycho_types::cell::HashBytes, tycho_types::cell::HashBytes) {
        (self.seqno, self.root_hash, self.file_hash)
    }
}

type Error = tycho_types::error::Error;

/// The newest blocks of the basechain's shards, the block before, and the time.
fn master_contents(root: &Cell) -> Result<(BTreeSet<BlockId>, BlockRef, u32), Error> {
    let block: Block = root.parse()?;
    let info = block.load_info()?;
    let PrevBlockRef::Single(before) = info.load_prev_ref()? else { return Err(Error::InvalidData) };
    let extra = block.load_extra()?.load_custom()?.ok_or(Error::InvalidData)?;
    let mut tops = BTreeSet::new();
    for top in extra.shards.latest_blocks() {
        let top = top?;
        if top.shard.workchain() == 0 {
            tops.insert(top);
        }
    }
    Ok((tops, before, info.gen_utime))
}

/// Logical time of a shard's block, and the blocks before it.
fn shard_contents(root: &Cell, id: &BlockId) -> Result<(u64, Vec<BlockId>), Error> {
    let block: Block = root.parse()?;
    let info = block.load_info()?;
    let of = |shard: ShardIdent, block: BlockRef| BlockId {
        shard,
        seqno: block.seqno,
        root_hash: block.root_hash,
        file_hash: block.file_hash,
    };
    let previous = match info.load_prev_ref()? {
        PrevBlockRef::Single(before) if info.after_split => {
            vec![of(id.shard.merge().ok_or(Error::InvalidData)?, before)]
        }
        PrevBlockRef::Single(before) => vec![of(id.shard, before)],
        PrevBlockRef::AfterMerge { left, right } => {
            let (l, r) = id.shard.split().ok_or(Error::InvalidData)?;
            vec![of(l, left), of(r, right)]
        }
    };
    Ok((info.start_lt, previous))
}
