//! The client: a library that asks and pays, and a local OpenAI-compatible endpoint ([`http`]).
//!
//! [`Client::ask`] sends a question through an attested proxy to an attested worker and gives the answer as it comes. The
//! answer ends only after its receipt was checked against everything that arrived; whatever goes wrong before that costs
//! nothing.

pub mod answer;
pub mod http;
mod logged;
pub mod receipts;
mod session;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cocoon_node::books::PayerChannel;
use cocoon_node::{Node, ProxyEntry};
use cocoon_protocol::frame::{ChannelTerms, MAX_BODY, Offer};
use cocoon_protocol::{Fault, FaultCode, Nano, Price, Tokens};
use cocoon_receipt::{Bundle, CollectError};
use tokio::sync::Mutex;

pub use answer::{Answer, AnswerEvent, Finished};
use logged::Logged;
pub use receipts::Receipts;
use session::Session;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Deposited when the channel to the proxy is opened.
    pub deposit: Nano,
    /// Challenge period of the channel, in seconds.
    pub challenge: u32,
    /// The dearest price accepted, per million tokens; `None`: any.
    pub price_cap: Option<Price>,
    /// Completion tokens to pay ahead, at least 16: what a dishonest proxy could keep at most (P3.10).
    pub window: Tokens,
    /// How long a peer may be silent when it is its turn.
    pub patience: Duration,
    /// Keep each question and answer as they travelled, sealed, with its receipt, so that a bundle has them too.
    pub keep_content: bool,
    /// Ask only workers whose evidence is in the registry's transparency log, so that what they run cannot be shown to one client and
    /// denied to the next; checked against the log's account as this client's own chain proves it. Off by default: a worker pays about
    /// 1 TON a day to be in the log, and need not. It says nothing about what a worker runs: that is checked in any case.
    pub demand_logged: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            deposit: Nano::from_ton(10),
            challenge: 3_600,
            price_cap: None,
            window: Tokens(64),
            patience: Duration::from_secs(60),
            keep_content: false,
            demand_logged: false,
        }
    }
}

/// A client with a channel to one proxy.
pub struct Client {
    node: Arc<Node>,
    config: ClientConfig,
    proxy: ProxyEntry,
    channel: Arc<PayerChannel>,
    session: Mutex<Dialled>,
    logged: Arc<Logged>,
    receipts: Receipts,
}

/// What dialling has come to.
#[derive(Default)]
struct Dialled {
    session: Option<Arc<Session>>,
    failed: Option<(Instant, Fault)>,
}

impl Client {
    /// Opens a channel to the proxy with the configured deposit, or finds it open already.
    pub async fn new(node: Arc<Node>, config: ClientConfig, proxy: ProxyEntry) -> Result<Arc<Self>, Fault> {
        let terms = ChannelTerms {
            payer: node.address().clone(),
            payee: proxy.owner.clone(),
            payer_key: node.key().public(),
            payee_key: proxy.node_key,
            salt: 0,
            challenge: config.challenge,
            protocol_fee_bps: node.registry().protocol_fee_bps,
        };
        let channel = node
            .payer_channel(terms, config.deposit)
            .await
            .map_err(|e| Fault::new(FaultCode::PaymentRejected, e.to_string()))?;
        let (session, logged, receipts) = (Mutex::default(), Arc::default(), Receipts::default());
        Ok(Arc::new(Self { node, config, proxy, channel, session, logged, receipts }))
    }

    /// The channel that pays.
    pub fn channel(&self) -> &Arc<PayerChannel> {
        &self.channel
    }

    /// The models that can be asked, with the proxy's prices.
    pub async fn offers(&self) -> Result<Vec<Offer>, Fault> {
        Ok(self.session().await?.offers())
    }

    /// Asks the named model. `body` is a chat-completion request; it reaches the worker byte for byte.
    pub async fn ask(&self, model: &str, body: impl Into<Bytes>) -> Result<Answer, Fault> {
        let body = body.into();
        if body.len() > MAX_BODY {
            return Err(Fault::new(FaultCode::BadRequest, format!("the request body is over {MAX_BODY} bytes")));
        }
        let session = self.session().await?;
        let offer = session.offer(model).await?;
        if self.config.price_cap.is_some_and(|cap| !offer.price.within(&cap)) {
            let message = format!("{model} costs more than this client's price cap allows; raise the cap or wait");
            return Err(Fault::new(FaultCode::PaymentRejected, message));
        }
        answer::ask(session, offer, body).await
    }

    /// Everything that proves an answer to others, as a file for `cocoon receipt verify`. Soon after the answer: the network's state
    /// of that time is part of it.
    pub async fn bundle(&self, finished: &Finished) -> Result<Bundle, CollectError> {
        cocoon_receipt::collect(&self.node, finished.statement()).await
    }

    /// Receipts of the latest answers that went through the local endpoint.
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    /// Ends the link; the next question dials again.
    pub async fn disconnect(&self) {
        if let Some(session) = self.session.lock().await.session.take() {
            session.close();
        }
    }

    /// The live session, or a new one.
    async fn session(&self) -> Result<Arc<Session>, Fault> {
        let asked = Instant::now();
        let mut dialled = self.session.lock().await;
        if let Some(session) = dialled.session.as_ref().filter(|s| s.is_live()) {
            return Ok(session.clone());
        }
        // Whoever waited while somebody else dialled shares the outcome: one after the other would wait ever longer.
        if let Some((_, fault)) = dialled.failed.as_ref().filter(|(when, _)| *when > asked) {
            return Err(fault.clone());
        }
        let begun = self.begin().await;
        dialled.failed = begun.as_ref().err().map(|fault| (Instant::now(), fault.clone()));
        dialled.session = begun.as_ref().ok().cloned();
        begun
    }

    async fn begin(&self) -> Result<Arc<Session>, Fault> {
        // As the registry has it now: a proxy may have moved, or be one no longer.
        let registry = self.node.registry();
        let Some(proxy) = registry.proxies.iter().find(|p| p.node_key == self.proxy.node_key) else {
            let message = format!("proxy {} is not in the registry any more; choose another", self.proxy.node_key);
            return Err(Fault::new(FaultCode::AttestationFailed, message));
        };
        let (node, config, channel) = (self.node.clone(), self.config.clone(), self.channel.clone());
        Session::begin(node, config, proxy, channel, self.logged.clone()).await.map(Arc::new)
    }
}

pub(crate) fn model_not_found(model: &str) -> Fault {
    let name: String = model.chars().take(80).collect();
    let message = format!("there is no model {name:?} here; GET /v1/models lists what is offered");
    Fault::new(FaultCode::ModelNotFound, message).param("model")
}
