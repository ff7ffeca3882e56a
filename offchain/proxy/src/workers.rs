//! The workers that have dialled in: who serves what at which price, and how busy they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocoon_attest::PeerIdentity;
use cocoon_link::{Link, LinkError};
use cocoon_node::books::PayerChannel;
use cocoon_node::wire::Wire;
use cocoon_protocol::frame::{Offer, ToPayee, ToPayer};
use cocoon_protocol::{Candidate, Fault, FaultCode, ModelHash, NodePublicKey, Price, SealedKey};
use parking_lot::Mutex;
use rand::seq::SliceRandom;
use tokio::sync::watch;

use crate::route::{Load, choose};

/// How many workers a client may seal a question to: enough that one that fails or is busy can be replaced.
const CANDIDATES: usize = 4;

/// One model served by one worker over one link.
pub(crate) struct WorkerSession {
    link: Link,
    offer: Offer,
    /// What clients need in order to seal questions to it.
    candidate: Arc<Mutex<Candidate>>,
    channel: Arc<PayerChannel>,
    load: Mutex<Load>,
    patience: Duration,
}

impl WorkerSession {
    pub fn new(
        link: Link,
        offer: Offer,
        candidate: Arc<Mutex<Candidate>>,
        channel: Arc<PayerChannel>,
        patience: Duration,
    ) -> Self {
        Self { link, offer, candidate, channel, load: Mutex::new(Load::default()), patience }
    }

    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    pub fn channel(&self) -> &Arc<PayerChannel> {
        &self.channel
    }

    pub fn peer(&self) -> &PeerIdentity {
        self.link.peer()
    }

    pub fn key(&self) -> NodePublicKey {
        self.link.peer().node_key
    }

    pub fn close(&self, reason: &str) {
        self.link.close(reason);
    }

    pub fn open(&self) -> Result<Wire<ToPayee, ToPayer>, LinkError> {
        Ok(Wire::new(self.link.open()?, self.patience))
    }
}

/// All workers of a proxy.
pub(crate) struct Workers {
    sessions: Mutex<Vec<Arc<WorkerSession>>>,
    changed: watch::Sender<u64>,
    started: Instant,
}

impl Workers {
    pub fn new() -> Self {
        Self { sessions: Mutex::default(), changed: watch::channel(0).0, started: Instant::now() }
    }

    /// Ticks whenever the offers may have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Adds a worker's models; they are gone again when the guard is dropped. An older link of the same worker is replaced
    /// and closed: whoever waits for an answer over it would wait until it is found to be dead.
    pub fn add(self: &Arc<Self>, sessions: Vec<Arc<WorkerSession>>) -> Registered {
        let keys: Vec<_> = sessions.iter().map(|s| s.key()).collect();
        let mut all = self.sessions.lock();
        let replaced: Vec<_> = all.extract_if(.., |s| keys.contains(&s.key())).collect();
        all.extend(sessions.iter().cloned());
        drop(all);
        replaced.iter().for_each(|s| s.close("the worker has dialled in again"));
        self.changed.send_modify(|n| *n += 1);
        Registered { workers: self.clone(), sessions }
    }

    /// The cheapest price of each model, with the proxy's fee on top, and some workers to seal questions to: drawn anew for each
    /// client, so that all workers are asked when there are many.
    pub fn offers(&self, fee_bps: u16) -> Vec<Offer> {
        let mut offers: Vec<Offer> = vec![];
        let mut sessions = self.sessions.lock().clone();
        sessions.shuffle(&mut rand::thread_rng());
        for session in &sessions {
            let mut offer = session.offer.clone();
            offer.price = offer.price.with_fee(fee_bps);
            offer.candidates = vec![session.candidate.lock().clone()];
            match offers.iter_mut().find(|o| o.model == offer.model) {
                None => offers.push(offer),
                Some(known) => {
                    if known.candidates.len() < CANDIDATES {
                        known.candidates.append(&mut offer.candidates);
                    }
                    known.concurrency = known.concurrency.saturating_add(offer.concurrency);
                    known.context_length = known.context_length.min(offer.context_length);
                    if offer.price.within(&known.price) {
                        known.price = offer.price;
                    }
                }
            }
        }
        offers
    }

    /// A worker for this model that can read the question, whose price with the fee is within `cap`, other than those tried before.
    ///
    /// # Errors
    /// `model_not_found` when nobody serves the model, `offers_changed` when nobody who does can read the question,
    /// `payment_rejected` when everybody who can is dearer.
    pub fn choose(
        self: &Arc<Self>,
        model: ModelHash,
        cap: &Price,
        fee_bps: u16,
        keys: &[SealedKey],
        tried: &[NodePublicKey],
    ) -> Result<Option<Place>, Fault> {
        let all = self.sessions.lock().clone();
        let serving: Vec<_> = all.into_iter().filter(|s| s.offer.model == model).collect();
        if serving.is_empty() {
            let message = format!("no worker serves model {model} here; list the models for what is served");
            return Err(Fault::new(FaultCode::ModelNotFound, message).param("model"));
        }
        let serving: Vec<_> = serving.into_iter().filter(|s| keys.iter().any(|key| key.worker == s.key())).collect();
        if serving.is_empty() {
            let message = "the workers that the question is sealed to have gone; read the offers again";
            return Err(Fault::new(FaultCode::OffersChanged, message));
        }
        let affordable: Vec<_> = serving.into_iter().filter(|s| s.offer.price.with_fee(fee_bps).within(cap)).collect();
        if affordable.is_empty() {
            let message = "every worker of this model asks more than the request allows; read the offers again";
            return Err(Fault::new(FaultCode::PaymentRejected, message));
        }
        let fresh: Vec<_> = affordable.into_iter().filter(|s| !tried.contains(&s.key())).collect();
        let now = self.started.elapsed();
        let costs: Vec<f64> = fresh.iter().map(|s| s.load.lock().cost(now)).collect();
        let chosen = choose(&mut rand::thread_rng(), &costs);
        Ok(chosen.and_then(|i| fresh.get(i)).map(|worker| Place::take(self.started, worker.clone())))
    }
}

/// Keeps a worker's models in the list.
pub(crate) struct Registered {
    workers: Arc<Workers>,
    sessions: Vec<Arc<WorkerSession>>,
}

impl Registered {
    /// The worker's certificate was renewed.
    pub fn renew(&self, candidate: Candidate) {
        if let Some(session) = self.sessions.first() {
            *session.candidate.lock() = candidate;
        }
        self.workers.changed.send_modify(|n| *n += 1);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.workers.sessions.lock().retain(|s| !self.sessions.iter().any(|mine| Arc::ptr_eq(mine, s)));
        self.workers.changed.send_modify(|n| *n += 1);
    }
}

/// One request's place at a worker; given back when dropped.
pub(crate) struct Place {
    worker: Arc<WorkerSession>,
    started: Instant,
    began: Duration,
    /// From asking to the first chunk.
    latency: Mutex<Option<Duration>>,
}

impl Place {
    fn take(started: Instant, worker: Arc<WorkerSession>) -> Self {
        worker.load.lock().begin();
        Self { worker, started, began: started.elapsed(), latency: Mutex::default() }
    }

    pub fn worker(&self) -> &Arc<WorkerSession> {
        &self.worker
    }

    /// The first chunk has come.
    pub fn answered(&self) {
        let now = self.started.elapsed();
        let latency = now.saturating_sub(self.began);
        *self.latency.lock() = Some(latency);
        self.worker.load.lock().success(now, latency);
    }

    /// The answer is complete and its receipt is right: it counts for the worker's reputation.
    pub fn served(&self) {
        let whole = self.started.elapsed().saturating_sub(self.began);
        self.worker.channel.served(self.latency.lock().unwrap_or(whole));
    }

    /// The worker has no place: others are tried first for a while, and its reputation does not suffer.
    pub fn busy(&self) {
        self.worker.load.lock().failure(self.started.elapsed());
    }

    /// The worker is at fault.
    pub fn failed(&self) {
        self.busy();
        self.worker.channel.let_down();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.load.lock().end();
    }
}
