//! What questions and answers have in common.

use tycho_types::cell::HashBytes;
use tycho_types::models;

use crate::macros::{one_of, tl};

tl! {
    /// A block by its number.
    "tonNode.blockId workchain:int shard:long seqno:int = tonNode.BlockId"
    BlockId { workchain: i32, shard: u64, seqno: u32 }

    /// A block with its hashes.
    "tonNode.blockIdExt workchain:int shard:long seqno:int root_hash:int256 file_hash:int256 = tonNode.BlockIdExt"
    BlockIdExt { workchain: i32, shard: u64, seqno: u32, root_hash: HashBytes, file_hash: HashBytes }

    /// The first state of the masterchain.
    "tonNode.zeroStateIdExt workchain:int root_hash:int256 file_hash:int256 = tonNode.ZeroStateIdExt"
    ZeroStateIdExt { workchain: i32, root_hash: HashBytes, file_hash: HashBytes }

    /// An account.
    "liteServer.accountId workchain:int id:int256 = liteServer.AccountId"
    AccountId { workchain: i32, id: HashBytes }

    /// A public library.
    "liteServer.libraryEntry hash:int256 data:bytes = liteServer.LibraryEntry"
    LibraryEntry { hash: HashBytes, data: Vec<u8> }

    /// What set off a transaction.
    "liteServer.transactionMetadata mode:# depth:int initiator:liteServer.accountId initiator_lt:long = \
     liteServer.TransactionMetadata"
    TransactionMetadata { @mode; depth: u32, initiator: AccountId, initiator_lt: u64 }

    /// A transaction in a block; which fields are there follows from what was asked for.
    "liteServer.transactionId#b12f65af mode:# account:mode.0?int256 lt:mode.1?long hash:mode.2?int256 \
     metadata:mode.8?liteServer.transactionMetadata = liteServer.TransactionId"
    TransactionId {
        @mode;
        account: Option<HashBytes> = 0,
        lt: Option<u64> = 1,
        hash: Option<HashBytes> = 2,
        metadata: Option<TransactionMetadata> = 8,
    }

    /// A place in the list of a block's transactions.
    "liteServer.transactionId3 account:int256 lt:long = liteServer.TransactionId3"
    TransactionId3 { account: HashBytes, lt: u64 }

    /// A signature of a validator.
    "liteServer.signature node_id_short:int256 signature:bytes = liteServer.Signature"
    Signature { node_id_short: HashBytes, signature: Vec<u8> }

    /// Signatures under a block.
    "liteServer.signatureSet.ordinary#f644a6e6 validator_set_hash:int catchain_seqno:int signatures:(vector \
     liteServer.signature) = liteServer.SignatureSet"
    SignatureSetOrdinary { validator_set_hash: u32, catchain_seqno: u32, signatures: Vec<Signature> }

    /// Signatures under a block of the newer consensus: over the candidate rather than the block.
    "liteServer.signatureSet.simplex cc_seqno:int validator_set_hash:int signatures:(vector \
     liteServer.signature) session_id:int256 slot:int candidate:bytes = liteServer.SignatureSet"
    SignatureSetSimplex {
        cc_seqno: u32,
        validator_set_hash: u32,
        signatures: Vec<Signature>,
        session_id: HashBytes,
        slot: u32,
        candidate: Vec<u8>,
    }

    /// A step back: `proof` is the header of `from`, and its state names `to`.
    "liteServer.blockLinkBack to_key_block:Bool from:tonNode.blockIdExt to:tonNode.blockIdExt dest_proof:bytes \
     proof:bytes state_proof:bytes = liteServer.BlockLink"
    BlockLinkBack {
        to_key_block: bool,
        from: BlockIdExt,
        to: BlockIdExt,
        dest_proof: Vec<u8>,
        proof: Vec<u8>,
        state_proof: Vec<u8>,
    }

    /// A step forward: `from` is a key block with the validators who signed `to`.
    "liteServer.blockLinkForward to_key_block:Bool from:tonNode.blockIdExt to:tonNode.blockIdExt \
     dest_proof:bytes config_proof:bytes signatures:liteServer.SignatureSet = liteServer.BlockLink"
    BlockLinkForward {
        to_key_block: bool,
        from: BlockIdExt,
        to: BlockIdExt,
        dest_proof: Vec<u8>,
        config_proof: Vec<u8>,
        signatures: SignatureSet,
    }

    /// A step down from a masterchain block to a shard's, or from a shard's block to the one before it.
    "liteServer.shardBlockLink id:tonNode.blockIdExt proof:bytes = liteServer.ShardBlockLink"
    ShardBlockLink { id: BlockIdExt, proof: Vec<u8> }

    /// How many messages wait in a shard.
    "liteServer.outMsgQueueSize id:tonNode.blockIdExt size:int = liteServer.OutMsgQueueSize"
    OutMsgQueueSize { id: BlockIdExt, size: u32 }

    /// Messages of an account that were put off.
    "liteServer.accountDispatchQueueInfo addr:int256 size:long min_lt:long max_lt:long = \
     liteServer.AccountDispatchQueueInfo"
    AccountDispatchQueueInfo { addr: HashBytes, size: u64, min_lt: u64, max_lt: u64 }

    /// A message that was put off.
    "liteServer.dispatchQueueMessage addr:int256 lt:long hash:int256 metadata:liteServer.transactionMetadata = \
     liteServer.DispatchQueueMessage"
    DispatchQueueMessage { addr: HashBytes, lt: u64, hash: HashBytes, metadata: TransactionMetadata }
}

one_of! {
    /// Signatures under a block.
    SignatureSet, "a set of signatures" { Ordinary(SignatureSetOrdinary), Simplex(SignatureSetSimplex) }
}

one_of! {
    /// A step from one masterchain block to another.
    BlockLink, "a step between blocks" { Back(BlockLinkBack), Forward(BlockLinkForward) }
}

impl From<models::BlockId> for BlockIdExt {
    fn from(id: models::BlockId) -> Self {
        Self {
            workchain: id.shard.workchain(),
            shard: id.shard.prefix(),
            seqno: id.seqno,
            root_hash: id.root_hash,
            file_hash: id.file_hash,
        }
    }
}

impl BlockIdExt {
    /// The same in the types of blocks; none if there can be no such shard.
    pub fn to_block_id(&self) -> Option<models::BlockId> {
        let shard = models::ShardIdent::new(self.workchain, self.shard)?;
        Some(models::BlockId { shard, seqno: self.seqno, root_hash: self.root_hash, file_hash: self.file_hash })
    }
}
