//! A node's side of its links: dialling and listening.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use cocoon_attest::{AttestError, IdentityHandle, Quoter, Verifier, is_attested};
use cocoon_protocol::{NodePublicKey, Role};
use rand::RngCore;
use rustls::ConnectionCommon;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::AbortOnDropHandle;

use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::frame::Frame;
use crate::hello::{Greeting, Nonce, Side};
use crate::link::{Link, Proven, staple};
use crate::mux::lock;
use crate::proof::{Checker, EXPORTER_LABEL, Prover, Transcript};
use crate::timer::{Timer, within};
use crate::tls::{PeerRule, TlsIdentity};

/// After a refused handshake the connection stays for so long that the peer can read the alert.
const LINGER: Duration = Duration::from_secs(1);
/// Links that wait to be taken from a listener.
const READY: usize = 16;

/// Whom a dialler expects.
#[derive(Clone, Debug)]
pub struct Expect {
    role: Role,
    node_key: Option<NodePublicKey>,
}

impl Expect {
    /// Any node with this role.
    pub const fn role(role: Role) -> Self {
        Self { role, node_key: None }
    }

    /// This very node.
    pub const fn node(role: Role, node_key: NodePublicKey) -> Self {
        Self { role, node_key: Some(node_key) }
    }
}

/// A node's identity and its judgement of others; makes links. Clones share both.
#[derive(Clone)]
pub struct Endpoint {
    identity: IdentityHandle,
    quoter: Option<Arc<dyn Quoter>>,
    verifier: Arc<Verifier>,
    config: LinkConfig,
    /// Quotes for clients are made in turns, in handshakes and apart from those on links that stand.
    turns: Arc<Semaphore>,
    standing_turns: Arc<Semaphore>,
    ready: Arc<Mutex<Option<Arc<TlsIdentity>>>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("identity", &self.identity.current()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint that uses whatever identity the handle holds when a connection begins. `quoter`: of the trust domain that the
    /// identity is for.
    pub fn new(identity: IdentityHandle, quoter: Arc<dyn Quoter>, verifier: Arc<Verifier>, config: LinkConfig) -> Self {
        Self::with(identity, Some(quoter), verifier, config)
    }

    /// A client's endpoint, which shows its node key and no quote. It verifies others like any other endpoint.
    pub fn client(identity: IdentityHandle, verifier: Arc<Verifier>, config: LinkConfig) -> Self {
        Self::with(identity, None, verifier, config)
    }

    fn with(
        identity: IdentityHandle,
        quoter: Option<Arc<dyn Quoter>>,
        verifier: Arc<Verifier>,
        config: LinkConfig,
    ) -> Self {
        let turns = || Arc::new(Semaphore::new(config.max_client_quotes.max(1)));
        let (turns, standing_turns) = (turns(), turns());
        Self { identity, quoter, verifier, config, turns, standing_turns, ready: Arc::default() }
    }

    /// The verifier of this endpoint.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.verifier
    }

    /// The present identity, made ready for TLS once.
    pub(crate) fn tls_identity(&self) -> Result<Arc<TlsIdentity>, LinkError> {
        let current = self.identity.current();
        let mut ready = lock(&self.ready);
        match &*ready {
            Some(tls) if Arc::ptr_eq(&tls.identity, &current) => Ok(tls.clone()),
            _ => {
                let tls = Arc::new(TlsIdentity::new(current)?);
                *ready = Some(tls.clone());
                Ok(tls)
            }
        }
    }

    pub(crate) fn rule(&self, roles: &[Role], node_key: Option<NodePublicKey>) -> PeerRule {
        PeerRule { verifier: self.verifier.clone(), roles: roles.to_vec(), node_key }
    }

    /// Dials a node over TCP.
    pub async fn connect(&self, addr: SocketAddr, expect: &Expect) -> Result<Link, LinkError> {
        let failed = |why: String| LinkError::Connect { addr, why };
        let tcp = within(&*self.config.timer, self.config.handshake_timeout, TcpStream::connect(addr))
            .await
            .ok_or_else(|| failed("no answer".into()))?
            .map_err(|e| failed(e.to_string()))?;
        // Without it, small frames wait up to 40 ms for the acknowledgement of the ones before.
        tcp.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
        self.connect_over(tcp, Some(addr), expect).await
    }

    /// Dials over a connection that exists already.
    pub async fn connect_over<IO>(&self, io: IO, remote: Option<SocketAddr>, expect: &Expect) -> Result<Link, LinkError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tls = self.tls_identity()?;
        let rule = self.rule(&[expect.role], expect.node_key);
        let connector = TlsConnector::from(tls.client(rule.clone())?);
        let handshake = async {
            // Certificates are judged by their evidence; names mean nothing here.
            let name = ServerName::try_from("cocoon.invalid").map_err(|e| LinkError::Tls { why: e.to_string() })?;
            let stream = connector.connect(name, io).await.map_err(|e| LinkError::from_io(&e))?;
            let transcript = transcript(stream.get_ref().1, &tls)?;
            self.greet(stream, Side::Dialer, &tls, &rule, transcript).await
        };
        let proven = self.in_time(handshake).await?;
        Ok(Link::start(proven, remote, &self.config))
    }

    /// Accepts over a connection that exists already.
    pub async fn accept_over<IO>(&self, io: IO, remote: Option<SocketAddr>, roles: &[Role]) -> Result<Link, LinkError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tls = self.tls_identity()?;
        let rule = self.rule(roles, None);
        let acceptor = TlsAcceptor::from(tls.server(rule.clone())?);
        let handshake = async {
            let stream = match acceptor.accept(io).into_fallible().await {
                Ok(stream) => stream,
                Err((error, io)) => {
                    linger(io, &*self.config.timer).await;
                    return Err(LinkError::from_io(&error));
                }
            };
            let transcript = transcript(stream.get_ref().1, &tls)?;
            self.greet(stream, Side::Listener, &tls, &rule, transcript).await
        };
        let proven = self.in_time(handshake).await?;
        Ok(Link::start(proven, remote, &self.config))
    }

    async fn in_time<T>(&self, handshake: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
        let limit = self.config.handshake_timeout;
        within(&*self.config.timer, limit, handshake).await.unwrap_or(Err(LinkError::HandshakeTimeout { limit }))
    }

    /// The step after TLS: greetings with nonces, then proofs for them. See `proof`.
    pub(crate) async fn greet<S>(
        &self,
        stream: S,
        side: Side,
        tls: &TlsIdentity,
        rule: &PeerRule,
        transcript: Transcript,
    ) -> Result<Proven<S>, LinkError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let transcript = Arc::new(transcript);
        let prover = Prover {
            identity: tls.identity.clone(),
            quoter: self.quoter.clone(),
            transcript: transcript.clone(),
            side,
            turns: Some(self.turns.clone()),
        };
        let mut words = Words { stream, buffer: BytesMut::new() };
        match words.exchange(prover, rule).await {
            Ok((prover, checker)) => {
                // Whoever has a link does not queue with the crowd at the door.
                let turns = prover.turns.and(Some(self.standing_turns.clone()));
                let prover = Prover { turns, ..prover };
                Ok(Proven { stream: words.stream, read_ahead: words.buffer, prover, checker })
            }
            // The peer has said goodbye, or is not there to hear ours.
            Err(error @ (LinkError::ClosedByPeer { .. } | LinkError::PeerGone | LinkError::Io { .. })) => Err(error),
            Err(error) => {
                let mut goodbye = BytesMut::new();
                Frame::GoAway { closing: true, reason: error.goodbye() }.encode(&mut goodbye);
                let _ = words.stream.write_all(&goodbye).await;
                linger(words.stream, &*self.config.timer).await;
                Err(error)
            }
        }
    }

    /// Listens on TCP for nodes of the given roles.
    pub async fn listen(&self, addr: SocketAddr, roles: &[Role]) -> Result<Listener, LinkError> {
        let failed = |e: std::io::Error| LinkError::Listen { addr, why: e.to_string() };
        let socket = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        let (ready, incoming) = mpsc::channel(READY);
        let door = Door { endpoint: self.clone(), roles: roles.into(), ready, sources: Sources::default() };
        let task = AbortOnDropHandle::new(tokio::spawn(door.keep(socket)));
        Ok(Listener { addr, incoming: tokio::sync::Mutex::new(incoming), _task: task })
    }
}

/// A connection on which the two sides speak one after the other.
struct Words<S> {
    stream: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Words<S> {
    /// Says and hears what comes before the first stream. Who comes out of it has been verified in full, with collateral of our own
    /// or of theirs.
    ///
    /// The dialler proves itself first, because it has chosen whom it talks to: a listener has checked the proof of whoever dialled
    /// before its platform makes a quote for that one (attack 75).
    async fn exchange(&mut self, prover: Prover, rule: &PeerRule) -> Result<(Prover, Checker), LinkError> {
        let refused = |reason: AttestError| LinkError::Attestation { reason };
        let (transcript, side) = (prover.transcript.clone(), prover.side);
        let certificate = &transcript.peer_certificate;
        // Judged a moment ago in the handshake, so this comes from the cache, and the policy of this moment applies.
        let known = match rule.check(certificate) {
            Ok(peer) => Some(peer),
            Err(reason) if reason.wants_collateral() => None,
            Err(reason) => return Err(refused(reason)),
        };
        let mut nonce: Nonce = [0; 32];
        rand::rngs::OsRng.fill_bytes(&mut nonce);
        let role = prover.identity.claims().role;
        self.say(Frame::Hello(Greeting { role, wants_collateral: known.is_none(), nonce }.encode())).await?;
        let out_of_turn = |what: &str| LinkError::Protocol {
            why: format!("the first frames are a greeting, collateral if it is wanted, and a proof, not {what}"),
        };
        let greeting = match self.hear().await? {
            Frame::Hello(greeting) => Greeting::decode(greeting)?,
            _ => return Err(out_of_turn("another one in place of the greeting")),
        };
        known.as_ref().map_or(Ok(()), |peer| greeting.check(peer))?;
        if greeting.wants_collateral {
            if !is_attested(role) {
                return Err(LinkError::Protocol { why: "a client has no platform to hand over collateral of".into() });
            }
            let own = rule.verifier.collateral(prover.identity.certificate());
            self.say(Frame::Collateral(staple(own.ok().as_deref()))).await?;
        }
        let peer = match known {
            Some(peer) => peer,
            None => match self.hear().await? {
                Frame::Collateral(staple) => rule.check_stapled(certificate, &staple).map_err(refused)?,
                _ => return Err(out_of_turn("another one in place of the collateral")),
            },
        };
        greeting.check(&peer)?;
        let prover = prover.toward(&peer);
        let checker = Checker { verifier: rule.verifier.clone(), peer, transcript, side };
        if side == Side::Dialer {
            self.say(Frame::Proof(prover.clone().prove(greeting.nonce).await?)).await?;
        }
        match self.hear().await? {
            Frame::Proof(proof) => checker.check(&proof, &nonce)?,
            _ => return Err(out_of_turn("another one in place of the proof")),
        }
        if side == Side::Listener {
            self.say(Frame::Proof(prover.clone().prove(greeting.nonce).await?)).await?;
        }
        Ok((prover, checker))
    }

    async fn say(&mut self, frame: Frame) -> Result<(), LinkError> {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).await.map_err(|e| LinkError::from_io(&e))?;
        self.stream.flush().await.map_err(|e| LinkError::from_io(&e))
    }

    async fn hear(&mut self) -> Result<Frame, LinkError> {
        loop {
            match Frame::decode(&mut self.buffer)? {
                // The peer may have looked at us first and say why it does not like what it sees.
                Some(Frame::GoAway { closing: true, reason }) => return Err(LinkError::ClosedByPeer { reason }),
                Some(frame) => return Ok(frame),
                None => {}
            }
            if self.stream.read_buf(&mut self.buffer).await.map_err(|e| LinkError::from_io(&e))? == 0 {
                return Err(LinkError::PeerGone);
            }
        }
    }
}

pub(crate) fn transcript<D>(connection: &ConnectionCommon<D>, tls: &TlsIdentity) -> Result<Transcript, LinkError> {
    let exporter = connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .map_err(|e| LinkError::Tls { why: e.to_string() })?;
    let peer =
        connection.peer_certificates().and_then(<[CertificateDer<'_>]>::first).ok_or(LinkError::NoCertificate)?;
    let own_certificate = tls.identity.certificate().to_vec();
    Ok(Transcript { exporter, own_certificate, peer_certificate: peer.to_vec() })
}

/// Says nothing more, and reads what still comes: closing over unread bytes would destroy what we said last.
async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO, timer: &dyn Timer) {
    let _ = io.shutdown().await;
    let mut rest = [0; 1024];
    let drain = async { while matches!(io.read(&mut rest).await, Ok(n) if n > 0) {} };
    let _ = within(timer, LINGER, drain).await;
}

/// Accepts links on a TCP port. Dropping it closes the port; links that stand go on.
pub struct Listener {
    addr: SocketAddr,
    incoming: tokio::sync::Mutex<mpsc::Receiver<(SocketAddr, Result<Link, LinkError>)>>,
    _task: AbortOnDropHandle<()>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.addr)
    }
}

impl Listener {
    /// The address it listens on, with the port that the system chose when 0 was asked.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next connection, with its link or why it has none. Handshakes go on in the background, many at a time, so that
    /// one slow peer holds up nobody; a failed one does not end the listener.
    pub async fn accept(&self) -> (SocketAddr, Result<Link, LinkError>) {
        match self.incoming.lock().await.recv().await {
            Some(incoming) => incoming,
            // The task behind the port ends only with the listener itself.
            None => (self.addr, Err(LinkError::Closed { reason: "the listener has ended".into() })),
        }
    }
}

/// What each address is doing and has done (attack 75).
#[derive(Default)]
struct Counts {
    /// Handshakes in progress.
    running: HashMap<IpAddr, usize>,
    /// Handshakes that failed in this minute.
    failed: HashMap<IpAddr, u32>,
}

type Sources = Arc<Mutex<Counts>>;

/// After so long the failures of an address are forgotten.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses whose failures are counted in a minute.
const COUNTED: usize = 65_536;

/// What runs behind a listener.
struct Door {
    endpoint: Endpoint,
    roles: Arc<[Role]>,
    ready: mpsc::Sender<(SocketAddr, Result<Link, LinkError>)>,
    sources: Sources,
}

impl Door {
    async fn keep(self, socket: TcpListener) {
        let config = &self.endpoint.config;
        let handshakes = Arc::new(Semaphore::new(config.max_handshakes));
        let mut running = tokio::task::JoinSet::new();
        let mut minute = config.timer.sleep(MINUTE);
        loop {
            // Waiting here leaves further connections in the system's queue, which is bounded.
            let Ok(turn) = handshakes.clone().acquire_owned().await else { return };
            while running.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = &mut minute => {
                    lock(&self.sources).failed.clear();
                    minute = config.timer.sleep(MINUTE);
                    continue;
                }
            };
            let (tcp, addr) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, as a rule: trying again at once would spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    config.timer.sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(source) = Source::enter(&self.sources, addr.ip(), config) else {
                // Unheard: telling the service of each one would be the flood's second victim.
                tracing::debug!(%addr, "connection dropped: too many handshakes of its address run or have failed");
                continue;
            };
            let (endpoint, roles, ready) = (self.endpoint.clone(), self.roles.clone(), self.ready.clone());
            running.spawn(async move {
                let result = match tcp.set_nodelay(true) {
                    Ok(()) => endpoint.accept_over(tcp, Some(addr), &roles).await,
                    Err(error) => Err(LinkError::Io { why: error.to_string() }),
                };
                source.leave(result.is_ok());
                let _ = ready.send((addr, result)).await;
                // Only now: a service that takes no links must not let them pile up here.
                drop(turn);
            });
        }
    }
}

/// One handshake in progress from an address.
struct Source {
    sources: Sources,
    ip: IpAddr,
}

impl Source {
    fn enter(sources: &Sources, ip: IpAddr, config: &LinkConfig) -> Option<Self> {
        let mut counts = lock(sources);
        if counts.failed.get(&ip).is_some_and(|failed| *failed >= config.max_failures_per_source) {
            return None;
        }
        let running = counts.running.entry(ip).or_default();
        if *running >= config.max_handshakes_per_source {
            return None;
        }
        *running += 1;
        Some(Self { sources: sources.clone(), ip })
    }

    /// The handshake has ended.
    fn leave(self, well: bool) {
        let mut counts = lock(&self.sources);
        if !well && (counts.failed.len() < COUNTED || counts.failed.contains_key(&self.ip)) {
            let failed = counts.failed.entry(self.ip).or_default();
            *failed = failed.saturating_add(1);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let running = &mut lock(&self.sources).running;
        if let Some(count) = running.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(&self.ip);
            }
        }
    }
}
