//! Blocks: names, headers, shards and signatures.

use cocoon_lite::queries;
use cocoon_lite::types::BlockLink;
use serde_json::{Value, json};
use tycho_types::models::{Block, PrevBlockRef, ShardIdent};

use super::error::ApiError;
use super::json::{block_id, bytes, lite_id};
use super::params::Params;
use crate::block::Workchain;
use crate::lite::answer::{Responder, chain};
use crate::view::Known;

impl Responder<'_> {
    pub(super) fn http_masterchain_info(&self) -> Result<Value, ApiError> {
        let head = self.head()?;
        let zerostate = self.zerostate()?.id;
        Ok(json!({
            "@type": "blocks.masterchainInfo",
            "last": block_id(&head.id),
            "state_root_hash": bytes(self.state(&head)?.repr_hash().0),
            "init": {
                "@type": "ton.blockIdExt",
                "workchain": -1,
                // The zerostate's shard is not told.
                "shard": "0",
                "seqno": 0,
                "root_hash": bytes(zerostate.root_hash.0),
                "file_hash": bytes(zerostate.file_hash.0),
            },
        }))
    }

    pub(super) fn http_signatures(&self, params: &Params) -> Result<Value, ApiError> {
        let known = self.http_block_numbered(Workchain::Master, params.number("seqno")?)?;
        let signatures = self.signatures(&known)?.signatures.into_iter().map(|one| {
            json!({
                "@type": "blocks.signature",
                "node_id_short": bytes(one.node_id_short.0),
                "signature": bytes(one.signature),
            })
        });
        Ok(json!({
            "@type": "blocks.blockSignatures",
            "id": block_id(&known.id),
            "signatures": signatures.collect::<Vec<_>>(),
        }))
    }

    pub(super) fn http_consensus_block(&self) -> Result<Value, ApiError> {
        let head = self.head()?;
        Ok(json!({
            "@type": "ext.blocks.consensusBlock",
            "consensus_block": head.id.seqno,
            "timestamp": head.utime.0,
        }))
    }

    pub(super) fn http_shards(&self, params: &Params) -> Result<Value, ApiError> {
        let master = self.http_block_numbered(Workchain::Master, params.number("seqno")?)?;
        let shard = self.numbered(Workchain::Base, master.id.seqno)?;
        Ok(json!({ "@type": "blocks.shards", "shards": [block_id(&shard.id)] }))
    }

    pub(super) fn http_lookup(&self, params: &Params) -> Result<Value, ApiError> {
        let chain = shard(params)?;
        let seqno = match (
            params.optional_number::<u32>("seqno")?,
            params.optional_number::<u64>("lt")?,
            params.optional_number::<u32>("unixtime")?,
        ) {
            (Some(seqno), _, _) => Some(seqno),
            // The beginning is no block.
            (None, Some(lt), _) => self.view.first(|record| record.seqno > 0 && record.name(chain).end_lt >= lt)?,
            (None, None, Some(time)) => self.view.first(|record| record.seqno > 0 && record.utime.0 >= time)?,
            (None, None, None) => {
                return Err(ApiError::Request("Seqno, LT or unixtime should be defined".to_owned()));
            }
        };
        let seqno = seqno.ok_or_else(|| ApiError::NotReady("there is no such block yet".to_owned()))?;
        Ok(block_id(&self.http_block_numbered(chain, seqno)?.id))
    }

    pub(super) fn http_header(&self, params: &Params) -> Result<Value, ApiError> {
        let known = self.http_block(params)?;
        let block = known.root.parse::<Block>()?;
        let info = block.load_info()?;
        let before = match info.load_prev_ref()? {
            PrevBlockRef::Single(one) => vec![one],
            PrevBlockRef::AfterMerge { left, right } => vec![left, right],
        };
        let before = before.into_iter().map(|one| {
            let (seqno, root_hash, file_hash) = (one.seqno, one.root_hash, one.file_hash);
            block_id(&tycho_types::models::BlockId { shard: known.id.shard, seqno, root_hash, file_hash })
        });
        Ok(json!({
            "@type": "blocks.header",
            "id": block_id(&known.id),
            "global_id": block.global_id,
            "version": info.version,
            "flags": info.flags,
            "after_merge": info.after_merge,
            "after_split": info.after_split,
            "before_split": info.before_split,
            "want_merge": info.want_merge,
            "want_split": info.want_split,
            "validator_list_hash_short": info.gen_validator_list_hash_short.cast_signed(),
            "catchain_seqno": info.gen_catchain_seqno,
            "min_ref_mc_seqno": info.min_ref_mc_seqno,
            "is_key_block": info.key_block,
            "prev_key_block_seqno": info.prev_key_block_seqno,
            "start_lt": info.start_lt.to_string(),
            "end_lt": info.end_lt.to_string(),
            "gen_utime": info.gen_utime,
            "vert_seqno": info.vert_seqno,
            "prev_blocks": before.collect::<Vec<_>>(),
        }))
    }

    /// `getShardBlockProof`: from a block to the masterchain block that knows it, and on to a later one if `from_seqno` names
    /// it.
    pub(super) fn http_shard_block_proof(&self, params: &Params) -> Result<Value, ApiError> {
        let known = self.http_block_numbered(shard(params)?, params.number("seqno")?)?;
        let proof = self.shard_block_proof(&queries::GetShardBlockProof { id: known.id.into() })?;
        let master = self.numbered(Workchain::Master, known.id.seqno)?;
        let from = match params.optional_number::<u32>("from_seqno")? {
            Some(seqno) => self.http_block_numbered(Workchain::Master, seqno)?,
            // What the client knows is the newest block, for whoever names none.
            None => self.head()?,
        };
        if from.id.seqno < master.id.seqno {
            let why = format!("the masterchain block {} is older than the block", from.id.seqno);
            return Err(ApiError::invalid("from_seqno", why));
        }
        let mut back = vec![];
        if from.id != master.id {
            let query =
                queries::GetBlockProof { mode: 1, known_block: from.id.into(), target_block: Some(master.id.into()) };
            for step in self.block_proof(&query)?.steps {
                if let BlockLink::Back(link) = step {
                    back.push(json!({
                        "@type": "blocks.blockLinkBack",
                        "to_key_block": link.to_key_block,
                        "from": lite_id(&link.from),
                        "to": lite_id(&link.to),
                        "dest_proof": bytes(link.dest_proof),
                        "proof": bytes(link.proof),
                        "state_proof": bytes(link.state_proof),
                    }));
                }
            }
        }
        let links = proof.links.into_iter().map(
            |link| json!({ "@type": "blocks.shardBlockLink", "id": lite_id(&link.id), "proof": bytes(link.proof) }),
        );
        Ok(json!({
            "@type": "blocks.shardBlockProof",
            "from": block_id(&from.id),
            "mc_id": block_id(&master.id),
            "links": links.collect::<Vec<_>>(),
            "mc_proof": back,
        }))
    }

    pub(super) fn http_queue_sizes(&self) -> Result<Value, ApiError> {
        let sizes = self.queue_sizes(&queries::GetOutMsgQueueSizes { mode: 0, wc: None, shard: None })?;
        let shards = sizes
            .shards
            .iter()
            .map(|shard| json!({ "@type": "blocks.outMsgQueueSize", "id": lite_id(&shard.id), "size": shard.size }));
        Ok(json!({
            "@type": "blocks.outMsgQueueSizes",
            "shards": shards.collect::<Vec<_>>(),
            "ext_msg_queue_size_limit": sizes.ext_msg_queue_size_limit,
        }))
    }

    /// The block that the parameters name. Its hashes may be given, and must be right then.
    pub(super) fn http_block(&self, params: &Params) -> Result<Known, ApiError> {
        let known = self.http_block_numbered(shard(params)?, params.number("seqno")?)?;
        let right = [("root_hash", known.id.root_hash), ("file_hash", known.id.file_hash)];
        for (name, found) in right {
            if params.optional_hash(name)?.is_some_and(|hash| hash != found) {
                return Err(ApiError::NotReady(format!("block {} has another {name} here", known.id.seqno)));
            }
        }
        Ok(known)
    }

    fn http_block_numbered(&self, chain: Workchain, seqno: u32) -> Result<Known, ApiError> {
        if seqno == 0 {
            return Err(ApiError::NotReady("block 0 is the zerostate, which is no block".to_owned()));
        }
        Ok(self.numbered(chain, seqno)?)
    }
}

/// The chain that the parameters name. A shard may be a signed number or, as some clients write it, unsigned.
fn shard(params: &Params) -> Result<Workchain, ApiError> {
    let prefix = match params.optional_number::<i64>("shard") {
        Ok(Some(shard)) => shard.cast_unsigned(),
        Ok(None) => return Err(ApiError::Missing("shard")),
        Err(_) => params.number::<u64>("shard")?,
    };
    let prefix = if prefix == 0 { ShardIdent::PREFIX_FULL } else { prefix };
    Ok(chain(params.number("workchain")?, prefix)?)
}
