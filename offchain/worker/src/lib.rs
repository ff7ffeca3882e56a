//! The worker: serves an approved model inside a trust domain and is paid for it.
//!
//! It dials out to a proxy ([`Worker::serve`]), so a GPU owner needs no open port, and answers the questions that come over
//! the link ([`answer`]). What it shows of itself can be in the transparency log ([`evidence`]).

mod answer;
mod evidence;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cocoon_engine::Engine;
use cocoon_link::{Expect, Link, LinkError};
use cocoon_node::books::PayeeChannel;
use cocoon_node::wire::{Wire, WireError};
use cocoon_node::{ChannelError, Node};
use cocoon_protocol::frame::{Offer, SessionOpen, SessionReady};
use cocoon_protocol::{
    Candidate, Fault, GlobalId, ImageId, ModelHash, NodeKey, NodePublicKey, Price, Role, StdAddr, UnixSeconds,
};
use cocoon_seal::SealingKey;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::evidence::{Keeper, Shown};

/// How a worker behaves.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Owner of the stake, who is paid.
    pub owner: StdAddr,
    /// What it asks.
    pub price: Price,
    /// How long a peer may be silent when it is its turn.
    pub patience: Duration,
    /// Log the evidence of each new certificate in the registry's transparency log, out of the node's wallet: some 0.03 TON every
    /// forty minutes, that is about 1 TON a day. Clients may demand it.
    pub log_evidence: bool,
}

/// A running worker.
pub struct Worker {
    node: Arc<Node>,
    engine: Arc<dyn Engine>,
    config: WorkerConfig,
    name: String,
    image: ImageId,
    shown: watch::Sender<Shown>,
    tasks: TaskTracker,
}

/// A worker cannot start or has lost its proxy.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The registry does not approve the model.
    #[error("model {0} is not approved by the registry at this time; serve an approved model or propose this one")]
    NotApproved(ModelHash),
    /// The node is a client's.
    #[error("this node shows no quote; a worker needs one that runs in a trust domain")]
    NoTrustDomain,
    /// The registry does not name the proxy.
    #[error("the registry names no proxy {0} at this time; choose another, or wait until its owner registers it again")]
    NoSuchProxy(NodePublicKey),
    /// The registry's endpoint cannot be dialled.
    #[error("the registry names {endpoint:?} for proxy {key}, which is no address such as 192.0.2.1:443")]
    Endpoint {
        /// Which proxy.
        key: NodePublicKey,
        /// What the registry says.
        endpoint: String,
    },
    /// The link could not be made or broke.
    #[error("the link to the proxy: {0}")]
    Link(#[from] LinkError),
    /// The session stream broke.
    #[error("the session with the proxy: {0}")]
    Wire(#[from] WireError),
    /// The proxy refuses the worker.
    #[error("the proxy refuses this worker: {0}")]
    Refused(Fault),
    /// The proxy's channel is not acceptable.
    #[error("the proxy's payment channel: {0}")]
    Channel(#[from] ChannelError),
    /// The proxy did not answer.
    #[error("the proxy did not answer the session frame as the protocol has it")]
    Protocol,
}

impl Worker {
    /// A worker for a model that the registry approves.
    pub fn new(node: Arc<Node>, engine: Arc<dyn Engine>, config: WorkerConfig) -> Result<Arc<Self>, WorkerError> {
        let model = engine.info().model;
        let registry = node.registry();
        if !registry.model_active(&model, node.now()) {
            return Err(WorkerError::NotApproved(model));
        }
        let name = registry.model_name(&model).ok_or(WorkerError::NotApproved(model))?.to_owned();
        let image = node.image().ok_or(WorkerError::NoTrustDomain)?;
        let shown = Shown::first(&node);
        Ok(Arc::new(Self { node, engine, config, name, image, shown, tasks: TaskTracker::new() }))
    }

    /// Serves the proxy with this key until the node stops, dialling again whenever the link breaks, where the registry names it then.
    pub async fn serve(self: Arc<Self>, key: NodePublicKey) {
        let stop = self.node.stopping();
        let keeper = Keeper::new(self.node.clone(), self.shown.clone(), self.config.log_evidence);
        let stopped = stop.clone();
        self.tasks.spawn(async move { stopped.run_until_cancelled(keeper.run()).await });
        let mut pause = Duration::from_millis(100);
        while !stop.is_cancelled() {
            let served = tokio::select! {
                served = self.clone().session(key) => served,
                () = stop.cancelled() => break,
            };
            match served {
                Ok(reason) => {
                    tracing::info!(%reason, "the link to the proxy has ended");
                    pause = Duration::from_millis(100);
                }
                Err(error) => tracing::warn!(%error, "no session with the proxy"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => break,
            }
            pause = (pause * 2).min(Duration::from_secs(10));
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.node.flush().await;
    }

    /// One session of [`Worker::serve`], from dialling to the end of the link and of the answers that went over it: the next session tells the proxy
    /// what is billed (P2.3), and nothing may be billed unknown to it after that.
    async fn session(self: Arc<Self>, key: NodePublicKey) -> Result<LinkError, WorkerError> {
        let answers = TaskTracker::new();
        let ended = self.clone().serve_link(&answers, key).await;
        answers.close();
        answers.wait().await;
        ended
    }

    /// Where a proxy listens, as the registry has it now: it may have moved.
    fn endpoint_of(&self, key: &NodePublicKey) -> Result<SocketAddr, WorkerError> {
        let registry = self.node.registry();
        let entry = registry.proxies.iter().find(|proxy| proxy.node_key == *key);
        let endpoint = &entry.ok_or(WorkerError::NoSuchProxy(*key))?.endpoint;
        endpoint.parse().map_err(|_| WorkerError::Endpoint { key: *key, endpoint: endpoint.clone() })
    }

    async fn serve_link(self: Arc<Self>, answers: &TaskTracker, key: NodePublicKey) -> Result<LinkError, WorkerError> {
        let proxy = self.endpoint_of(&key)?;
        let link = self.node.endpoint().connect(proxy, &Expect::node(Role::Proxy, key)).await?;
        let _close = CloseOnDrop(link.clone());
        let mut wire: Wire<SessionOpen, SessionReady> = Wire::new(link.open()?, self.config.patience);
        let info = self.engine.info();
        let offer = Offer {
            model: info.model,
            name: self.name.clone(),
            context_length: info.context,
            price: self.config.price,
            concurrency: u32::try_from(info.concurrency).unwrap_or(u32::MAX),
            candidates: vec![],
        };
        // Lives as long as the session, and the link no longer than the certificate.
        let sealing = SealingKey::generate(&mut rand::rngs::OsRng);
        let mut shown = self.shown.subscribe();
        let open = SessionOpen::Worker {
            owner: self.config.owner.clone(),
            offers: vec![offer],
            books: self.node.payee_books(&key),
            candidate: self.candidate(&sealing, &shown.borrow_and_update()),
        };
        wire.send(&open).await?;
        let ready =
            tokio::time::timeout(self.config.patience, wire.recv()).await.map_err(|_| WorkerError::Protocol)??;
        let terms = match ready {
            SessionReady::Worker { channel } => channel,
            SessionReady::Refused(fault) => return Err(WorkerError::Refused(fault)),
            SessionReady::Client { .. } => return Err(WorkerError::Protocol),
        };
        if terms.payer_key != key || terms.payee != self.config.owner {
            return Err(WorkerError::Protocol);
        }
        let channel = self.node.payee_channel(&terms).await?;
        let sealing = Arc::new(sealing);
        let session = Arc::new(WorkerSession { channel: channel.clone(), sealing: sealing.clone() });
        tracing::info!(channel = %channel.address(), deposit = %channel.with(|b| b.deposit()), "serving a proxy");
        loop {
            tokio::select! {
                stream = link.accept() => match stream {
                    Ok(stream) => {
                        let wire = Wire::new(stream, self.config.patience);
                        self.tasks.spawn(answers.track_future(answer::serve(self.clone(), session.clone(), wire)));
                    }
                    Err(reason) => return Ok(reason),
                },
                // The certificate was renewed, or the log has grown past the proof.
                Ok(()) = shown.changed() => {
                    let candidate = self.candidate(&sealing, &shown.borrow_and_update());
                    wire.send(&SessionOpen::Renewed { candidate }).await?;
                }
                frame = wire.recv() => match frame {
                    Ok(SessionReady::Refused(fault)) => return Err(WorkerError::Refused(fault)),
                    Ok(_) => {}
                    // A proxy that ends the session has no use for the link either.
                    Err(error) => return link.error().ok_or(WorkerError::Wire(error)),
                },
            }
        }
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// Whether the registry still approves the model: it may have been revoked since the start.
    pub(crate) fn approved(&self) -> bool {
        self.node.registry().model_active(&self.model(), self.node.now())
    }

    pub(crate) fn model(&self) -> ModelHash {
        self.engine.info().model
    }

    pub(crate) fn model_name(&self) -> &str {
        &self.name
    }

    pub(crate) fn price(&self) -> Price {
        self.config.price
    }

    pub(crate) fn patience(&self) -> Duration {
        self.config.patience
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.node.now()
    }

    pub(crate) fn network(&self) -> GlobalId {
        self.node.network()
    }

    pub(crate) fn node_key(&self) -> &NodeKey {
        self.node.key()
    }

    pub(crate) fn image(&self) -> ImageId {
        self.image
    }

    /// What clients need in order to seal questions to this worker.
    fn candidate(&self, sealing: &SealingKey, shown: &Shown) -> Box<Candidate> {
        let valid_until = self.now().plus(SEALING_KEY_LIFE);
        let announcement = sealing.announce(self.network(), valid_until, self.node_key());
        Box::new(Candidate { evidence: shown.evidence.clone(), announcement, logged: shown.logged.clone() })
    }

    /// The certificate that proves to clients what signs the receipts.
    pub(crate) fn evidence(&self) -> Vec<u8> {
        self.shown.borrow().evidence.clone()
    }
}

/// How long clients seal questions with the key of a session, in seconds; the certificate of the session lives no longer.
const SEALING_KEY_LIFE: u32 = 86_400;

/// What the answers of one session share.
pub(crate) struct WorkerSession {
    pub channel: Arc<PayeeChannel>,
    pub sealing: Arc<SealingKey>,
}

struct CloseOnDrop(Link);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close("the worker has ended the session");
    }
}
