//! The proxy: routes requests to workers, meters them and holds vouchers.
//!
//! Clients and workers dial in ([`Proxy::serve`]). A worker shows quotes, brings offers and gets a payment channel; a client shows its
//! key, brings a payment channel with it and gets offers. Each question is relayed to one worker ([`relay`]), chosen by
//! [`route`]; bodies and chunks pass through unread, byte for byte. The proxy holds nobody's money: it is the payee of its
//! clients' channels and the payer of its workers'.

mod clients;
mod lobby;
mod relay;
mod route;
mod workers;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cocoon_attest::MAX_CERTIFICATE;
use cocoon_link::{Link, Listener};
use cocoon_node::books::PayerChannel;
use cocoon_node::wire::{Wire, WireError};
use cocoon_node::{ChannelError, Node, RegistryView};
use cocoon_protocol::frame::{ChannelTerms, Offer, SessionOpen, SessionReady};
use cocoon_protocol::sealed::MAX_LOG_PATH;
use cocoon_protocol::{
    Candidate, Fault, FaultCode, GlobalId, ModelHash, Nano, NodePublicKey, Role, StdAddr, UnixSeconds,
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clients::{ClientSession, Clients};
use crate::lobby::{Guest, Lobby};
use crate::workers::{WorkerSession, Workers};

/// How long to wait after a top-up that failed.
const TOP_UP_PAUSE: Duration = Duration::from_secs(30);
/// Most bytes of a key that questions are sealed with; an X-Wing key has 1216.
const MAX_SEALING_KEY: usize = 4_096;

/// How a proxy behaves.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Added to the workers' prices, in basis points.
    pub fee_bps: u16,
    /// Deposited into the channel of a worker that has none yet.
    pub worker_deposit: Nano,
    /// Challenge period of channels to workers, in seconds.
    pub challenge: u32,
    /// How long a peer may be silent when it is its turn.
    pub patience: Duration,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self { fee_bps: 500, worker_deposit: Nano::from_ton(10), challenge: 3_600, patience: Duration::from_secs(30) }
    }
}

/// A running proxy.
pub struct Proxy {
    node: Arc<Node>,
    config: ProxyConfig,
    workers: Arc<Workers>,
    clients: Clients,
    lobby: Lobby,
    /// What the next request to a worker needs, by channel, where the channel could not pay for it.
    shortfalls: Mutex<HashMap<StdAddr, Nano>>,
    /// One worker is set up at a time, so that none gets two channels.
    opening: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
}

impl Proxy {
    /// A proxy that does nothing until [`Proxy::serve`].
    pub fn new(node: Arc<Node>, config: ProxyConfig) -> Arc<Self> {
        Arc::new(Self {
            node,
            config,
            workers: Arc::new(Workers::new()),
            clients: Clients::default(),
            lobby: Lobby::default(),
            shortfalls: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Accepts clients and workers until the node stops; then ends what is under way, bills it, and closes the links.
    pub async fn serve(self: Arc<Self>, listener: Listener) {
        let stop = self.node.stopping();
        // Later than the node's stop: the workers' links must outlive the answers.
        let over = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                (from, Ok(link)) => {
                    tracing::info!(%from, role = %link.peer().role, node = %link.peer().node_key, "a peer has dialled in");
                    let session = self.clone().session(link.clone(), from.ip());
                    let over = over.clone();
                    self.tasks.spawn(async move {
                        over.run_until_cancelled(session).await;
                        link.close("the session is over");
                    });
                }
                (from, Err(error)) => tracing::info!(%from, %error, "a peer is refused"),
            }
        }
        self.clients.settle_all().await;
        over.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.node.flush().await;
    }

    /// The models that are served, with this proxy's prices.
    pub fn offers(&self) -> Vec<Offer> {
        let (registry, now) = (self.node.registry(), self.now());
        let mut offers = self.workers.offers(self.config.fee_bps);
        offers.retain(|offer| registry.model_active(&offer.model, now));
        offers
    }

    /// Ticks whenever the offers may have changed.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.workers.changes()
    }

    async fn session(self: Arc<Self>, link: Link, from: IpAddr) {
        let role = link.peer().role;
        let mut guest = None;
        // Workers have shown a quote; clients are anybody until they show a channel.
        if role == Role::Client {
            guest = self.lobby.enter(from);
            if guest.is_none() {
                tracing::info!(%from, "a client is turned away: too many have shown no channel yet");
                return link.close("too many clients are on their way in; dial again in a while");
            }
        }
        let opening = async {
            let mut wire = Wire::new(link.accept().await.ok()?, self.patience());
            Some((wire.recv().await, wire))
        };
        let (opened, mut wire) = match tokio::time::timeout(self.patience(), opening).await {
            Ok(Some((Ok(opened), wire))) => (opened, wire),
            Ok(Some((Err(error), _))) => return tracing::info!(%error, "a peer sent no valid session frame"),
            Ok(None) => return,
            Err(_) => return tracing::info!("a peer sent no session frame"),
        };
        let result = match (role, opened) {
            (Role::Client, SessionOpen::Client { channel }) => {
                self.clone().client(&link, &mut wire, *channel, guest).await
            }
            (Role::Worker, SessionOpen::Worker { owner, offers, books, candidate }) => {
                self.clone().worker(&link, &mut wire, owner, offers, books, *candidate).await
            }
            (role, _) => Err(Fault::new(FaultCode::Protocol, format!("that session frame is not a {role}'s"))),
        };
        if let Err(fault) = result {
            tracing::warn!(%fault, node = %link.peer().node_key, "a session is refused");
            let _ = wire.send(&SessionReady::Refused(fault)).await;
            let _ = wire.finish();
            // Gives the refusal time to arrive before the link is closed.
            let _ = tokio::time::timeout(Duration::from_secs(1), wire.recv()).await;
        }
    }

    async fn client(
        self: Arc<Self>,
        link: &Link,
        wire: &mut Wire<SessionReady, SessionOpen>,
        terms: ChannelTerms,
        guest: Option<Guest<'_>>,
    ) -> Result<(), Fault> {
        own_channel(&terms, &link.peer().node_key)?;
        let channel = self.node.payee_channel(&terms).await.map_err(refused)?;
        // It has paid for its place.
        drop(guest);
        let client = self.clients.begin(channel.clone()).await;
        self.clone().client_session(link, wire, &client).await;
        // The link has ended: answers under way are settled as if the client had stopped them.
        client.settle().await;
        self.clients.end(&client);
        Ok(())
    }

    async fn client_session(
        self: Arc<Self>,
        link: &Link,
        wire: &mut Wire<SessionReady, SessionOpen>,
        client: &Arc<ClientSession>,
    ) {
        let mut changes = self.workers.changes();
        loop {
            changes.mark_unchanged();
            let books = client.channel().with(|b| b.books());
            if wire.send(&SessionReady::Client { offers: self.offers(), books }).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    stream = link.accept() => match stream {
                        Ok(stream) => client.carry(relay::serve(self.clone(), client.clone(), Wire::new(stream, self.patience()))),
                        Err(_) => return,
                    },
                    _ = changes.changed() => break,
                    // A session stream carries nothing after its first frame; its end is the session's.
                    _ = wire.recv() => return,
                    () = client.ended().cancelled() => return,
                }
            }
        }
    }

    async fn worker(
        self: Arc<Self>,
        link: &Link,
        wire: &mut Wire<SessionReady, SessionOpen>,
        owner: StdAddr,
        offers: Vec<Offer>,
        books: Vec<(ChannelTerms, cocoon_protocol::frame::Books)>,
        candidate: Candidate,
    ) -> Result<(), Fault> {
        let key = link.peer().node_key;
        self.node.check_worker(&owner, &key).await.map_err(refused)?;
        acceptable(&offers, &self.node.registry(), self.now())?;
        bounded(&candidate)?;
        let channel = {
            let _one_at_a_time = self.opening.lock().await;
            let terms = ChannelTerms {
                payer: self.node.address().clone(),
                payee: owner,
                payer_key: self.node.key().public(),
                payee_key: key,
                salt: 0,
                challenge: self.config.challenge,
                protocol_fee_bps: self.node.registry().protocol_fee_bps,
            };
            self.node.payer_channel(terms, self.config.worker_deposit).await.map_err(refused)?
        };
        if let Some((_, theirs)) = books.iter().find(|(terms, _)| terms == channel.terms()) {
            channel.reconcile(theirs).await.map_err(|e| Fault::new(FaultCode::PaymentRejected, e.to_string()))?;
        }
        let ready = SessionReady::Worker { channel: channel.terms().clone() };
        wire.send(&ready).await.map_err(|e| Fault::new(FaultCode::Protocol, e.to_string()))?;
        let candidate = Arc::new(Mutex::new(candidate));
        let session =
            |offer| WorkerSession::new(link.clone(), offer, candidate.clone(), channel.clone(), self.patience());
        let sessions = offers.into_iter().map(|offer| Arc::new(session(offer)));
        let registered = self.workers.add(sessions.collect());
        tracing::info!(worker = %key, "a worker is serving");
        let renewals = async {
            loop {
                match wire.recv().await {
                    Ok(SessionOpen::Renewed { candidate }) => {
                        bounded(&candidate)?;
                        registered.renew(*candidate);
                    }
                    other => return ended(other),
                }
            }
        };
        tokio::select! {
            ended = renewals => ended,
            reason = link.closed() => {
                tracing::info!(worker = %key, %reason, "a worker has gone");
                Ok(())
            }
            () = self.keep_funded(&channel) => Ok(()),
        }
    }

    /// A worker's channel could not pay for a request: it is topped up at the next block. The client's channel could, so
    /// nobody makes a proxy lock up more than it may earn.
    pub(crate) fn fell_short(&self, channel: &StdAddr, needed: Nano) {
        let mut shortfalls = self.shortfalls.lock();
        let known = shortfalls.entry(channel.clone()).or_default();
        *known = needed.max(*known);
    }

    /// Tops a worker's channel up whenever less than half a deposit is left in it, or less than a request needed. Never
    /// ends while the node runs.
    async fn keep_funded(&self, channel: &Arc<PayerChannel>) {
        let mut head = self.node.chain().subscribe();
        while head.changed().await.is_ok() {
            let deposit = self.config.worker_deposit;
            let needed = self.shortfalls.lock().remove(channel.address()).unwrap_or_default();
            let available = channel.with(|books| books.available());
            if available >= needed.max(Nano::new(deposit.get() / 2)) {
                continue;
            }
            match self.node.top_up(channel, deposit.max(needed)).await {
                Ok(()) => tracing::info!(channel = %channel.address(), "a worker's channel is topped up"),
                Err(error) => {
                    tracing::warn!(%error, channel = %channel.address(), "a worker's channel cannot be topped up");
                    tokio::time::sleep(TOP_UP_PAUSE).await;
                }
            }
        }
    }

    /// Whether the registry still approves a model: workers that offered it may be connected when it is revoked.
    pub(crate) fn approves(&self, model: &ModelHash) -> bool {
        self.node.registry().model_active(model, self.now())
    }

    pub(crate) fn workers(&self) -> &Arc<Workers> {
        &self.workers
    }

    pub(crate) fn fee_bps(&self) -> u16 {
        self.config.fee_bps
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
}

fn refused(error: ChannelError) -> Fault {
    Fault::new(FaultCode::PaymentRejected, error.to_string())
}

/// A client pays from its own channel. Whoever could name another's would end that one's session and read its books.
fn own_channel(terms: &ChannelTerms, client: &NodePublicKey) -> Result<(), Fault> {
    if terms.payer_key == *client { Ok(()) } else { Err(refused(ChannelError::Foreign("payer key"))) }
}

/// What a worker gives for clients is passed on unread, but not at any size: it stands in every client's offers (attack 83).
fn bounded(candidate: &Candidate) -> Result<(), Fault> {
    let sizes = [
        ("certificate", candidate.evidence.len(), MAX_CERTIFICATE),
        ("sealing key", candidate.announcement.announcement.key.len(), MAX_SEALING_KEY),
        ("log proof", candidate.logged.as_ref().map_or(0, |proof| proof.path.len()), MAX_LOG_PATH),
    ];
    match sizes.into_iter().find(|(_, found, most)| found > most) {
        None => Ok(()),
        Some((what, found, most)) => {
            let message = format!("the worker's {what} has the size {found}, and {most} is the most");
            Err(Fault::new(FaultCode::Protocol, message))
        }
    }
}

/// Whether a worker may offer this: models that are approved, each once, by the DAO's name. Clients know models by name, so a
/// wrong one would hide the model of all other workers from them.
fn acceptable(offers: &[Offer], registry: &RegistryView, now: UnixSeconds) -> Result<(), Fault> {
    let refuse = |model, why| Err(Fault::new(FaultCode::ModelNotFound, format!("model {model} {why}")));
    for (i, offer) in offers.iter().enumerate() {
        if !registry.model_active(&offer.model, now) {
            return refuse(offer.model, "is not approved by the registry");
        }
        if registry.model_name(&offer.model) != Some(offer.name.as_str()) {
            return refuse(offer.model, "has another name in the registry; offer it by that");
        }
        if offers.iter().take(i).any(|other| other.model == offer.model) {
            return refuse(offer.model, "is offered twice; offer each model once");
        }
    }
    Ok(())
}

/// The end of a session stream is the session's.
fn ended(frame: Result<SessionOpen, WireError>) -> Result<(), Fault> {
    match frame {
        Err(_) => Ok(()),
        Ok(_) => Err(Fault::new(FaultCode::Protocol, "a session is opened once")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::{BTreeMap, BTreeSet};

    use cocoon_node::registry::Window;
    use cocoon_protocol::{Announcement, Hash256, LogProof, NodeKey, Price, Tokens};
    use tycho_types::cell::HashBytes;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
    const MODEL: ModelHash = ModelHash([1; 32]);

    fn registry(sunset: Option<UnixSeconds>) -> RegistryView {
        let window = Window { active_from: UnixSeconds(0), sunset, suspended_until: UnixSeconds(0) };
        RegistryView {
            network: GlobalId::DEVNET,
            revision: 1,
            governor: StdAddr::new(0, HashBytes::ZERO),
            images: BTreeMap::new(),
            models: [(MODEL, ("tiny".to_owned(), window))].into(),
            proxies: vec![],
            roots: BTreeMap::new(),
            banned: BTreeSet::new(),
            min_tcb_evaluation: 0,
            min_worker_stake: Nano::ZERO,
            min_proxy_bond: Nano::ZERO,
            min_challenge: 0,
            protocol_fee_bps: 0,
            channel_code: Hash256::default(),
            stake_code: Hash256::default(),
        }
    }

    fn offer(model: ModelHash, name: &str) -> Offer {
        let (context_length, price) = (Tokens(1), Price::default());
        Offer { model, name: name.to_owned(), context_length, price, concurrency: 1, candidates: vec![] }
    }

    #[test]
    fn a_worker_offers_approved_models_once_and_by_their_names() {
        let registry_now = registry(None);
        let refused = |offers: &[Offer]| acceptable(offers, &registry_now, NOW).unwrap_err().message;
        acceptable(&[offer(MODEL, "tiny")], &registry_now, NOW).unwrap();
        assert!(refused(&[offer(ModelHash([2; 32]), "tiny")]).contains("not approved"));
        assert!(refused(&[offer(MODEL, "another")]).contains("another name"));
        assert!(refused(&[offer(MODEL, "tiny"), offer(MODEL, "tiny")]).contains("twice"));
        let ended = acceptable(&[offer(MODEL, "tiny")], &registry(Some(NOW)), NOW);
        assert_eq!(ended.unwrap_err().code, FaultCode::ModelNotFound);
    }

    #[test]
    fn attack_83_what_a_worker_gives_for_clients_is_of_bounded_size() {
        let announcement = Announcement { global_id: GlobalId::DEVNET, valid_until: NOW, key: vec![0; 1216] };
        let announcement = announcement.sign(&NodeKey::from_seed(&[1; 32]));
        let path = vec![Hash256::default(); MAX_LOG_PATH];
        let logged = Some(LogProof { index: 0, at: NOW, path });
        let most = Candidate { evidence: vec![0; MAX_CERTIFICATE], announcement, logged };
        bounded(&most).unwrap();
        let refused = |change: fn(&mut Candidate)| {
            let mut candidate = most.clone();
            change(&mut candidate);
            bounded(&candidate).unwrap_err().message
        };
        assert!(refused(|c| c.evidence.push(0)).contains("certificate"));
        assert!(refused(|c| c.announcement.announcement.key.resize(MAX_SEALING_KEY + 1, 0)).contains("sealing key"));
        assert!(refused(|c| c.logged.iter_mut().for_each(|l| l.path.push(Hash256::default()))).contains("log proof"));
    }

    #[test]
    fn a_client_cannot_open_a_session_on_anothers_channel() {
        let key = |n| NodeKey::from_seed(&[n; 32]).public();
        let address = StdAddr::new(0, HashBytes::ZERO);
        let terms = ChannelTerms {
            payer: address.clone(),
            payee: address,
            protocol_fee_bps: 0,
            payer_key: key(1),
            payee_key: key(2),
            salt: 0,
            challenge: 0,
        };
        own_channel(&terms, &key(1)).unwrap();
        assert_eq!(own_channel(&terms, &key(3)).unwrap_err().code, FaultCode::PaymentRejected);
    }
}
