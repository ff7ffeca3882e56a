//! What a liteserver is asked.

use tycho_types::cell::HashBytes;

use crate::macros::{one_of, tl};
use crate::types::{AccountId, BlockId, BlockIdExt, TransactionId3};

tl! {
    /// Which is the newest masterchain block?
    "liteServer.getMasterchainInfo = liteServer.MasterchainInfo"
    GetMasterchainInfo {  }

    /// Which is the newest masterchain block, and what are you?
    "liteServer.getMasterchainInfoExt mode:# = liteServer.MasterchainInfoExt"
    GetMasterchainInfoExt { @mode; }

    /// What time is it?
    "liteServer.getTime = liteServer.CurrentTime"
    GetTime {  }

    /// What are you?
    "liteServer.getVersion = liteServer.Version"
    GetVersion {  }

    /// A whole block.
    "liteServer.getBlock id:tonNode.blockIdExt = liteServer.BlockData"
    GetBlock { id: BlockIdExt }

    /// A whole state.
    "liteServer.getState id:tonNode.blockIdExt = liteServer.BlockState"
    GetState { id: BlockIdExt }

    /// A block's header.
    "liteServer.getBlockHeader id:tonNode.blockIdExt mode:# = liteServer.BlockHeader"
    GetBlockHeader { [id: BlockIdExt] @mode; }

    /// Here is a message from outside.
    "liteServer.sendMessage body:bytes = liteServer.SendMsgStatus"
    SendMessage { body: Vec<u8> }

    /// An account after a block.
    "liteServer.getAccountState id:tonNode.blockIdExt account:liteServer.accountId = liteServer.AccountState"
    GetAccountState { id: BlockIdExt, account: AccountId }

    /// An account after a block, without code and data.
    "liteServer.getAccountStatePrunned id:tonNode.blockIdExt account:liteServer.accountId = liteServer.AccountState"
    GetAccountStatePrunned { id: BlockIdExt, account: AccountId }

    /// Run a getter.
    "liteServer.runSmcMethod mode:# id:tonNode.blockIdExt account:liteServer.accountId method_id:long \
     params:bytes = liteServer.RunMethodResult"
    RunSmcMethod { @mode; id: BlockIdExt, account: AccountId, method_id: u64, params: Vec<u8> }

    /// A shard as a masterchain block knows it.
    "liteServer.getShardInfo id:tonNode.blockIdExt workchain:int shard:long exact:Bool = liteServer.ShardInfo"
    GetShardInfo { id: BlockIdExt, workchain: i32, shard: u64, exact: bool }

    /// All shards as a masterchain block knows them.
    "liteServer.getAllShardsInfo id:tonNode.blockIdExt = liteServer.AllShardsInfo"
    GetAllShardsInfo { id: BlockIdExt }

    /// A transaction of a block.
    "liteServer.getOneTransaction id:tonNode.blockIdExt account:liteServer.accountId lt:long = \
     liteServer.TransactionInfo"
    GetOneTransaction { id: BlockIdExt, account: AccountId, lt: u64 }

    /// Transactions of an account, back from this one.
    "liteServer.getTransactions count:# account:liteServer.accountId lt:long hash:int256 = liteServer.TransactionList"
    GetTransactions { count: u32, account: AccountId, lt: u64, hash: HashBytes }

    /// A block by number (mode bit 0), logical time or time.
    "liteServer.lookupBlock mode:# id:tonNode.blockId lt:mode.1?long utime:mode.2?int = liteServer.BlockHeader"
    LookupBlock { @mode; id: BlockId, lt: Option<u64> = 1, utime: Option<u32> = 2 }

    /// A block by number (mode bit 0), logical time or time, with proof.
    "liteServer.lookupBlockWithProof mode:# id:tonNode.blockId mc_block_id:tonNode.blockIdExt lt:mode.1?long \
     utime:mode.2?int = liteServer.LookupBlockResult"
    LookupBlockWithProof { @mode; id: BlockId, mc_block_id: BlockIdExt, lt: Option<u64> = 1, utime: Option<u32> = 2 }

    /// Which transactions does a block have? Mode bits: 5 with proof, 6 backwards.
    "liteServer.listBlockTransactions id:tonNode.blockIdExt mode:# count:# \
     after:mode.7?liteServer.transactionId3 reverse_order:mode.6?true want_proof:mode.5?true = \
     liteServer.BlockTransactions"
    ListBlockTransactions { [id: BlockIdExt] @mode; count: u32, after: Option<TransactionId3> = 7 }

    /// The transactions of a block. Mode bits: 5 with proof, 6 backwards.
    "liteServer.listBlockTransactionsExt id:tonNode.blockIdExt mode:# count:# \
     after:mode.7?liteServer.transactionId3 reverse_order:mode.6?true want_proof:mode.5?true = \
     liteServer.BlockTransactionsExt"
    ListBlockTransactionsExt { [id: BlockIdExt] @mode; count: u32, after: Option<TransactionId3> = 7 }

    /// Steps from one masterchain block to another, or to the newest.
    "liteServer.getBlockProof mode:# known_block:tonNode.blockIdExt target_block:mode.0?tonNode.blockIdExt = \
     liteServer.PartialBlockProof"
    GetBlockProof { @mode; known_block: BlockIdExt, target_block: Option<BlockIdExt> = 0 }

    /// The whole configuration.
    "liteServer.getConfigAll mode:# id:tonNode.blockIdExt = liteServer.ConfigInfo"
    GetConfigAll { @mode; id: BlockIdExt }

    /// Parameters of the configuration. Mode bit 15: from the newest key block instead of the state.
    "liteServer.getConfigParams mode:# id:tonNode.blockIdExt param_list:(vector int) = liteServer.ConfigInfo"
    GetConfigParams { @mode; id: BlockIdExt, param_list: Vec<u32> }

    /// How many blocks validators made.
    "liteServer.getValidatorStats#091a58bc mode:# id:tonNode.blockIdExt limit:int start_after:mode.0?int256 \
     modified_after:mode.2?int = liteServer.ValidatorStats"
    GetValidatorStats {
        @mode;
        id: BlockIdExt,
        limit: u32,
        start_after: Option<HashBytes> = 0,
        modified_after: Option<u32> = 2,
    }

    /// Public libraries.
    "liteServer.getLibraries library_list:(vector int256) = liteServer.LibraryResult"
    GetLibraries { library_list: Vec<HashBytes> }

    /// Public libraries, with proofs.
    "liteServer.getLibrariesWithProof id:tonNode.blockIdExt mode:# library_list:(vector int256) = \
     liteServer.LibraryResultWithProof"
    GetLibrariesWithProof { [id: BlockIdExt] @mode; library_list: Vec<HashBytes> }

    /// Steps from the masterchain to this block of a shard.
    "liteServer.getShardBlockProof id:tonNode.blockIdExt = liteServer.ShardBlockProof"
    GetShardBlockProof { id: BlockIdExt }

    /// How many messages wait in shards?
    "liteServer.getOutMsgQueueSizes mode:# wc:mode.0?int shard:mode.0?long = liteServer.OutMsgQueueSizes"
    GetOutMsgQueueSizes { @mode; wc: Option<i32> = 0, shard: Option<u64> = 0 }

    /// How many messages wait after a block? Mode bit 0: with proof.
    "liteServer.getBlockOutMsgQueueSize mode:# id:tonNode.blockIdExt want_proof:mode.0?true = \
     liteServer.BlockOutMsgQueueSize"
    GetBlockOutMsgQueueSize { @mode; id: BlockIdExt }

    /// Accounts with messages that were put off.
    "liteServer.getDispatchQueueInfo mode:# id:tonNode.blockIdExt after_addr:mode.1?int256 max_accounts:int \
     want_proof:mode.0?true = liteServer.DispatchQueueInfo"
    GetDispatchQueueInfo { @mode; id: BlockIdExt, after_addr: Option<HashBytes> = 1, max_accounts: u32 }

    /// Messages that were put off.
    "liteServer.getDispatchQueueMessages mode:# id:tonNode.blockIdExt addr:int256 after_lt:long \
     max_messages:int want_proof:mode.0?true one_account:mode.1?true messages_boc:mode.2?true = \
     liteServer.DispatchQueueMessages"
    GetDispatchQueueMessages { @mode; id: BlockIdExt, addr: HashBytes, after_lt: u64, max_messages: u32 }

    /// Answer what follows when there is this block; stands before another question.
    "liteServer.waitMasterchainSeqno seqno:int timeout_ms:int = Object"
    WaitMasterchainSeqno { seqno: u32, timeout_ms: u32 }
}

one_of! {
    /// What a liteserver is asked.
    Query, "a question" {
        GetMasterchainInfo(GetMasterchainInfo), GetMasterchainInfoExt(GetMasterchainInfoExt), GetTime(GetTime),
        GetVersion(GetVersion), GetBlock(GetBlock), GetState(GetState), GetBlockHeader(GetBlockHeader),
        SendMessage(SendMessage), GetAccountState(GetAccountState), GetAccountStatePrunned(GetAccountStatePrunned),
        RunSmcMethod(RunSmcMethod), GetShardInfo(GetShardInfo), GetAllShardsInfo(GetAllShardsInfo),
        GetOneTransaction(GetOneTransaction), GetTransactions(GetTransactions), LookupBlock(LookupBlock),
        LookupBlockWithProof(LookupBlockWithProof), ListBlockTransactions(ListBlockTransactions),
        ListBlockTransactionsExt(ListBlockTransactionsExt), GetBlockProof(GetBlockProof), GetConfigAll(GetConfigAll),
        GetConfigParams(GetConfigParams), GetValidatorStats(GetValidatorStats), GetLibraries(GetLibraries),
        GetLibrariesWithProof(GetLibrariesWithProof), GetShardBlockProof(GetShardBlockProof),
        GetOutMsgQueueSizes(GetOutMsgQueueSizes), GetBlockOutMsgQueueSize(GetBlockOutMsgQueueSize),
        GetDispatchQueueInfo(GetDispatchQueueInfo), GetDispatchQueueMessages(GetDispatchQueueMessages),
    }
}
