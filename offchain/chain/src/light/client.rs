//! The client: a [`Chain`] behind which there are liteservers that nobody has to trust.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cocoon_lite::queries::{GetAccountState, GetBlockProof, GetConfigAll, GetLibrariesWithProof, GetTransactions};
use cocoon_lite::{AccountId, Answer, BlockIdExt};
use cocoon_protocol::{GlobalId, Hash256, StdAddr};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tycho_types::cell::{Cell, HashBytes};

use super::cache::Cache;
use super::contents::{check_account, check_config, check_history, check_libraries};
use super::error::ProofError;
use super::follow;
use super::links::{ProvenBlock, check_steps};
use super::pool::{Pool, Vain, expect};
use super::proven::StateProof;
use super::send;
use super::settings::LightSettings;
use super::store::{self, StateFileError, Trusted};
use crate::account::AccountSnapshot;
use crate::chain::{Chain, ChainError, Head};
use crate::config::NetworkConfig;
use crate::getter::MAX_LIBRARIES;
use crate::transaction::TransactionRecord;

/// Accounts and transactions that are kept; services ask for the same few again and again.
const ACCOUNTS: usize = 512;
const TRANSACTIONS: usize = 2048;

/// Public libraries that are kept, each with the block that it is proven at. The network bounds the size of each.
const LIBRARIES: usize = 64;

/// A proof for others has at most so many answers of servers, each of some dozen steps.
const MOST_PROOFS: usize = 256;

/// Servers give no more transactions at once.
const PAGE: usize = 16;

/// A light client cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LightError {
    /// What was kept from before cannot be used.
    #[error("the light client's state cannot be used: {0}")]
    StateFile(#[from] StateFileError),
    /// Nothing could be proven.
    #[error("no liteserver proved a block within {seconds} s: {why}")]
    NoHead {
        /// How long it was tried.
        seconds: u64,
        /// What each server did.
        why: String,
    },
    /// The network is newer than this program.
    #[error("the network cannot be followed: {0}")]
    Unsupported(ProofError),
}

/// A TON network, seen through liteservers. What they say is checked against signatures of validators, from a block that the
/// network's file names.
///
/// The background tasks end when this is dropped.
pub struct LightClient {
    inner: Arc<Inner>,
    tasks: Vec<AbortHandle>,
}

pub(super) struct Inner {
    pub settings: LightSettings,
    pub pool: Pool,
    pub network: OnceLock<GlobalId>,
    /// From where blocks are proven: the newest key block that is proven itself, or where the network's file starts.
    anchor: Mutex<BlockIdExt>,
    /// No block before this one is the newest.
    pub floor: u32,
    pub head: watch::Sender<Option<ProvenBlock>>,
    pub heads: watch::Sender<Head>,
    pub news: Notify,
    pub unsupported: Mutex<Option<ProofError>>,
    pub saved: Mutex<Option<Trusted>>,
    config: Mutex<Option<(u32, Arc<NetworkConfig>)>>,
    accounts: Mutex<Cache<StdAddr, AccountSnapshot>>,
    transactions: Mutex<Cache<(StdAddr, u64), TransactionRecord>>,
    libraries: Mutex<Cache<HashBytes, (u32, Option<Cell>)>>,
}

impl Inner {
    pub fn anchor(&self) -> BlockIdExt {
        self.anchor.lock().clone()
    }

    pub fn set_anchor(&self, id: BlockIdExt) {
        let mut anchor = self.anchor.lock();
        if id.seqno > anchor.seqno {
            *anchor = id;
        }
    }

    /// Finds the servers that are behind.
    pub fn compare(&self) {
        if let Some(head) = &*self.head.borrow() {
            for server in &self.pool.servers {
                server.compare(head.utime, self.settings.max_lag);
            }
        }
    }

    fn network(&self) -> GlobalId {
        self.network.get().copied().unwrap_or(GlobalId(0))
    }

    fn unreachable(&self, why: String) -> ChainError {
        ChainError::Unreachable { network: self.network(), why }
    }

    pub(super) fn vain(&self, what: &str, vain: &Vain) -> ChainError {
        match vain.unsupported() {
            Some(proof) => ChainError::Unsupported { network: self.network(), why: proof.to_string() },
            None => self.unreachable(format!("no liteserver gave {what}: {vain}")),
        }
    }

    pub(super) fn block(&self) -> Result<ProvenBlock, ChainError> {
        self.head.borrow().clone().ok_or_else(|| self.unreachable("no block is proven yet".to_owned()))
    }
}

impl LightClient {
    /// Connects to a network, and returns when its newest block is proven.
    pub async fn connect(settings: LightSettings) -> Result<Self, LightError> {
        let network = &settings.network;
        let saved = match &settings.state_file {
            Some(path) => store::load(path, &network.zero_state)?,
            None => None,
        };
        let start = network.init_block.clone().unwrap_or_else(|| network.zero_state.clone());
        let kept = saved.as_ref().map(|saved| saved.anchor.clone()).filter(|kept| kept.seqno > start.seqno);
        let inner = Arc::new(Inner {
            pool: Pool::new(&settings),
            network: OnceLock::new(),
            anchor: Mutex::new(kept.unwrap_or(start)),
            floor: saved.as_ref().map_or(0, |saved| saved.head.seqno),
            head: watch::Sender::new(None),
            heads: watch::Sender::new(Head::default()),
            news: Notify::new(),
            unsupported: Mutex::new(None),
            saved: Mutex::new(saved),
            config: Mutex::new(None),
            accounts: Mutex::new(Cache::new(ACCOUNTS)),
            transactions: Mutex::new(Cache::new(TRANSACTIONS)),
            libraries: Mutex::new(Cache::new(LIBRARIES)),
            settings,
        });
        let watchers = (0..inner.pool.servers.len()).map(|index| tokio::spawn(follow::watch(inner.clone(), index)));
        let mut tasks: Vec<_> = watchers.map(|task| task.abort_handle()).collect();
        tasks.push(tokio::spawn(follow::advance(inner.clone())).abort_handle());
        let client = Self { inner, tasks };
        client.first_head().await?;
        Ok(client)
    }

    async fn first_head(&self) -> Result<(), LightError> {
        let inner = &self.inner;
        let patience = inner.settings.patience;
        // Wakes up for failures too.
        let mut changes = inner.heads.subscribe();
        let first = async {
            loop {
                if inner.head.borrow().is_some() {
                    return Ok(());
                }
                if let Some(proof) = inner.unsupported.lock().clone() {
                    return Err(LightError::Unsupported(proof));
                }
                if changes.changed().await.is_err() {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(patience, first).await.unwrap_or_else(|_| {
            let why = inner.pool.troubles().join("; ");
            let why = if why.is_empty() { "none has a block that could be proven".to_owned() } else { why };
            Err(LightError::NoHead { seconds: patience.as_secs(), why })
        })?;
        // The first server to answer may be the one that is behind: the others get a moment to say so.
        let all = async {
            while !inner.pool.servers.iter().all(super::server::Server::was_heard) || inner.is_ahead() {
                tokio::time::sleep(inner.settings.timeout / 64).await;
            }
        };
        let _ = tokio::time::timeout(inner.settings.timeout / 4, all).await;
        Ok(())
    }

    /// What is wrong with which servers, in words for people.
    pub fn troubles(&self) -> Vec<String> {
        self.inner.pool.troubles()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The newest block, with its hashes.
    pub fn proven_block(&self) -> Option<ProvenBlock> {
        self.inner.head.borrow().clone()
    }
}

impl Inner {
    /// Whether a server says that it has more than is proven.
    fn is_ahead(&self) -> bool {
        let head = self.head.borrow().as_ref().map_or(0, |head| head.id.seqno);
        self.pool.servers.iter().any(|server| server.claim().is_some_and(|claim| claim.id.seqno > head))
    }

    /// Steps to a block from where the network's file begins, as servers gave them. What this client has proven since does
    /// not count: whoever reads the proof trusts the file only.
    async fn blocks_to(&self, target: &BlockIdExt) -> Result<Vec<Vec<u8>>, ChainError> {
        let network = &self.settings.network;
        let mut at = network.init_block.clone().unwrap_or_else(|| network.zero_state.clone());
        let mut proofs = vec![];
        while proofs.len() < MOST_PROOFS {
            let query = GetBlockProof { mode: 1, known_block: at.clone(), target_block: Some(target.clone()) }.into();
            let check = |answer| {
                let proof = expect(answer, |answer| match answer {
                    Answer::PartialBlockProof(proof) => Some(proof),
                    _ => None,
                })?;
                let reached = check_steps(&at, target, &proof)?;
                Ok((Answer::from(proof).to_bytes(), reached))
            };
            let found = self.pool.ask(&query, target.seqno, check).await;
            let (bytes, reached) = found.map_err(|vain| self.vain("the steps to a block", &vain))?;
            proofs.push(bytes);
            if reached.complete {
                return Ok(proofs);
            }
            if reached.id == at {
                break;
            }
            at = reached.id;
        }
        let why = "the steps from the network's file to the newest block are too many: take a newer global.config.json";
        Err(ChainError::malformed("a proof", why))
    }

    async fn page(&self, address: &StdAddr, lt: u64, hash: Hash256) -> Result<Vec<TransactionRecord>, ChainError> {
        let account = AccountId { workchain: address.workchain.into(), id: address.address };
        let hash_bytes = HashBytes(*hash.as_bytes());
        let query = GetTransactions { count: PAGE as u32, account, lt, hash: hash_bytes }.into();
        let check = |answer| {
            let list = expect(answer, |answer| match answer {
                Answer::TransactionList(list) => Some(list),
                _ => None,
            })?;
            Ok(check_history(address, (lt, hash), PAGE, &list)?)
        };
        let found = self.pool.ask(&query, 0, check).await;
        found.map_err(|vain| self.vain(&format!("transaction {lt} of {address}"), &vain))
    }
}

impl Drop for LightClient {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait]
impl Chain for LightClient {
    fn network(&self) -> GlobalId {
        self.inner.network()
    }

    async fn head(&self) -> Result<Head, ChainError> {
        let inner = &self.inner;
        let block = inner.block()?;
        if let Some(proof) = inner.unsupported.lock().as_ref() {
            return Err(ChainError::Unsupported { network: inner.network(), why: proof.to_string() });
        }
        let patience = inner.settings.patience;
        let heard = inner.pool.servers.iter().filter_map(super::server::Server::last_success).max();
        if heard.is_none_or(|heard| Instant::now().duration_since(heard) > patience) {
            let troubles = inner.pool.troubles().join("; ");
            let why = format!("no liteserver could be believed for {} s: {troubles}", patience.as_secs());
            return Err(inner.unreachable(why));
        }
        if let Some(clock) = &inner.settings.clock {
            let age = clock().0.saturating_sub(block.utime);
            if u64::from(age) > inner.settings.max_lag.as_secs() {
                let troubles = inner.pool.troubles().join("; ");
                let servers =
                    inner.pool.servers.iter().map(|server| server.name.as_str()).collect::<Vec<_>>().join(", ");
                let why = format!("the newest block of {servers} is {age} s old; {troubles}");
                return Err(inner.unreachable(why));
            }
        }
        Ok(block.head())
    }

    async fn account(&self, address: &StdAddr) -> Result<AccountSnapshot, ChainError> {
        let inner = &self.inner;
        let block = inner.block()?;
        if let Some(known) = inner.accounts.lock().get(address)
            && known.at == block.head()
        {
            return Ok(known);
        }
        let account = AccountId { workchain: address.workchain.into(), id: address.address };
        let query = GetAccountState { id: block.id.clone(), account }.into();
        let check = |answer| {
            let state = expect(answer, |answer| match answer {
                Answer::AccountState(state) => Some(state),
                _ => None,
            })?;
            Ok(check_account(&block, address, &state)?)
        };
        let found = inner.pool.ask(&query, block.id.seqno, check).await;
        let snapshot = found.map_err(|vain| inner.vain(&format!("account {address}"), &vain))?;
        inner.accounts.lock().put(address.clone(), snapshot.clone());
        Ok(snapshot)
    }

    async fn transactions(
        &self,
        address: &StdAddr,
        after_lt: u64,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ChainError> {
        let inner = &self.inner;
        let account = self.account(address).await?;
        let (mut lt, mut hash) = (account.last_trans_lt, account.last_trans_hash);
        // Back from the newest one, whose hash is proven; each has the hash of the one before it.
        let mut oldest = VecDeque::new();
        while lt > after_lt {
            let known = inner.transactions.lock().get(&(address.clone(), lt)).filter(|known| known.hash == hash);
            let record = match known {
                Some(known) => known,
                None => {
                    let page = inner.page(address, lt, hash).await?;
                    let mut cache = inner.transactions.lock();
                    for record in page.iter().rev() {
                        cache.put((address.clone(), record.lt), record.clone());
                    }
                    let first = page.into_iter().next();
                    first.ok_or_else(|| ChainError::malformed("an account's history", "a page of it is empty"))?
                }
            };
            (lt, hash) = (record.prev_lt, record.prev_hash);
            oldest.push_front(record);
            oldest.truncate(limit);
        }
        Ok(oldest.into())
    }

    async fn config(&self) -> Result<Arc<NetworkConfig>, ChainError> {
        let inner = &self.inner;
        let block = inner.block()?;
        if let Some((seqno, config)) = &*inner.config.lock()
            && *seqno == block.config_seqno()
        {
            return Ok(config.clone());
        }
        let query = GetConfigAll { mode: 0, id: block.id.clone() }.into();
        let check = |answer| {
            let info = expect(answer, |answer| match answer {
                Answer::ConfigInfo(info) => Some(info),
                _ => None,
            })?;
            Ok(check_config(&block, &info)?)
        };
        let found = inner.pool.ask(&query, block.id.seqno, check).await;
        let config = Arc::new(found.map_err(|vain| inner.vain("the configuration", &vain))?);
        if let Some(version) = config.unknown_tvm_version() {
            tracing::warn!(version, "the network's TVM is newer than this program: getters may give other results");
        }
        *inner.config.lock() = Some((block.config_seqno(), config.clone()));
        Ok(config)
    }

    async fn send(&self, message: Cell) -> Result<Hash256, ChainError> {
        send::send(&self.inner, message).await
    }

    fn subscribe(&self) -> watch::Receiver<Head> {
        self.inner.heads.subscribe()
    }

    async fn libraries(&self, wanted: &[HashBytes]) -> Result<Vec<Cell>, ChainError> {
        if wanted.len() > MAX_LIBRARIES {
            let why = format_args!("{} are asked for at once, the limit is {MAX_LIBRARIES}", wanted.len());
            return Err(ChainError::malformed("public libraries", why));
        }
        let inner = &self.inner;
        let block = inner.block()?;
        let (mut found, mut unknown) = (vec![], vec![]);
        {
            let known = inner.libraries.lock();
            for hash in wanted {
                match known.get(hash) {
                    // Whoever publishes a library may withdraw it with the next block.
                    Some((at, library)) if at == block.id.seqno => found.extend(library),
                    _ => unknown.push(*hash),
                }
            }
        }
        if unknown.is_empty() {
            return Ok(found);
        }
        let query = GetLibrariesWithProof { id: block.id.clone(), mode: 0, library_list: unknown.clone() }.into();
        let check = |answer| {
            let result = expect(answer, |answer| match answer {
                Answer::LibraryResultWithProof(result) => Some(result),
                _ => None,
            })?;
            Ok(check_libraries(&block, &unknown, &result)?)
        };
        let fresh = inner.pool.ask(&query, block.id.seqno, check).await;
        let fresh = fresh.map_err(|vain| inner.vain("public libraries", &vain))?;
        let mut known = inner.libraries.lock();
        for hash in unknown {
            let library = fresh.iter().find(|library| *library.repr_hash() == hash).cloned();
            known.put(hash, (block.id.seqno, library));
        }
        found.extend(fresh);
        Ok(found)
    }

    async fn prove(&self, accounts: &[StdAddr]) -> Result<StateProof, ChainError> {
        let inner = &self.inner;
        let block = inner.block()?;
        let mut proof = StateProof { blocks: inner.blocks_to(&block.id).await?, ..StateProof::default() };
        let query = GetConfigAll { mode: 0, id: block.id.clone() }.into();
        let check = |answer| {
            let info = expect(answer, |answer| match answer {
                Answer::ConfigInfo(info) => Some(info),
                _ => None,
            })?;
            check_config(&block, &info)?;
            Ok(Answer::from(info).to_bytes())
        };
        let found = inner.pool.ask(&query, block.id.seqno, check).await;
        proof.config = found.map_err(|vain| inner.vain("the configuration", &vain))?;
        for address in accounts {
            let account = AccountId { workchain: address.workchain.into(), id: address.address };
            let query = GetAccountState { id: block.id.clone(), account }.into();
            let check = |answer| {
                let state = expect(answer, |answer| match answer {
                    Answer::AccountState(state) => Some(state),
                    _ => None,
                })?;
                check_account(&block, address, &state)?;
                Ok(Answer::from(state).to_bytes())
            };
            let found = inner.pool.ask(&query, block.id.seqno, check).await;
            let state = found.map_err(|vain| inner.vain(&format!("account {address}"), &vain))?;
            proof.accounts.push((address.clone(), state));
        }
        Ok(proof)
    }
}

impl Inner {
    pub(super) fn not_sent(&self, message: &Hash256, vain: &Vain) -> ChainError {
        self.vain(&format!("message {message} a way into the network"), vain)
    }
}
