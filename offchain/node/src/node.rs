//! A service's place in the network.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cocoon_attest::{
    CollateralProvider, Demands, Identity, IdentityHandle, IdentityRequest, ImageDemand, IssueError, PolicyHandle,
    Quoter, Verifier, appraise_certificate, issue_client_identity, issue_identity,
};
use cocoon_chain::{Chain, ChainError, Head, Wallet};
use cocoon_link::{Endpoint, LinkConfig};
use cocoon_payments::{PayeeBooks, PayeeTerms, PayerBooks, Report, Store, StoreError};
use cocoon_protocol::frame::{Books, ChannelTerms};
use cocoon_protocol::{GlobalId, Hash256, ImageId, Nano, NodeKey, NodePublicKey, Role, StdAddr, UnixSeconds};
use cocoon_wrappers::generated::pay_channel;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::books::{Ledger, PayeeChannel, PayerChannel};
use crate::channels::{self, ChannelState};
use crate::registry::{self, RegistryError, RegistryView};
use crate::{ChannelError, stake};

/// A voucher must be claimable for this long after it was taken, in seconds.
const EXPIRY_MARGIN: u32 = 600;

/// How many blocks another node's view of the chain may be ahead of ours.
const BLOCKS_BEHIND: usize = 3;
/// How long a block may take in coming.
const BLOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What a node is made of.
pub struct NodeConfig {
    /// The network.
    pub chain: Arc<dyn Chain>,
    /// The root contract.
    pub registry: StdAddr,
    /// What the node is.
    pub role: Role,
    /// Its on-chain key: signs vouchers and receipts, and is certified by its quotes, unless it is a client's.
    pub key: NodeKey,
    /// Pays and is paid.
    pub wallet: Arc<Wallet>,
    /// Where its quotes come from; `None` for a client, which shows none, and for nobody else.
    pub quoter: Option<Arc<dyn Quoter>>,
    /// Where collateral for others' quotes comes from.
    pub collateral: Arc<dyn CollateralProvider>,
    /// Limits of its links.
    pub link: LinkConfig,
    /// The voucher store's file.
    pub store: PathBuf,
    /// A proxy reports how workers serve from this much unclaimed money on; others are bonded to nobody and do not.
    pub report_from: Option<Nano>,
}

/// A node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The registry cannot be read.
    #[error("the registry at {address}: {source}")]
    Registry {
        /// Where it should be.
        address: Box<StdAddr>,
        /// What is wrong.
        source: Box<ChannelError>,
    },
    /// The registry's state makes no sense.
    #[error(transparent)]
    State(#[from] RegistryError),
    /// The voucher store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No identity could be made.
    #[error(transparent)]
    Identity(#[from] IssueError),
    /// The node's own evidence does not satisfy the registry.
    #[error("this node would be refused by its peers: {0}")]
    Unacceptable(#[from] cocoon_attest::AttestError),
}

/// A running node.
pub struct Node {
    config: NodeConfig,
    image: Option<ImageId>,
    registry: watch::Receiver<Arc<RegistryView>>,
    head: watch::Receiver<Head>,
    identity: IdentityHandle,
    endpoint: Endpoint,
    ledger: Ledger,
    payers: Mutex<HashMap<StdAddr, Arc<PayerChannel>>>,
    payees: Mutex<HashMap<StdAddr, Arc<PayeeChannel>>>,
    /// Held from reading a channel on chain to noting what was read, so that nothing older replaces it.
    reading: tokio::sync::Mutex<()>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _stop_on_drop: DropGuard,
}

impl Node {
    /// Reads the registry, makes an identity, opens the store, and follows the chain from here on.
    ///
    /// The node's own evidence is checked against the registry first: a worker with an unapproved image learns it here, not
    /// from a peer's refusal.
    pub async fn start(config: NodeConfig) -> Result<Arc<Self>, NodeError> {
        let head = config.chain.subscribe();
        let view = read_registry(&config).await?;
        let now = head.borrow().utime;
        let policy = PolicyHandle::new(view.policy(now));
        let clock = {
            let head = head.clone();
            Arc::new(move || head.borrow().utime)
        };
        let verifier = Arc::new(Verifier::new(policy.clone(), config.collateral.clone(), clock));
        let identity = issue(&config, now)?;
        let image = match verifier.verify(identity.certificate(), &[config.role]) {
            Ok(own) => own.domain.map(|domain| domain.image),
            // All that needs no collateral is in order. Whoever has some of this platform's model can verify this node.
            Err(error) if error.wants_collateral() => {
                tracing::warn!(%error, "this node has no collateral to hand to its peers, who must have some themselves");
                let policy = policy.current();
                let demands =
                    Demands { policy: &policy, image: ImageDemand::Role(config.role), report_data: None, now };
                Some(appraise_certificate(identity.certificate(), None, &demands)?.image)
            }
            Err(error) => return Err(error.into()),
        };
        let identity = IdentityHandle::new(identity);
        let endpoint = match &config.quoter {
            Some(quoter) => Endpoint::new(identity.clone(), quoter.clone(), verifier, config.link.clone()),
            None => Endpoint::client(identity.clone(), verifier, config.link.clone()),
        };

        let store = Arc::new(Store::open(&config.store)?);
        let ledger = Ledger::start(store.clone());
        let network = config.chain.network();
        let mut payers = HashMap::new();
        for record in store.payers()? {
            // The deposit is read from the chain when the channel is used.
            let books = reporting(&config, PayerBooks::restore(network, record, Nano::ZERO));
            payers.insert(books.channel().clone(), ledger.payer(books, config.key.clone()));
        }
        let mut payees = HashMap::new();
        for record in store.payees()? {
            let fixed = PayeeTerms {
                global_id: network,
                channel: record.channel.clone(),
                terms: record.terms.clone(),
                expiry_margin: EXPIRY_MARGIN,
                registry: config.registry.clone(),
            };
            payees.insert(record.channel.clone(), ledger.payee(PayeeBooks::restore(fixed, record, Nano::ZERO)));
        }

        let (registry_sender, registry) = watch::channel(Arc::new(view));
        let stop = CancellationToken::new();
        let node = Arc::new(Self {
            image,
            registry,
            head: head.clone(),
            identity,
            endpoint,
            ledger,
            payers: Mutex::new(payers),
            payees: Mutex::new(payees),
            reading: tokio::sync::Mutex::default(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
            _stop_on_drop: stop.clone().drop_guard(),
            config,
        });
        node.tasks.spawn(follow(Arc::downgrade(&node), head, registry_sender, policy, stop));
        Ok(node)
    }

    /// The network.
    pub fn network(&self) -> GlobalId {
        self.config.chain.network()
    }

    /// Access to the chain.
    pub fn chain(&self) -> &Arc<dyn Chain> {
        &self.config.chain
    }

    /// The time of the newest block: a guest has no other clock that can be trusted (attack 74).
    pub fn now(&self) -> UnixSeconds {
        self.head.borrow().utime
    }

    /// The registry at the newest block.
    pub fn registry(&self) -> Arc<RegistryView> {
        self.registry.borrow().clone()
    }

    /// Where the registry is.
    pub fn registry_address(&self) -> &StdAddr {
        &self.config.registry
    }

    /// Follows the registry.
    pub fn registry_changes(&self) -> watch::Receiver<Arc<RegistryView>> {
        self.registry.clone()
    }

    /// Makes and accepts links.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The node's key.
    pub fn key(&self) -> &NodeKey {
        &self.config.key
    }

    /// The node's wallet.
    pub fn wallet(&self) -> &Arc<Wallet> {
        &self.config.wallet
    }

    /// The wallet's address.
    pub fn address(&self) -> &StdAddr {
        self.config.wallet.address()
    }

    /// The image that this node runs; `None` for a client, which shows none.
    pub fn image(&self) -> Option<ImageId> {
        self.image
    }

    /// The certificate that names this node's key, and unless it is a client proves what it runs.
    pub fn evidence(&self) -> Vec<u8> {
        self.identity.current().certificate().to_vec()
    }

    /// That certificate with what it claims.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.current()
    }

    /// Cancelled when the node stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops everything that runs for this node.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.flush().await;
    }

    /// Waits until everything that the books of channels have said so far is on the disk: the last thing that a service does.
    pub async fn flush(&self) {
        if let Err(error) = self.ledger.flush().await {
            tracing::error!(%error, "the latest books are not on the disk");
        }
    }

    /// All channels in which this node is paid.
    pub fn earning_channels(&self) -> Vec<Arc<PayeeChannel>> {
        self.payees.lock().values().cloned().collect()
    }

    /// All channels in which this node pays.
    pub fn paying_channels(&self) -> Vec<Arc<PayerChannel>> {
        self.payers.lock().values().cloned().collect()
    }

    /// What this node has billed in channels of one payer's key (P2.3).
    pub fn payee_books(&self, payer: &NodePublicKey) -> Vec<(ChannelTerms, Books)> {
        let payees = self.payees.lock();
        let theirs = payees.values().filter(|c| c.terms().payer_key == *payer);
        theirs.map(|c| (c.terms().clone(), c.with(PayeeBooks::books))).collect()
    }

    /// Checks on chain that the owner's stake answers for a worker's key.
    pub async fn check_worker(&self, owner: &StdAddr, key: &NodePublicKey) -> Result<(), ChannelError> {
        stake::check_node(&**self.chain(), &self.registry(), owner, key).await
    }

    /// A channel that pays this node, after checking on chain that it is what its terms say.
    ///
    /// What the registry asks of channels is asked of new ones: a change of its mind alters nothing that was agreed (attack 29).
    pub async fn payee_channel(&self, terms: &ChannelTerms) -> Result<Arc<PayeeChannel>, ChannelError> {
        let (_, address) = channels::identify(terms)?;
        if !self.payees.lock().contains_key(&address) {
            self.check_terms(terms)?;
        }
        if terms.payee != *self.address() && self.config.role != Role::Worker {
            return Err(ChannelError::Foreign("payee"));
        }
        if terms.payee_key != self.key().public() {
            return Err(ChannelError::Foreign("payee key"));
        }
        self.wait_until_open(&address).await?;
        let _reading = self.reading.lock().await;
        let state = self.open_state(&address).await?;
        let channel = self
            .payees
            .lock()
            .entry(address.clone())
            .or_insert_with(|| {
                let (global_id, channel) = (self.network(), address);
                let fixed = PayeeTerms {
                    global_id,
                    channel,
                    terms: terms.clone(),
                    expiry_margin: EXPIRY_MARGIN,
                    registry: self.config.registry.clone(),
                };
                self.ledger.payee(PayeeBooks::new(fixed, Nano::ZERO))
            })
            .clone();
        channel.set_state(state.deposit, false);
        Ok(channel)
    }

    /// A channel in which this node pays; opened with this deposit when it is not on chain yet.
    ///
    /// Challenge period and protocol fee are fixed when a channel is opened: one that is open between the same parties goes on
    /// under the terms that it has, whatever a new one would be asked (attack 29).
    pub async fn payer_channel(&self, terms: ChannelTerms, deposit: Nano) -> Result<Arc<PayerChannel>, ChannelError> {
        let terms = match self.open_terms(&terms).await? {
            Some(open) => open,
            None => {
                self.check_terms(&terms)?;
                terms
            }
        };
        let (_, address) = channels::identify(&terms)?;
        // A refused first message leaves an account with code and no money behind: existence says nothing, the deposit does.
        let funded = channels::read(&**self.chain(), &address).await?.is_some_and(|state| !state.deposit.is_zero());
        if !funded {
            channels::top_up(self.wallet(), &**self.chain(), &terms, deposit, true).await?;
            tracing::info!(channel = %address, %deposit, "a payment channel is open");
        }
        let _reading = self.reading.lock().await;
        let state = self.open_state(&address).await?;
        let channel = self
            .payers
            .lock()
            .entry(address.clone())
            .or_insert_with(|| {
                let books = reporting(&self.config, PayerBooks::new(self.network(), address, terms, Nano::ZERO));
                self.ledger.payer(books, self.key().clone())
            })
            .clone();
        channel.set_state(state.deposit, state.claimed);
        Ok(channel)
    }

    /// Adds to the deposit of a channel in which this node pays.
    pub async fn top_up(&self, channel: &PayerChannel, amount: Nano) -> Result<(), ChannelError> {
        channels::top_up(self.wallet(), &**self.chain(), channel.terms(), amount, false).await?;
        let state = self.open_state(channel.address()).await?;
        channel.set_state(state.deposit, state.claimed);
        Ok(())
    }

    /// The payer may have seen a newer block than this node: gives the chain a moment.
    async fn wait_until_open(&self, address: &StdAddr) -> Result<(), ChannelError> {
        let mut head = self.head.clone();
        for _ in 0..BLOCKS_BEHIND {
            head.mark_unchanged();
            match self.open_state(address).await {
                Err(ChannelError::NotOpen(_)) => {}
                other => return other.map(drop),
            }
            if !matches!(tokio::time::timeout(BLOCK_PATIENCE, head.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        Ok(())
    }

    async fn open_state(&self, address: &StdAddr) -> Result<ChannelState, ChannelError> {
        let state = channels::read(&**self.chain(), address).await?;
        let state = state.ok_or_else(|| ChannelError::NotOpen(Box::new(address.clone())))?;
        if state.close_at.is_some() {
            return Err(ChannelError::Closing(Box::new(address.clone())));
        }
        Ok(state)
    }

    /// The terms of a channel that is open between the same parties.
    async fn open_terms(&self, wanted: &ChannelTerms) -> Result<Option<ChannelTerms>, ChannelError> {
        let same = |terms: &ChannelTerms| {
            let (challenge, protocol_fee_bps) = (wanted.challenge, wanted.protocol_fee_bps);
            ChannelTerms { challenge, protocol_fee_bps, ..terms.clone() } == *wanted
        };
        let known: Vec<_> = self.payers.lock().values().filter(|c| same(c.terms())).cloned().collect();
        for channel in known {
            let state = channels::read(&**self.chain(), channel.address()).await?;
            if state.is_some_and(|state| !state.deposit.is_zero() && state.close_at.is_none()) {
                return Ok(Some(channel.terms().clone()));
            }
        }
        Ok(None)
    }

    /// What the registry asks of a new channel.
    fn check_terms(&self, terms: &ChannelTerms) -> Result<(), ChannelError> {
        let registry = self.registry();
        let ours = Hash256(pay_channel::CODE_HASH.0);
        if registry.channel_code != ours {
            return Err(ChannelError::Code { registry: registry.channel_code, ours });
        }
        if terms.challenge < registry.min_challenge {
            return Err(ChannelError::Challenge { found: terms.challenge, least: registry.min_challenge });
        }
        if terms.protocol_fee_bps != registry.protocol_fee_bps {
            return Err(ChannelError::Fee { found: terms.protocol_fee_bps, asked: registry.protocol_fee_bps });
        }
        Ok(())
    }

    /// Issues a new certificate when the present one is about to end.
    fn renew_identity(&self, now: UnixSeconds) {
        if now < self.identity.current().renew_at() {
            return;
        }
        match issue(&self.config, now) {
            Ok(identity) => self.identity.renew(identity),
            Err(error) => tracing::error!(%error, "this node's certificate could not be renewed"),
        }
    }

    /// Deposits follow the chain.
    async fn refresh_deposits(&self) {
        let look = async |address: &StdAddr| channels::read(&**self.chain(), address).await.ok().flatten();
        for channel in self.paying_channels() {
            let _reading = self.reading.lock().await;
            if let Some(state) = look(channel.address()).await {
                channel.set_state(state.deposit, state.claimed);
            }
        }
        for channel in self.earning_channels() {
            let _reading = self.reading.lock().await;
            if let Some(state) = look(channel.address()).await {
                channel.set_state(state.deposit, state.close_at.is_some());
            }
        }
    }
}

fn issue(config: &NodeConfig, now: UnixSeconds) -> Result<Identity, IssueError> {
    let request = IdentityRequest::new(config.role, config.chain.network(), now);
    match &config.quoter {
        Some(quoter) => issue_identity(&**quoter, &config.key, &request),
        None => issue_client_identity(&config.key, &request),
    }
}

fn reporting(config: &NodeConfig, books: PayerBooks) -> PayerBooks {
    match config.report_from {
        Some(from) => books.reporting(Report { registry: config.registry.clone(), from }),
        None => books,
    }
}

async fn read_registry(config: &NodeConfig) -> Result<RegistryView, NodeError> {
    registry::read(&*config.chain, &config.registry).await
}

/// Follows the chain: the registry becomes policy, certificates are renewed, deposits are read. Live links are re-checked by
/// whoever holds them when the policy changes (attack 60).
async fn follow(
    node: std::sync::Weak<Node>,
    mut head: watch::Receiver<Head>,
    registry: watch::Sender<Arc<RegistryView>>,
    policy: PolicyHandle,
    stop: CancellationToken,
) {
    let mut seen = 0;
    loop {
        tokio::select! {
            changed = head.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
        let now = head.borrow_and_update().utime;
        let Some(node) = node.upgrade() else { return };
        node.renew_identity(now);
        let account = match node.chain().account(&node.config.registry).await {
            Ok(account) => account,
            Err(error) => {
                tracing::warn!(%error, "the registry cannot be read; the last known state stays in force");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        if account.last_trans_lt != seen {
            match read_registry(&node.config).await {
                Ok(view) => {
                    seen = account.last_trans_lt;
                    if **registry.borrow() != view {
                        tracing::info!(revision = view.revision, "the registry has changed");
                        registry.send_replace(Arc::new(view));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the registry cannot be read; the last known state stays in force")
                }
            }
        }
        let next = registry.borrow().policy(now);
        if *policy.current() != next {
            policy.update(next);
        }
        node.refresh_deposits().await;
    }
}
