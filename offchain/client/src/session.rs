//! A client's session with a proxy.

use std::sync::Arc;
use std::time::Duration;

use cocoon_attest::PeerIdentity;
use cocoon_chain::Head;
use cocoon_link::{Expect, Link, LinkError};
use cocoon_node::books::PayerChannel;
use cocoon_node::wire::Wire;
use cocoon_node::{Node, ProxyEntry};
use cocoon_protocol::frame::{Offer, SessionOpen, SessionReady, ToPayee, ToPayer};
use cocoon_protocol::{Candidate, Fault, FaultCode, GlobalId, LogProof, NodePublicKey, Role, Tokens};
use cocoon_seal::request::MAX_CANDIDATES;
use cocoon_seal::{KnownKeys, SealingPublicKey};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::ClientConfig;
use crate::logged::{self, Logged};

/// How long to wait for a worker that is on its way back.
const OFFER_PATIENCE: Duration = Duration::from_secs(5);

/// Workers that this client has verified, with the keys to seal questions to them.
pub(crate) type Verified = Vec<(NodePublicKey, SealingPublicKey)>;

/// An attested link to a proxy with a channel that pays it.
pub(crate) struct Session {
    node: Arc<Node>,
    config: ClientConfig,
    link: Link,
    channel: Arc<PayerChannel>,
    offers: watch::Receiver<Vec<Offer>>,
    logged: Arc<Logged>,
    keys: Mutex<KnownKeys>,
    _reader: AbortOnDropHandle<()>,
}

impl Session {
    /// Dials the proxy, shows the channel and compares books.
    pub async fn begin(
        node: Arc<Node>,
        config: ClientConfig,
        proxy: &ProxyEntry,
        channel: Arc<PayerChannel>,
        logged: Arc<Logged>,
    ) -> Result<Self, Fault> {
        let fault = |code, what: String| Fault::new(code, format!("proxy {}: {what}", proxy.endpoint));
        let address = proxy.endpoint.parse().map_err(|_| {
            fault(FaultCode::ProxyFailed, "its endpoint in the registry is not an address such as 192.0.2.1:443".into())
        })?;
        let link = node.endpoint().connect(address, &Expect::node(Role::Proxy, proxy.node_key)).await.map_err(|e| {
            let code = match e {
                LinkError::Connect { .. } | LinkError::Io { .. } | LinkError::HandshakeTimeout { .. } => {
                    FaultCode::ProxyFailed
                }
                _ => FaultCode::AttestationFailed,
            };
            fault(code, e.to_string())
        })?;
        let gone = |e: &dyn std::fmt::Display| fault(FaultCode::ProxyFailed, e.to_string());
        let mut wire: Wire<SessionOpen, SessionReady> = Wire::new(link.open().map_err(|e| gone(&e))?, config.patience);
        let open = SessionOpen::Client { channel: Box::new(channel.terms().clone()) };
        wire.send(&open).await.map_err(|e| gone(&e))?;
        let ready = tokio::time::timeout(config.patience, wire.recv()).await.map_err(|_| gone(&"it did not answer"))?;
        let (offers, books) = match ready.map_err(|e| gone(&e))? {
            SessionReady::Client { offers, books } => (offers, books),
            SessionReady::Refused(refusal) => {
                return Err(Fault {
                    message: format!("the proxy refuses this client: {}", refusal.message),
                    ..refusal
                });
            }
            SessionReady::Worker { .. } => {
                return Err(fault(FaultCode::Protocol, "it answered as if to a worker".into()));
            }
        };
        channel.reconcile(&books).await.map_err(|e| fault(FaultCode::PaymentRejected, e.to_string()))?;
        let (sender, offers) = watch::channel(offers);
        let reader = tokio::spawn(async move {
            while let Ok(SessionReady::Client { offers, .. }) = wire.recv().await {
                sender.send_replace(offers);
            }
        });
        let (keys, _reader) = (Mutex::default(), AbortOnDropHandle::new(reader));
        Ok(Self { node, config, link, channel, offers, logged, keys, _reader })
    }

    /// True while the link lives.
    pub fn is_live(&self) -> bool {
        self.link.error().is_none()
    }

    /// The models that the proxy offers and the registry approves.
    pub fn offers(&self) -> Vec<Offer> {
        let (registry, now) = (self.node.registry(), self.node.now());
        let mut offers = self.offers.borrow().clone();
        offers
            .retain(|o| registry.model_active(&o.model, now) && registry.model_name(&o.model) == Some(o.name.as_str()));
        offers
    }

    /// The offer of this model. One that the DAO has approved but nobody offers at the moment is waited for a little: its
    /// worker may be on its way back.
    pub async fn offer(&self, model: &str) -> Result<Offer, Fault> {
        let mut changes = self.offers.clone();
        let deadline = Instant::now() + self.config.patience.min(OFFER_PATIENCE);
        loop {
            changes.mark_unchanged();
            if let Some(offer) = self.offers().into_iter().find(|o| o.name == model) {
                return Ok(offer);
            }
            let now = self.node.now();
            let registry = self.node.registry();
            if !registry.models.values().any(|(name, window)| name == model && window.contains(now)) {
                return Err(crate::model_not_found(model));
            }
            let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                let message = "the model is approved, but no worker offers it at the moment; try again";
                return Err(Fault::new(FaultCode::Overloaded, message).param("model").retry_after_ms(2_000));
            }
        }
    }

    /// Waits until the offer has workers that this client has verified: their certificates may have run out a moment ago, or their
    /// places in the log may be in the next block.
    pub async fn verified(&self, offer: &Offer) -> Result<(Offer, Verified), Fault> {
        let mut changes = self.changes();
        let mut offer = offer.clone();
        loop {
            changes.mark_unchanged();
            let refused = match self.candidates(&offer).await {
                Ok(verified) => return Ok((offer, verified)),
                Err(fault) => fault,
            };
            if !changes.wait().await {
                return Err(refused);
            }
            offer = self.offer(&offer.name).await?;
        }
    }

    /// Checks the evidence of the worker that answers. Where the log is demanded it is in there, too: a certificate that was renewed a
    /// moment ago is shown with its proof among the candidates.
    pub async fn verify_answering(&self, evidence: &[u8]) -> Result<PeerIdentity, Fault> {
        let worker = self.verify_worker(evidence).await?;
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let refused = match self.check_logged(&worker, evidence).await {
                Ok(()) => return Ok(worker),
                Err(fault) => fault,
            };
            if !changes.wait().await {
                return Err(refused);
            }
        }
    }

    /// Whether a certificate is in the log, if that is demanded, by the proof that stands with it among the candidates.
    async fn check_logged(&self, worker: &PeerIdentity, evidence: &[u8]) -> Result<(), Fault> {
        if !self.config.demand_logged {
            return Ok(());
        }
        let shown = {
            let offers = self.offers.borrow();
            let mut candidates = offers.iter().flat_map(|offer| &offer.candidates);
            candidates.find(|candidate| candidate.evidence == evidence).and_then(|candidate| candidate.logged.clone())
        };
        let known = self.logged.proof(evidence);
        let hashes = |proof: &Option<LogProof>| proof.as_ref().map(|proof| proof.path.len());
        if known.is_some() && hashes(&shown) <= hashes(&known) {
            return Ok(());
        }
        let checked = match logged::state(&self.node).await {
            Ok(state) => self.logged.check(&state, worker, evidence, shown.as_ref()),
            Err(fault) => Err(fault),
        };
        // One that leads higher is for the receipt, whose reader has a newer log: what was seen in the log stays seen.
        if known.is_some() { Ok(()) } else { checked }
    }

    /// Where a certificate is in the log, if that was demanded and seen.
    pub fn log_proof(&self, evidence: &[u8]) -> Option<LogProof> {
        self.logged.proof(evidence)
    }

    fn changes(&self) -> Changes {
        let blocks = self.config.demand_logged.then(|| self.node.chain().subscribe());
        let deadline = Instant::now() + self.config.patience.min(OFFER_PATIENCE);
        Changes { offers: self.offers.clone(), blocks, deadline }
    }

    /// A stream for one question.
    pub async fn open(&self) -> Result<Wire<ToPayee, ToPayer>, Fault> {
        let stream = self.link.open().map_err(|e| {
            Fault::new(FaultCode::ProxyFailed, format!("the link to the proxy is down ({e}); ask again"))
        })?;
        Ok(Wire::new(stream, self.config.patience))
    }

    /// Checks a worker's evidence: an approved image on an approved platform, in the role of a worker. If this client knows nothing
    /// about the platform's model, it asks the proxy for the vendor's word, which is signed by the vendor.
    async fn verify_worker(&self, evidence: &[u8]) -> Result<PeerIdentity, Fault> {
        self.link.verify_relayed(evidence, &[Role::Worker]).await.map_err(|error| match error {
            LinkError::Attestation { reason } => {
                let message = format!("the worker is not what the chain demands: {reason}");
                Fault::new(FaultCode::AttestationFailed, message)
            }
            error => Fault::new(FaultCode::ProxyFailed, format!("the link to the proxy is down ({error}); ask again")),
        })
    }

    /// The workers of an offer that may read a question: those whose evidence and key this client has verified itself.
    ///
    /// # Errors
    /// Says what is wrong with the last one when none is left.
    async fn candidates(&self, offer: &Offer) -> Result<Verified, Fault> {
        let mut refused = None;
        let mut verified = vec![];
        for candidate in offer.candidates.iter().take(MAX_CANDIDATES) {
            match self.check(candidate).await {
                Ok(worker) => verified.push(worker),
                Err(fault) => {
                    tracing::warn!(%fault, "a worker is not asked");
                    refused = Some(fault);
                }
            }
        }
        if verified.is_empty() {
            let nobody = || Fault::new(FaultCode::Overloaded, "the proxy names no worker of this model; try again");
            return Err(refused.unwrap_or_else(nobody));
        }
        Ok(verified)
    }

    async fn check(&self, candidate: &Candidate) -> Result<(NodePublicKey, SealingPublicKey), Fault> {
        let worker = self.verify_worker(&candidate.evidence).await?;
        let (network, now) = (self.network(), self.node.now());
        let known = self.keys.lock().take(&candidate.announcement, &worker.node_key, network, now);
        let key = known.map_err(|e| Fault::new(FaultCode::AttestationFailed, format!("a worker: {e}")))?;
        self.check_logged(&worker, &candidate.evidence).await?;
        Ok((worker.node_key, key))
    }

    pub fn channel(&self) -> &Arc<PayerChannel> {
        &self.channel
    }

    pub fn network(&self) -> GlobalId {
        self.node.network()
    }

    /// Tokens to pay ahead.
    pub fn window(&self) -> Tokens {
        self.config.window
    }

    /// Whether question and answer are kept as they travelled, for receipt bundles.
    pub fn keeps_content(&self) -> bool {
        self.config.keep_content
    }

    pub fn patience(&self) -> Duration {
        self.config.patience
    }

    /// Ends the link.
    pub fn close(&self) {
        self.link.close("the client has ended the session");
    }
}

/// What may make a worker acceptable that was not: new offers and, where the log counts, new blocks; for a limited time.
struct Changes {
    offers: watch::Receiver<Vec<Offer>>,
    blocks: Option<watch::Receiver<Head>>,
    deadline: Instant,
}

impl Changes {
    fn mark_unchanged(&mut self) {
        self.offers.mark_unchanged();
        self.blocks.iter_mut().for_each(watch::Receiver::mark_unchanged);
    }

    /// False when the time is over, or nothing can change any more.
    async fn wait(&mut self) -> bool {
        let block = async {
            match &mut self.blocks {
                Some(blocks) => blocks.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.offers.changed() => changed.is_ok(),
            changed = block => changed,
            () = tokio::time::sleep_until(self.deadline) => false,
        }
    }
}
