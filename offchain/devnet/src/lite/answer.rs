//! Finds the answer to a question.

use cocoon_lite::{Answer, BlockIdExt, Query, answers};
use cocoon_protocol::{StdAddr, UnixSeconds};
use tycho_types::cell::Cell;
use tycho_types::error::Error;

use crate::block::Workchain;
use crate::error::DevnetError;
use crate::lite::Fault;
use crate::store::CHECKPOINT;
use crate::view::{Known, View};

/// The protocol's version, 1.1, as the C++ server gives it.
const VERSION: u32 = 0x101;

/// What the server can: proofs of everything, and waiting for blocks.
const CAPABILITIES: u64 = 7;

/// A question cannot be answered. The codes are those of the C++ server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked for is not there, or not any more.
    #[error("{0}")]
    NotReady(String),
    /// The question makes no sense.
    #[error("{0}")]
    Protocol(String),
    /// A message from outside was refused.
    #[error("cannot apply external message to current state: {0}")]
    Refused(String),
    /// A wait took too long.
    #[error("timeout: there is no block {0} yet")]
    Timeout(u32),
    /// Something is wrong with the server.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// What the client gets.
    pub fn answer(&self) -> Answer {
        let code = match self {
            Self::Refused(_) => 0,
            Self::Broken(_) => 602,
            Self::Protocol(_) => 621,
            Self::NotReady(_) => 651,
            Self::Timeout(_) => 652,
        };
        Answer::Error(answers::Error { code, message: self.to_string() })
    }
}

impl From<DevnetError> for Failure {
    fn from(error: DevnetError) -> Self {
        match error {
            DevnetError::Refused(refusal) => Self::Refused(refusal.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broken(format!("a structure cannot be read or built: {error}"))
    }
}

/// A view, and what the server does wrong.
pub(crate) struct Responder<'a> {
    pub view: View<'a>,
    pub now: UnixSeconds,
    pub fault: Option<Fault>,
}

impl Responder<'_> {
    /// Answers everything that changes nothing.
    pub fn answer(&self, query: &Query) -> Answer {
        self.try_answer(query).unwrap_or_else(|failure| failure.answer())
    }

    fn try_answer(&self, query: &Query) -> Result<Answer, Failure> {
        Ok(match query {
            Query::GetMasterchainInfo(_) => self.masterchain_info()?.into(),
            Query::GetMasterchainInfoExt(_) => {
                let info = self.masterchain_info()?;
                answers::MasterchainInfoExt {
                    mode: 0,
                    version: VERSION,
                    capabilities: CAPABILITIES,
                    last: info.last,
                    last_utime: self.head()?.utime.0,
                    now: self.now.0,
                    state_root_hash: info.state_root_hash,
                    init: info.init,
                }
                .into()
            }
            Query::GetTime(_) => answers::CurrentTime { now: self.now.0 }.into(),
            Query::GetVersion(_) => {
                answers::Version { mode: 0, version: VERSION, capabilities: CAPABILITIES, now: self.now.0 }.into()
            }
            Query::GetBlock(query) => self.block_data(query)?.into(),
            Query::GetState(query) => self.block_state(query)?.into(),
            Query::GetBlockHeader(query) => self.block_header(query)?.into(),
            Query::GetAccountState(query) => self.account_state(&query.id, &query.account, false)?.into(),
            Query::GetAccountStatePrunned(query) => self.account_state(&query.id, &query.account, true)?.into(),
            Query::RunSmcMethod(query) => self.run_method(query)?.into(),
            Query::GetShardInfo(query) => self.shard_info(query)?.into(),
            Query::GetAllShardsInfo(query) => self.all_shards(query)?.into(),
            Query::GetOneTransaction(query) => self.one_transaction(query)?.into(),
            Query::GetTransactions(query) => self.transactions(query)?.into(),
            Query::LookupBlock(query) => self.lookup(query)?.into(),
            Query::LookupBlockWithProof(query) => self.lookup_with_proof(query)?.into(),
            Query::ListBlockTransactions(query) => self.list_transactions(query)?.into(),
            Query::ListBlockTransactionsExt(query) => self.list_transactions_ext(query)?.into(),
            Query::GetBlockProof(query) => self.block_proof(query)?.into(),
            Query::GetConfigAll(query) => self.config(query.mode, &query.id, None)?.into(),
            Query::GetConfigParams(query) => self.config(query.mode, &query.id, Some(&query.param_list))?.into(),
            Query::GetLibraries(query) => self.libraries(query)?.into(),
            Query::GetLibrariesWithProof(query) => self.libraries_with_proof(query)?.into(),
            Query::GetShardBlockProof(query) => self.shard_block_proof(query)?.into(),
            Query::GetOutMsgQueueSizes(query) => self.queue_sizes(query)?.into(),
            Query::GetBlockOutMsgQueueSize(query) => self.queue_size(query)?.into(),
            Query::GetValidatorStats(query) => self.validator_stats(query)?.into(),
            Query::SendMessage(_) => return Err(Failure::Protocol("a message is no question".to_owned())),
            Query::GetDispatchQueueInfo(_) | Query::GetDispatchQueueMessages(_) => {
                return Err(Failure::Protocol("this network puts no messages off".to_owned()));
            }
        })
    }

    fn masterchain_info(&self) -> Result<answers::MasterchainInfo, Failure> {
        let head = self.head()?;
        let zerostate = self.zerostate()?.id;
        let init = cocoon_lite::ZeroStateIdExt {
            workchain: -1,
            root_hash: zerostate.root_hash,
            file_hash: zerostate.file_hash,
        };
        let state_root_hash = *self.state(&head)?.repr_hash();
        Ok(answers::MasterchainInfo { last: head.id.into(), state_root_hash, init })
    }

    /// The newest masterchain block.
    pub fn head(&self) -> Result<Known, Failure> {
        self.numbered(Workchain::Master, self.view.head.seqno)
    }

    pub fn zerostate(&self) -> Result<Known, Failure> {
        self.numbered(Workchain::Master, 0)
    }

    /// A block that the view has.
    pub fn numbered(&self, chain: Workchain, seqno: u32) -> Result<Known, Failure> {
        let found = self.view.block(chain, seqno)?;
        found.ok_or_else(|| Failure::NotReady(format!("there is no block {seqno} yet")))
    }

    /// The block with this name.
    pub fn find(&self, id: &BlockIdExt) -> Result<Known, Failure> {
        let chain = chain(id.workchain, id.shard)?;
        let found = self.numbered(chain, id.seqno)?;
        if BlockIdExt::from(found.id) == *id {
            Ok(found)
        } else {
            Err(Failure::NotReady(format!("block {} has other hashes here", id.seqno)))
        }
    }

    /// The masterchain block with this name.
    pub fn find_master(&self, id: &BlockIdExt) -> Result<Known, Failure> {
        if id.workchain != -1 {
            return Err(Failure::Protocol("a masterchain block is needed".to_owned()));
        }
        self.find(id)
    }

    /// The state after a block.
    pub fn state(&self, known: &Known) -> Result<Cell, Failure> {
        known.state.clone().ok_or_else(|| {
            let why = format!("the state after {} is not kept any more: only those of the last {CHECKPOINT}", known.id);
            Failure::NotReady(why)
        })
    }
}

/// The chain that a shard is.
pub(crate) fn chain(workchain: i32, shard: u64) -> Result<Workchain, Failure> {
    let found = Workchain::ALL.into_iter().find(|chain| chain.shard().workchain() == workchain);
    match found {
        Some(chain) if chain.shard().prefix() == shard => Ok(chain),
        _ => Err(Failure::NotReady(format!("there is no shard {workchain}:{shard:016x}"))),
    }
}

/// The account that a question names.
pub(crate) fn address(account: &cocoon_lite::AccountId) -> Result<StdAddr, Failure> {
    let workchain = i8::try_from(account.workchain)
        .map_err(|_| Failure::Protocol(format!("there is no workchain {}", account.workchain)))?;
    Ok(StdAddr::new(workchain, account.id))
}

/// What a proof is made of cannot be read with an error of ours in between.
pub(crate) const fn missing() -> Error {
    Error::InvalidData
}
