//! What a liteserver answers.

use tycho_types::cell::HashBytes;

use crate::macros::{one_of, tl};
use crate::types::{
    AccountDispatchQueueInfo, BlockIdExt, BlockLink, DispatchQueueMessage, LibraryEntry, OutMsgQueueSize,
    ShardBlockLink, TransactionId, ZeroStateIdExt,
};

tl! {
    /// The question cannot be answered.
    "liteServer.error code:int message:string = liteServer.Error"
    Error { code: i32, message: String }

    /// The newest masterchain block.
    "liteServer.masterchainInfo last:tonNode.blockIdExt state_root_hash:int256 init:tonNode.zeroStateIdExt = \
     liteServer.MasterchainInfo"
    MasterchainInfo { last: BlockIdExt, state_root_hash: HashBytes, init: ZeroStateIdExt }

    /// The newest masterchain block, and what the server is.
    "liteServer.masterchainInfoExt mode:# version:int capabilities:long last:tonNode.blockIdExt last_utime:int \
     now:int state_root_hash:int256 init:tonNode.zeroStateIdExt = liteServer.MasterchainInfoExt"
    MasterchainInfoExt {
        @mode;
        version: u32,
        capabilities: u64,
        last: BlockIdExt,
        last_utime: u32,
        now: u32,
        state_root_hash: HashBytes,
        init: ZeroStateIdExt,
    }

    /// The server's time.
    "liteServer.currentTime now:int = liteServer.CurrentTime"
    CurrentTime { now: u32 }

    /// What the server is.
    "liteServer.version mode:# version:int capabilities:long now:int = liteServer.Version"
    Version { @mode; version: u32, capabilities: u64, now: u32 }

    /// A block.
    "liteServer.blockData id:tonNode.blockIdExt data:bytes = liteServer.BlockData"
    BlockData { id: BlockIdExt, data: Vec<u8> }

    /// A state.
    "liteServer.blockState id:tonNode.blockIdExt root_hash:int256 file_hash:int256 data:bytes = liteServer.BlockState"
    BlockState { id: BlockIdExt, root_hash: HashBytes, file_hash: HashBytes, data: Vec<u8> }

    /// A proof of a block's header.
    "liteServer.blockHeader id:tonNode.blockIdExt mode:# header_proof:bytes = liteServer.BlockHeader"
    BlockHeader { [id: BlockIdExt] @mode; header_proof: Vec<u8> }

    /// The message was taken; 1 means success.
    "liteServer.sendMsgStatus status:int = liteServer.SendMsgStatus"
    SendMsgStatus { status: u32 }

    /// An account with its proofs: of the shard's block in the masterchain (two roots), of the account in the shard's state (two roots), and the account itself, empty if there is none.
    "liteServer.accountState id:tonNode.blockIdExt shardblk:tonNode.blockIdExt shard_proof:bytes proof:bytes \
     state:bytes = liteServer.AccountState"
    AccountState { id: BlockIdExt, shardblk: BlockIdExt, shard_proof: Vec<u8>, proof: Vec<u8>, state: Vec<u8> }

    /// What a getter gives.
    "liteServer.runMethodResult mode:# id:tonNode.blockIdExt shardblk:tonNode.blockIdExt \
     shard_proof:mode.0?bytes proof:mode.0?bytes state_proof:mode.1?bytes init_c7:mode.3?bytes \
     lib_extras:mode.4?bytes exit_code:int result:mode.2?bytes = liteServer.RunMethodResult"
    RunMethodResult {
        @mode;
        id: BlockIdExt,
        shardblk: BlockIdExt,
        shard_proof: Option<Vec<u8>> = 0,
        proof: Option<Vec<u8>> = 0,
        state_proof: Option<Vec<u8>> = 1,
        init_c7: Option<Vec<u8>> = 3,
        lib_extras: Option<Vec<u8>> = 4,
        exit_code: i32,
        result: Option<Vec<u8>> = 2,
    }

    /// The newest block of a shard that a masterchain block knows.
    "liteServer.shardInfo id:tonNode.blockIdExt shardblk:tonNode.blockIdExt shard_proof:bytes shard_descr:bytes \
     = liteServer.ShardInfo"
    ShardInfo { id: BlockIdExt, shardblk: BlockIdExt, shard_proof: Vec<u8>, shard_descr: Vec<u8> }

    /// The newest blocks of all shards that a masterchain block knows.
    "liteServer.allShardsInfo id:tonNode.blockIdExt proof:bytes data:bytes = liteServer.AllShardsInfo"
    AllShardsInfo { id: BlockIdExt, proof: Vec<u8>, data: Vec<u8> }

    /// A transaction and the proof that its block has it.
    "liteServer.transactionInfo id:tonNode.blockIdExt proof:bytes transaction:bytes = liteServer.TransactionInfo"
    TransactionInfo { id: BlockIdExt, proof: Vec<u8>, transaction: Vec<u8> }

    /// Transactions, the newest first, and their blocks.
    "liteServer.transactionList ids:(vector tonNode.blockIdExt) transactions:bytes = liteServer.TransactionList"
    TransactionList { ids: Vec<BlockIdExt>, transactions: Vec<u8> }

    /// Which transactions a block has.
    "liteServer.blockTransactions id:tonNode.blockIdExt req_count:# incomplete:Bool ids:(vector \
     liteServer.transactionId) proof:bytes = liteServer.BlockTransactions"
    BlockTransactions { id: BlockIdExt, req_count: u32, incomplete: bool, ids: Vec<TransactionId>, proof: Vec<u8> }

    /// The transactions that a block has.
    "liteServer.blockTransactionsExt id:tonNode.blockIdExt req_count:# incomplete:Bool transactions:bytes \
     proof:bytes = liteServer.BlockTransactionsExt"
    BlockTransactionsExt { id: BlockIdExt, req_count: u32, incomplete: bool, transactions: Vec<u8>, proof: Vec<u8> }

    /// Steps from one masterchain block to another.
    "liteServer.partialBlockProof complete:Bool from:tonNode.blockIdExt to:tonNode.blockIdExt steps:(vector \
     liteServer.BlockLink) = liteServer.PartialBlockProof"
    PartialBlockProof { complete: bool, from: BlockIdExt, to: BlockIdExt, steps: Vec<BlockLink> }

    /// Parameters of the configuration, as proofs.
    "liteServer.configInfo mode:# id:tonNode.blockIdExt state_proof:bytes config_proof:bytes = liteServer.ConfigInfo"
    ConfigInfo { @mode; id: BlockIdExt, state_proof: Vec<u8>, config_proof: Vec<u8> }

    /// How many blocks validators made, as proofs.
    "liteServer.validatorStats mode:# id:tonNode.blockIdExt count:int complete:Bool state_proof:bytes \
     data_proof:bytes = liteServer.ValidatorStats"
    ValidatorStats { @mode; id: BlockIdExt, count: u32, complete: bool, state_proof: Vec<u8>, data_proof: Vec<u8> }

    /// Public libraries.
    "liteServer.libraryResult result:(vector liteServer.libraryEntry) = liteServer.LibraryResult"
    LibraryResult { result: Vec<LibraryEntry> }

    /// Public libraries, with proofs.
    "liteServer.libraryResultWithProof id:tonNode.blockIdExt mode:# result:(vector liteServer.libraryEntry) \
     state_proof:bytes data_proof:bytes = liteServer.LibraryResultWithProof"
    LibraryResultWithProof {
        [id: BlockIdExt] @mode;
        result: Vec<LibraryEntry>,
        state_proof: Vec<u8>,
        data_proof: Vec<u8>,
    }

    /// Steps from a masterchain block to a shard's block.
    "liteServer.shardBlockProof masterchain_id:tonNode.blockIdExt links:(vector liteServer.shardBlockLink) = \
     liteServer.ShardBlockProof"
    ShardBlockProof { masterchain_id: BlockIdExt, links: Vec<ShardBlockLink> }

    /// A block, and why it is the one that was asked for.
    "liteServer.lookupBlockResult id:tonNode.blockIdExt mode:# mc_block_id:tonNode.blockIdExt \
     client_mc_state_proof:bytes mc_block_proof:bytes shard_links:(vector liteServer.shardBlockLink) \
     header:bytes prev_header:bytes = liteServer.LookupBlockResult"
    LookupBlockResult {
        [id: BlockIdExt] @mode;
        mc_block_id: BlockIdExt,
        client_mc_state_proof: Vec<u8>,
        mc_block_proof: Vec<u8>,
        shard_links: Vec<ShardBlockLink>,
        header: Vec<u8>,
        prev_header: Vec<u8>,
    }

    /// How many messages wait in shards.
    "liteServer.outMsgQueueSizes shards:(vector liteServer.outMsgQueueSize) ext_msg_queue_size_limit:int = \
     liteServer.OutMsgQueueSizes"
    OutMsgQueueSizes { shards: Vec<OutMsgQueueSize>, ext_msg_queue_size_limit: u32 }

    /// How many messages wait after a block.
    "liteServer.blockOutMsgQueueSize mode:# id:tonNode.blockIdExt size:long proof:mode.0?bytes = \
     liteServer.BlockOutMsgQueueSize"
    BlockOutMsgQueueSize { @mode; id: BlockIdExt, size: u64, proof: Option<Vec<u8>> = 0 }

    /// Accounts with messages that were put off.
    "liteServer.dispatchQueueInfo mode:# id:tonNode.blockIdExt account_dispatch_queues:(vector \
     liteServer.accountDispatchQueueInfo) complete:Bool proof:mode.0?bytes = liteServer.DispatchQueueInfo"
    DispatchQueueInfo {
        @mode;
        id: BlockIdExt,
        account_dispatch_queues: Vec<AccountDispatchQueueInfo>,
        complete: bool,
        proof: Option<Vec<u8>> = 0,
    }

    /// Messages that were put off.
    "liteServer.dispatchQueueMessages mode:# id:tonNode.blockIdExt messages:(vector \
     liteServer.dispatchQueueMessage) complete:Bool proof:mode.0?bytes messages_boc:mode.2?bytes = \
     liteServer.DispatchQueueMessages"
    DispatchQueueMessages {
        @mode;
        id: BlockIdExt,
        messages: Vec<DispatchQueueMessage>,
        complete: bool,
        proof: Option<Vec<u8>> = 0,
        messages_boc: Option<Vec<u8>> = 2,
    }
}

one_of! {
    /// What a liteserver answers.
    Answer, "an answer" {
        Error(Error), MasterchainInfo(MasterchainInfo), MasterchainInfoExt(MasterchainInfoExt), CurrentTime(CurrentTime),
        Version(Version), BlockData(BlockData), BlockState(BlockState), BlockHeader(BlockHeader),
        SendMsgStatus(SendMsgStatus), AccountState(AccountState), RunMethodResult(RunMethodResult), ShardInfo(ShardInfo),
        AllShardsInfo(AllShardsInfo), TransactionInfo(TransactionInfo), TransactionList(TransactionList),
        BlockTransactions(BlockTransactions), BlockTransactionsExt(BlockTransactionsExt),
        PartialBlockProof(PartialBlockProof), ConfigInfo(ConfigInfo), ValidatorStats(ValidatorStats),
        LibraryResult(LibraryResult), LibraryResultWithProof(LibraryResultWithProof), ShardBlockProof(ShardBlockProof),
        LookupBlockResult(LookupBlockResult), OutMsgQueueSizes(OutMsgQueueSizes),
        BlockOutMsgQueueSize(BlockOutMsgQueueSize), DispatchQueueInfo(DispatchQueueInfo),
        DispatchQueueMessages(DispatchQueueMessages),
    }
}
