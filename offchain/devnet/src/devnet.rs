//! The running network: one thread that owns ledger and store, and handles that give it jobs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use cocoon_chain::{
    AccountSnapshot, Chain, ChainError, Head, NetworkConfig, OutMessage, Patience, Trace, TransactionRecord, Wallet,
    cell_hash, run_getter,
};
use cocoon_lite::{Answer, Query};
use cocoon_protocol::{GlobalId, Hash256, Nano, StdAddr, UnixSeconds};
use cocoon_wrappers::{GetterCall, StackValue};
use tokio::sync::{mpsc, oneshot, watch};
use tycho_types::boc::Boc;
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::dict::Dict;
use tycho_types::models::{BlockId, BlockchainConfig, BlockchainConfigParams, ConfigParam36};

use crate::block::Workchain;
use crate::blocks::queue::Routed;
use crate::blocks::validator::{self, MAX_VALIDATORS};
use crate::blocks::{Chains, Pair};
use crate::clock::{Clock, SystemClock};
use crate::error::DevnetError;
use crate::genesis;
use crate::http::HttpFace;
use crate::ledger::{Attempt, Ledger, LedgerError, LedgerState, Supply};
use crate::lite::answer::Responder;
use crate::lite::{Fault, LiteServer};
use crate::store::{BlockRecord, CHECKPOINT, Store};
use crate::tvm::Rules;
use crate::view::{Known, View};

/// Config address, workchains, network id, block signing sessions and validators.
const FIXED_PARAMS: [u32; 10] = [0, 12, 19, 28, 32, 33, 34, 35, 36, 37];

/// The states of so many blocks are kept at hand.
const STATES: usize = CHECKPOINT as usize + 1;

/// Jobs that may wait at once; more wait with their senders.
const QUEUE: usize = 1024;

/// After a message from outside, as many further blocks follow at once to deliver what it caused; the rest is left to the
/// clock.
const FOLLOWING_BLOCKS: usize = 4;

/// For how long the faucet's own messages are good, in seconds.
const FAUCET_VALIDITY: u32 = 60;

/// How a network is run.
pub struct Settings {
    /// Where it is kept; in memory if absent.
    pub folder: Option<PathBuf>,
    /// Where its time comes from.
    pub clock: Box<dyn Clock>,
    /// How often a block is made when nothing happens; never if absent.
    pub tick: Option<Duration>,
    /// Which network it is; an old one must be the same. If absent, an old one stays what it is, and a new one is
    /// [`GlobalId::DEVNET`].
    pub network: Option<GlobalId>,
    /// How many validators a new network begins with, [`MAX_VALIDATORS`] at most. An old one keeps its own.
    pub validators: NonZeroU16,
}

impl Default for Settings {
    /// In memory, with the machine's clock and a block every second.
    fn default() -> Self {
        let clock = Box::new(SystemClock);
        let tick = Some(Duration::from_secs(1));
        Self { folder: None, clock, tick, network: None, validators: NonZeroU16::MIN }
    }
}

/// A handle to a running network. Clones are the same network; it ends when the last one is dropped.
#[derive(Clone)]
pub struct Devnet {
    jobs: mpsc::Sender<Job>,
    heads: watch::Receiver<Head>,
    config: watch::Receiver<Arc<NetworkConfig>>,
    network: GlobalId,
    giver: StdAddr,
}

enum Job {
    Run(Box<dyn FnOnce(&mut Core) + Send>),
    Stop(oneshot::Sender<()>),
}

struct Core {
    ledger: Ledger,
    chains: Chains,
    /// The newest blocks, the oldest first: those whose states can be had.
    recent: VecDeque<Pair>,
    store: Store,
    config: watch::Sender<Arc<NetworkConfig>>,
    clock: Box<dyn Clock>,
    /// How far the network's time is ahead of the clock, in seconds.
    offset: u32,
    giver: Wallet,
    heads: watch::Sender<Head>,
}

impl Devnet {
    /// A network in memory.
    pub async fn ephemeral() -> Result<Self, DevnetError> {
        Self::start(Settings::default()).await
    }

    /// The network kept in a folder; a new one if there is none. It goes on exactly where it was.
    pub async fn open(folder: &Path) -> Result<Self, DevnetError> {
        Self::start(Settings { folder: Some(folder.to_owned()), ..Settings::default() }).await
    }

    /// A network.
    pub async fn start(settings: Settings) -> Result<Self, DevnetError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (ready, is_ready) = oneshot::channel();
        let tick = settings.tick;
        std::thread::Builder::new()
            .name("devnet".to_owned())
            .spawn(move || match Core::new(settings) {
                Ok((core, network)) => {
                    let giver = core.giver.address().clone();
                    if ready.send(Ok((core.heads.subscribe(), core.config.subscribe(), network, giver))).is_ok() {
                        core.run(queue);
                    }
                }
                Err(e) => drop(ready.send(Err(e))),
            })
            .map_err(DevnetError::Thread)?;
        let (heads, config, network, giver) = is_ready.await.map_err(|_| DevnetError::Stopped)??;
        if let Some(period) = tick {
            tokio::spawn(tick_until_dropped(jobs.downgrade(), period));
        }
        Ok(Self { jobs, heads, config, network, giver })
    }

    /// Address of the account that the faucet pays from.
    pub const fn giver(&self) -> &StdAddr {
        &self.giver
    }

    /// Pays money to an account, as an ordinary message from the giver's wallet, and waits until it is there.
    pub async fn faucet(&self, to: &StdAddr, amount: Nano) -> Result<Trace, DevnetError> {
        let message = OutMessage::new(to.clone(), amount).no_bounce();
        let transaction = self.call(move |core| core.give(message)).await??;
        Ok(Trace::follow(self, transaction, Patience::default()).await?)
    }

    /// Moves the network's time on, and makes a block at the new time.
    pub async fn advance(&self, by: Duration) -> Result<Head, DevnetError> {
        let by = u32::try_from(by.as_secs()).unwrap_or(u32::MAX);
        self.call(move |core| {
            let before = core.offset;
            core.offset = core.offset.saturating_add(by);
            core.produce(None).inspect_err(|_| core.offset = before)
        })
        .await?
    }

    /// Makes a block now, whether anything happened or not.
    pub async fn tick(&self) -> Result<Head, DevnetError> {
        self.call(|core| core.produce(None)).await?
    }

    /// Changes a parameter of the configuration, or removes it, as a vote of validators would: the next block is a key block,
    /// and those after it follow the new rules. Parameters that say which network this is and who signs its blocks stay.
    pub async fn set_config_param(&self, param: u32, value: Option<Cell>) -> Result<Head, DevnetError> {
        self.call(move |core| core.configure(param, value)).await?
    }

    /// Elects other validators, [`MAX_VALIDATORS`] at most, as the elector of a real network would: the next block is a key
    /// block that names them as the next ones, and the first block of a later second is one that makes them the current ones.
    pub async fn elect(&self, count: NonZeroU16) -> Result<Head, DevnetError> {
        let count = validators(count)?;
        self.call(move |core| core.elect(count)).await?
    }

    /// Where all the money is.
    pub async fn supply(&self) -> Result<Supply, DevnetError> {
        Ok(self.call(|core| core.ledger.supply()).await??)
    }

    /// A block; none if there is none with this number yet, or it is the first.
    pub async fn block(&self, seqno: u32) -> Result<Option<BlockRecord>, DevnetError> {
        self.call(move |core| core.store.record(seqno)).await?.map(|found| found.filter(|_| seqno > 0))
    }

    /// The cells of a block of one of the chains, or its zerostate; none if there is none with this number yet.
    pub async fn sealed(&self, chain: Workchain, seqno: u32) -> Result<Option<Known>, DevnetError> {
        self.call(move |core| core.view().block(chain, seqno)).await?
    }

    /// Lets other people's TON clients in, at an address of this machine; port 0 is any free one. The server ends when what is
    /// returned is dropped.
    pub async fn serve_lite(&self, address: SocketAddr) -> Result<LiteServer, DevnetError> {
        self.call(Core::pass_key_block).await??;
        LiteServer::start(self.clone(), address).await.map_err(|source| DevnetError::Listen { address, source })
    }

    /// Answers what toncenter's HTTP API v2 answers, at an address of this machine; port 0 is any free one. It ends when what
    /// is returned is dropped.
    pub async fn serve_http(&self, address: SocketAddr) -> Result<HttpFace, DevnetError> {
        HttpFace::start(self.clone(), address).await.map_err(|source| DevnetError::Listen { address, source })
    }

    /// The network as TON's tools expect to be told of it: a `global.config.json` with this server, the beginning, and the
    /// newest key block to start from.
    pub async fn global_config(&self, server: &LiteServer) -> Result<serde_json::Value, DevnetError> {
        let (zero, init) = self.call(Core::landmarks).await??;
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let block = |id: &BlockId| {
            serde_json::json!({
                "workchain": -1,
                "shard": i64::MIN,
                "seqno": id.seqno,
                "root_hash": base64(&id.root_hash.0),
                "file_hash": base64(&id.file_hash.0),
            })
        };
        Ok(serde_json::json!({
            "@type": "config.global",
            "dht": {
                "@type": "dht.config.global",
                "k": 6,
                "a": 3,
                "static_nodes": { "@type": "dht.nodes", "nodes": [] },
            },
            "liteservers": [{
                "ip": server.config_ip(),
                "port": server.address().port(),
                "id": { "@type": "pub.ed25519", "key": base64(server.public_key()) },
            }],
            "validator": {
                "@type": "validator.config.global",
                "zero_state": block(&zero),
                "init_block": block(&init),
                "hardforks": [],
            },
        }))
    }

    /// Follows the newest block.
    pub(crate) fn heads(&self) -> watch::Receiver<Head> {
        self.heads.clone()
    }

    /// Takes a message from outside.
    pub(crate) async fn take(&self, message: Cell) -> Result<(), DevnetError> {
        self.call(move |core| core.receive(&message)).await?
    }

    /// Answers what a liteserver is asked.
    pub(crate) async fn ask(&self, query: Query, fault: Option<Fault>) -> Result<Answer, DevnetError> {
        self.call(move |core| core.answer(&query, fault)).await
    }

    /// Looks at the network as it is at one moment.
    pub(crate) async fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Responder<'_>) -> R + Send + 'static,
    ) -> Result<R, DevnetError> {
        self.call(move |core| look(&Responder { view: core.view(), now: core.now(), fault: None })).await
    }

    /// What a message from outside would do. Nothing is kept.
    pub(crate) async fn attempt(&self, message: Cell, any_signature: bool) -> Result<Attempt, DevnetError> {
        self.call(move |core| core.ledger.attempt(core.now(), &message, any_signature)).await?.map_err(block_error)
    }

    /// Copies the network as it is now into a folder, from which another can be opened that goes on from here.
    pub async fn snapshot(&self, folder: &Path) -> Result<(), DevnetError> {
        let folder = folder.to_owned();
        self.call(move |core| core.store.copy_to(&folder)).await?
    }

    /// Ends the network, and waits until its store is closed. Other handles then say that it is stopped.
    pub async fn stop(&self) {
        let (done, is_done) = oneshot::channel();
        if self.jobs.send(Job::Stop(done)).await.is_ok() {
            // An error says that it ended by itself.
            let _ = is_done.await;
        }
    }

    async fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, DevnetError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Run(Box::new(move |core| drop(reply.send(job(core)))));
        self.jobs.send(job).await.map_err(|_| DevnetError::Stopped)?;
        answer.await.map_err(|_| DevnetError::Stopped)
    }

    fn unreachable(&self, error: impl std::fmt::Display) -> ChainError {
        ChainError::Unreachable { network: self.network, why: error.to_string() }
    }

    fn chain_error(&self, error: DevnetError) -> ChainError {
        match error {
            DevnetError::Refused(refusal) => ChainError::Refused(refusal),
            DevnetError::Chain(error) => error,
            other => self.unreachable(other),
        }
    }
}

async fn tick_until_dropped(jobs: mpsc::WeakSender<Job>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(jobs) = jobs.upgrade() else { return };
        let job = Job::Run(Box::new(|core| {
            if let Err(error) = core.tick() {
                tracing::error!(%error, "no block at this tick");
            }
        }));
        if jobs.send(job).await.is_err() {
            return;
        }
    }
}

#[async_trait]
impl Chain for Devnet {
    fn network(&self) -> GlobalId {
        self.network
    }

    async fn head(&self) -> Result<Head, ChainError> {
        // Asked of the thread, and not of the watch, which outlives it.
        self.call(|core| core.ledger.head()).await.map_err(|e| self.unreachable(e))
    }

    async fn account(&self, address: &StdAddr) -> Result<AccountSnapshot, ChainError> {
        let address = address.clone();
        self.call(move |core| core.ledger.account(&address)).await.map_err(|e| self.unreachable(e))?
    }

    async fn transactions(
        &self,
        address: &StdAddr,
        after_lt: u64,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ChainError> {
        let (account, workchain) = (address.clone(), address.workchain);
        let cells = self.call(move |core| core.store.transactions(&account, after_lt, limit)).await;
        let cells = cells.and_then(|found| found).map_err(|e| self.chain_error(e))?;
        cells.into_iter().map(|cell| TransactionRecord::from_cell(workchain, cell)).collect()
    }

    async fn config(&self) -> Result<Arc<NetworkConfig>, ChainError> {
        Ok(self.config.borrow().clone())
    }

    async fn send(&self, message: Cell) -> Result<Hash256, ChainError> {
        let hash = cell_hash(&message);
        let sent = self.call(move |core| core.receive(&message)).await;
        sent.and_then(|sent| sent).map_err(|e| self.chain_error(e))?;
        Ok(hash)
    }

    async fn libraries(&self, wanted: &[HashBytes]) -> Result<Vec<Cell>, ChainError> {
        let wanted = wanted.to_vec();
        let find = move |core: &mut Core| -> Result<Vec<Cell>, tycho_types::error::Error> {
            let public = core.chains.libraries();
            let found = wanted.iter().map(|hash| Ok(public.get(hash)?.map(|library| library.lib)));
            Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        };
        let found = self.call(find).await.map_err(|e| self.unreachable(e))?;
        found.map_err(|e| ChainError::malformed("public libraries", e))
    }

    fn subscribe(&self) -> watch::Receiver<Head> {
        self.heads.clone()
    }
}

impl Core {
    fn new(settings: Settings) -> Result<(Self, GlobalId), DevnetError> {
        let config_hash = Hash256(Boc::file_hash(genesis::CONFIG).0);
        let store = match &settings.folder {
            Some(folder) => Store::open(folder, config_hash)?,
            None => Store::ephemeral(config_hash)?,
        };
        let opened = store.load()?;
        let (state, recent) = match opened.state {
            Some(state) => {
                let recent = store.recent(state.head.seqno)?;
                (state, recent)
            }
            None => {
                let network = settings.network.unwrap_or(GlobalId::DEVNET);
                let giver = genesis::giver(network).map_err(Box::new)?;
                let state = LedgerState::genesis(&giver, settings.clock.now()).map_err(block_error)?;
                let zerostates = genesis::zerostates(network, validators(settings.validators)?, &state)
                    .map_err(|e| DevnetError::Block(e.to_string()))?;
                store.begin(&state, &zerostates, opened.offset)?;
                (state, vec![zerostates])
            }
        };
        let damaged = |e: &dyn std::fmt::Display| store.damaged("the newest block", e);
        let tip = recent.last().ok_or_else(|| damaged(&"it is not there"))?;
        let is_waiting = |message: &Routed| state.queue.contains_key(&message.place());
        let chains = Chains::read(tip, is_waiting).map_err(|e| damaged(&e))?;
        let config = Arc::new(network_config(&chains)?);
        let network = config.global_id();
        if let Some(expected) = settings.network.filter(|expected| *expected != network) {
            return Err(store.other_network(network, expected));
        }
        let giver = genesis::giver(network).map_err(Box::new)?;
        let mut state = state;
        state.libraries = chains.libraries().clone();
        let ledger = Ledger::new(&config, state).map_err(block_error)?;
        let (heads, _) = watch::channel(ledger.head());
        let (config, _) = watch::channel(config);
        let (clock, offset) = (settings.clock, opened.offset);
        Ok((Self { ledger, chains, recent: recent.into(), store, config, clock, offset, giver, heads }, network))
    }

    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            match job {
                Job::Run(job) => {
                    // Blocks become part of the ledger in one step that cannot fail, so that whatever a job dies of
                    // leaves no half of one.
                    if catch_unwind(AssertUnwindSafe(|| job(&mut self))).is_err() {
                        tracing::error!("a job of the devnet panicked; the network goes on without it");
                    }
                }
                Job::Stop(done) => {
                    drop(jobs);
                    drop(self);
                    // Whoever asked may be gone.
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    fn view(&self) -> View<'_> {
        let config = self.config.borrow().clone();
        View { store: &self.store, recent: &self.recent, head: self.ledger.head(), config }
    }

    fn answer(&self, query: &Query, fault: Option<Fault>) -> Answer {
        let mut view = self.view();
        if let Some(Fault::Lag(blocks)) = fault {
            view.head.seqno = view.head.seqno.saturating_sub(blocks);
        }
        Responder { view, now: self.now(), fault }.answer(query)
    }

    /// Makes sure that the newest block is not a key block: clients that start from one want something to come after it.
    fn pass_key_block(&mut self) -> Result<(), DevnetError> {
        while self.ledger.head().seqno == self.chains.last_key_seqno() {
            self.produce(None)?;
        }
        Ok(())
    }

    /// The beginning of the masterchain, and its newest key block, which is not the newest block.
    fn landmarks(&mut self) -> Result<(BlockId, BlockId), DevnetError> {
        self.pass_key_block()?;
        let view = self.view();
        let id = |seqno| {
            let found = view.block(Workchain::Master, seqno)?;
            found.map(|known| known.id).ok_or_else(|| self.store.damaged(&format!("block {seqno}"), "it is not there"))
        };
        Ok((id(0)?, id(self.chains.last_key_seqno())?))
    }

    fn now(&self) -> UnixSeconds {
        self.clock.now().plus(self.offset)
    }

    /// Makes one block.
    fn produce(&mut self, external: Option<&Cell>) -> Result<Head, DevnetError> {
        self.produce_with(external, None)
    }

    /// Makes a key block with another configuration.
    fn configure(&mut self, param: u32, value: Option<Cell>) -> Result<Head, DevnetError> {
        let refuse = |why: String| DevnetError::ConfigParam { param, why };
        if FIXED_PARAMS.contains(&param) {
            return Err(refuse("it says which network this is or who signs its blocks".to_owned()));
        }
        let current = self.chains.config();
        let mut params = Dict::<u32, Cell>::from_raw(current.params.as_dict().root().clone());
        match value {
            Some(value) => params.set(param, value).map(drop),
            None => params.remove(param).map(drop),
        }
        .map_err(|e| refuse(e.to_string()))?;
        let root = params.into_root().ok_or_else(|| refuse("none would be left".to_owned()))?;
        let config = NetworkConfig::from_cell(root.clone())?;
        // Whether the machine can follow it shows before there is a block with it.
        Rules::new(&config, self.ledger.head().utime).map_err(|e| refuse(e.to_string()))?;
        let next = BlockchainConfig { address: current.address, params: BlockchainConfigParams::from_raw(root) };
        self.produce_with(None, Some(next))
    }

    /// Makes a key block with the validators that sign from the next second on.
    fn elect(&mut self, count: NonZeroU16) -> Result<Head, DevnetError> {
        let since = self.now().max(self.ledger.head().utime).plus(1);
        let mut next = self.chains.config().clone();
        let set = validator::elected(count, since);
        next.params.set::<ConfigParam36>(&set).map_err(|e| DevnetError::Block(format!("its configuration: {e}")))?;
        self.produce_with(None, Some(next))
    }

    fn produce_with(&mut self, external: Option<&Cell>, config: Option<BlockchainConfig>) -> Result<Head, DevnetError> {
        let block = self.ledger.make_block(self.now(), external).map_err(block_error)?;
        let cells = |e| DevnetError::Block(format!("its cells: {e}"));
        let mut next_config = config.clone().unwrap_or_else(|| self.chains.config().clone());
        let is_due = validator::rotate(&mut next_config.params, block.head.utime).map_err(cells)?;
        let config = (is_due || config.is_some()).then_some(next_config);
        let next = self.chains.seal(&block, config.clone()).map_err(cells)?;
        self.store.commit(&block, &next.pair, self.ledger.totals(), self.offset)?;
        self.recent.push_back(next.pair.clone());
        while self.recent.len() > STATES {
            self.recent.pop_front();
        }
        self.chains.adopt(next);
        self.ledger.adopt(block);
        if config.is_some() {
            let config = Arc::new(network_config(&self.chains)?);
            self.ledger.configure(&config).map_err(block_error)?;
            self.config.send_replace(config);
        }
        let head = self.ledger.head();
        self.heads.send_replace(head);
        Ok(head)
    }

    /// Makes a block if there is anything new to say.
    fn tick(&mut self) -> Result<(), DevnetError> {
        if self.ledger.has_queue() || self.now() > self.ledger.head().utime {
            self.produce(None)?;
        }
        Ok(())
    }

    /// Takes a message from outside, and delivers what it causes.
    fn receive(&mut self, message: &Cell) -> Result<(), DevnetError> {
        self.produce(Some(message))?;
        for _ in 0..FOLLOWING_BLOCKS {
            if !self.ledger.has_queue() {
                break;
            }
            if let Err(error) = self.produce(None) {
                // The message itself is in a block; the rest comes with the next tick.
                tracing::error!(%error, "what a message caused is not delivered yet");
                break;
            }
        }
        Ok(())
    }

    /// Sends a message from the giver, and returns the giver's transaction.
    fn give(&mut self, message: OutMessage) -> Result<TransactionRecord, DevnetError> {
        let (to, amount) = (message.to.clone(), message.value);
        let cannot = |why: &str| DevnetError::Faucet { to: to.clone(), amount, why: why.to_owned() };
        let account = self.ledger.account(self.giver.address())?;
        let seqno = if account.code.is_some() {
            let call = GetterCall { name: "seqno", args: vec![] };
            match run_getter(&account, &self.config.borrow(), &call).map_err(Box::new)?.stack.as_slice() {
                [StackValue::Int(seqno)] => u32::try_from(seqno).map_err(|_| cannot("its wallet is used up"))?,
                _ => return Err(cannot("its wallet gives no seqno")),
            }
        } else {
            0
        };
        let valid_until = self.now().max(account.at.utime).plus(FAUCET_VALIDITY);
        let deploy = account.code.is_none();
        let signed = self.giver.sign(&[message], seqno, valid_until, deploy).map_err(Box::new)?;
        self.receive(&signed)?;
        let after = self.store.transactions(self.giver.address(), account.last_trans_lt, 1)?;
        let cell = after.into_iter().next().ok_or_else(|| cannot("its transaction is not there"))?;
        let transaction = TransactionRecord::from_cell(self.giver.address().workchain, cell)?;
        if transaction.out_messages.is_empty() {
            return Err(cannot("it has not enough left"));
        }
        Ok(transaction)
    }
}

/// As many validators as there can be.
fn validators(count: NonZeroU16) -> Result<NonZeroU16, DevnetError> {
    if count.get() > MAX_VALIDATORS { Err(DevnetError::Validators(count.get())) } else { Ok(count) }
}

fn network_config(chains: &Chains) -> Result<NetworkConfig, DevnetError> {
    let root = chains.config().params.as_dict().root().clone().unwrap_or_default();
    Ok(NetworkConfig::from_cell(root)?)
}

fn block_error(error: LedgerError) -> DevnetError {
    match error {
        LedgerError::Refused(refusal) => DevnetError::Refused(refusal),
        other => DevnetError::Block(other.to_string()),
    }
}
