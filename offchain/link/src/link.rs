//! A link: streams over one attested connection, kept alive and re-checked.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cocoon_attest::{Collateral, Fmspc, MAX_STAPLE, PeerIdentity, Verifier};
use cocoon_protocol::Role;
use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngCore;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::config::LinkConfig;
use crate::error::LinkError;
use crate::frame::Frame;
use crate::hello::Nonce;
use crate::mux::{Mux, lock};
use crate::proof::{Checker, Prover};
use crate::stream::Stream;
use crate::timer::within;

/// Challenges and proofs that may wait at once.
const WORDS: usize = 4;
/// Bytes that are read at a time.
const READ_AHEAD: usize = 16 * 1024;
/// How long the end of a link may take: the rest of the queue, the goodbye, and what the peer still sends meanwhile.
const GOODBYE: Duration = Duration::from_secs(2);
/// Streams that are open when the peer's evidence expires may go on for so long.
const GRACE_SECONDS: u32 = 600;

/// Questions for collateral that are answered from one ping to the next (attack 75).
const ANSWERS: u32 = 8;

/// A connection on which both sides have proven who they are.
pub(crate) struct Proven<S> {
    pub stream: S,
    /// What arrived after the proof.
    pub read_ahead: BytesMut,
    pub prover: Prover,
    pub checker: Checker,
}

/// A connection with one peer that has proven itself. Clones are handles on the same link; when the last one is dropped, the link closes.
#[derive(Clone)]
pub struct Link(Arc<Handle>);

struct Handle {
    mux: Arc<Mux>,
    peer: PeerIdentity,
    exporter: [u8; 32],
    remote: Option<SocketAddr>,
    verifier: Arc<Verifier>,
    asks: Arc<Asks>,
    config: LinkConfig,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.mux.close(LinkError::Closed { reason: "no longer needed".into() }, true);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Handle { peer, remote, .. } = &*self.0;
        f.debug_struct("Link").field("peer", &peer.node_key).field("role", &peer.role).field("remote", remote).finish()
    }
}

impl Link {
    /// Starts a link on a connection that has proven itself.
    pub(crate) fn start<S>(proven: Proven<S>, remote: Option<SocketAddr>, config: &LinkConfig) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Proven { stream, read_ahead, prover, checker } = proven;
        let mux = Arc::new(Mux::new(checker.side, config.max_streams));
        let (peer, exporter) = (checker.peer.clone(), checker.transcript.exporter);
        let (verifier, asks) = (checker.verifier.clone(), Arc::<Asks>::default());
        let driver = Driver { mux: mux.clone(), prover, checker, asks: asks.clone(), config: config.clone() };
        // Ends with the link, which its last handle closes.
        tokio::spawn(driver.run(stream, read_ahead));
        Self(Arc::new(Handle { mux, peer, exporter, remote, verifier, asks, config: config.clone() }))
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &PeerIdentity {
        &self.0.peer
    }

    /// 32 bytes that only the two ends of this connection know. For binding further proofs to it.
    pub fn exporter(&self) -> &[u8; 32] {
        &self.0.exporter
    }

    /// The peer's address, when the link runs over TCP.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.0.remote
    }

    /// Checks the certificate (DER) of somebody else that the peer has told of; not a client's, which proves nothing where it is
    /// relayed. If nothing sufficient is known here about that one's platform model, the peer is asked for what it knows; that is
    /// verified like everything else.
    ///
    /// # Errors
    /// [`LinkError::Attestation`] says what is wrong with the evidence; others, that the link failed before the answer came.
    pub async fn verify_relayed(&self, certificate: &[u8], roles: &[Role]) -> Result<PeerIdentity, LinkError> {
        let Handle { verifier, asks, .. } = &*self.0;
        let refused = |reason| LinkError::Attestation { reason };
        match verifier.verify(certificate, roles) {
            Err(error) if error.wants_collateral() => {}
            verdict => return verdict.map_err(refused),
        }
        // One question at a time; whoever waited for another's answer may need none.
        let _turn = asks.turn.lock().await;
        match verifier.verify(certificate, roles) {
            Err(error) if error.wants_collateral() => {}
            verdict => return verdict.map_err(refused),
        }
        let staple = self.ask(verifier.platform_model(certificate).map_err(refused)?).await?;
        verifier.verify_stapled(certificate, &staple, roles).map_err(refused)
    }

    async fn ask(&self, model: Fmspc) -> Result<Bytes, LinkError> {
        let Handle { mux, asks, config, .. } = &*self.0;
        let (answer, answered) = oneshot::channel();
        *lock(&asks.waiting) = Some(answer);
        mux.control(Frame::Ask(model.0));
        let limit = config.handshake_timeout;
        let silent = || LinkError::PeerSilent { limit };
        tokio::select! {
            reason = self.closed() => Err(reason),
            answer = within(&*config.timer, limit, answered) => answer.ok_or_else(silent)?.map_err(|_| silent()),
        }
    }

    /// Opens a stream. Fails at once when the link has ended or as many streams are open as may be.
    pub fn open(&self) -> Result<Stream, LinkError> {
        Ok(Stream::new(self.0.mux.clone(), self.0.mux.open()?))
    }

    /// The next stream that the peer opens, or why there will be none.
    pub async fn accept(&self) -> Result<Stream, LinkError> {
        loop {
            if let Some(slot) = self.0.mux.accept() {
                return Ok(Stream::new(self.0.mux.clone(), slot?));
            }
            self.0.mux.arrivals.notified().await;
        }
    }

    /// Closes the link; what was sent still goes out, and the peer is told the reason.
    pub fn close(&self, reason: &str) {
        self.0.mux.close(LinkError::Closed { reason: reason.to_owned() }, true);
    }

    /// Why the link ended, if it has.
    pub fn error(&self) -> Option<LinkError> {
        self.0.mux.closed()
    }

    /// Waits for the end of the link.
    pub fn closed(&self) -> impl Future<Output = LinkError> + Send + 'static {
        let mut closed = self.0.mux.watch_closed();
        async move {
            match closed.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(reason)) => reason.clone(),
                _ => LinkError::Closed { reason: "no longer needed".into() },
            }
        }
    }
}

/// Questions for collateral, from this side to the other.
#[derive(Default)]
struct Asks {
    /// One question at a time.
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Option<oneshot::Sender<Bytes>>>,
}

/// Collateral as it travels; nothing, if there is none or it is larger than anybody reads.
pub(crate) fn staple(collateral: Option<&Collateral>) -> Bytes {
    let staple = collateral.map(Collateral::to_staple).unwrap_or_default();
    if staple.len() > MAX_STAPLE {
        tracing::warn!(size = staple.len(), limit = MAX_STAPLE, "our platform's collateral is too large to hand over");
        return Bytes::new();
    }
    staple.into()
}

/// What runs under a link.
struct Driver {
    mux: Arc<Mux>,
    prover: Prover,
    checker: Checker,
    asks: Arc<Asks>,
    config: LinkConfig,
}

/// About proofs and collateral, from the peer.
enum Word {
    Challenge(Nonce),
    Proof(Bytes),
    Ask(Fmspc),
}

impl Driver {
    async fn run<IO: AsyncRead + AsyncWrite>(self, io: IO, read_ahead: BytesMut) {
        let (mut reader, writer) = tokio::io::split(io);
        let mut writing = pin!(self.write(writer));
        let mut written = false;
        let (words, heard) = mpsc::channel(WORDS);
        let reason = tokio::select! {
            reason = self.read(&mut reader, read_ahead, words) => reason,
            reason = self.watch(heard) => reason,
            reason = &mut writing => {
                written = true;
                reason
            }
        };
        tracing::debug!(peer = %self.checker.peer.node_key, %reason, "link ends");
        // Nothing more for a peer that has just been found wanting. If this side closed the link, that stands.
        self.mux.close(reason, false);
        let timer = &*self.config.timer;
        if !written && within(timer, GOODBYE, writing).await.is_none() {
            return;
        }
        // What the peer sent meanwhile must be read: closing over unread bytes makes TCP destroy the goodbye on its way.
        let mut rest = [0; 4096];
        let drain = async { while matches!(reader.read(&mut rest).await, Ok(n) if n > 0) {} };
        let _ = within(timer, GOODBYE, drain).await;
    }

    /// Reads frames until something is wrong.
    async fn read<IO: AsyncRead>(
        &self,
        reader: &mut ReadHalf<IO>,
        mut buffer: BytesMut,
        words: mpsc::Sender<Word>,
    ) -> LinkError {
        loop {
            loop {
                match Frame::decode(&mut buffer) {
                    Ok(Some(frame)) => {
                        let word = match frame {
                            Frame::Challenge(nonce) => Word::Challenge(nonce),
                            Frame::Proof(proof) => Word::Proof(proof),
                            Frame::Ask(model) => Word::Ask(Fmspc(model)),
                            Frame::Collateral(staple) => match lock(&self.asks.waiting).take() {
                                Some(waiting) => {
                                    // Whoever asked may have given up.
                                    let _ = waiting.send(staple);
                                    continue;
                                }
                                None => {
                                    return LinkError::Protocol { why: "collateral that nobody asked for".into() };
                                }
                            },
                            frame => match self.mux.receive(frame) {
                                Ok(()) => continue,
                                Err(reason) => return reason,
                            },
                        };
                        if words.try_send(word).is_err() {
                            return LinkError::Protocol {
                                why: "challenges, proofs and questions come faster than they are dealt with".into(),
                            };
                        }
                    }
                    Ok(None) => break,
                    Err(reason) => return reason,
                }
            }
            buffer.reserve(READ_AHEAD);
            match reader.read_buf(&mut buffer).await {
                Ok(0) => return LinkError::PeerGone,
                Ok(_) => {}
                Err(error) => return LinkError::from_io(&error),
            }
        }
    }

    /// Writes frames until the link is closed, then the goodbye.
    async fn write<IO: AsyncWrite>(&self, mut writer: WriteHalf<IO>) -> LinkError {
        let timer = &*self.config.timer;
        let mut batch = BytesMut::new();
        loop {
            let closed = self.mux.closed();
            self.mux.take_batch(&mut batch);
            if batch.is_empty() {
                if let Some(reason) = closed {
                    Frame::GoAway { closing: true, reason: reason.goodbye() }.encode(&mut batch);
                    let goodbye = async {
                        writer.write_all(&batch).await?;
                        writer.shutdown().await
                    };
                    let _ = within(timer, GOODBYE, goodbye).await;
                    return reason;
                }
                self.mux.work.notified().await;
                continue;
            }
            let write = async {
                writer.write_all(&batch).await?;
                writer.flush().await
            };
            match within(timer, self.config.idle_timeout, write).await {
                Some(Ok(())) => batch.clear(),
                Some(Err(error)) => return LinkError::from_io(&error),
                None => {
                    let why = format!("nothing could be written for {} s", self.config.idle_timeout.as_secs_f32());
                    return LinkError::PeerStalled { why };
                }
            }
        }
    }

    /// Looks after the link: is the peer there, is it still allowed, is its evidence fresh, does it prove itself anew. Also ends
    /// when the link is closed from outside.
    async fn watch(&self, mut heard: mpsc::Receiver<Word>) -> LinkError {
        let Checker { verifier, peer, .. } = &self.checker;
        let mut policy = verifier.policy().subscribe();
        let mut closed = self.mux.watch_closed();
        let interval = self.config.ping_interval;
        let mut tick = self.config.timer.sleep(interval);
        let mut silence = Duration::ZERO;
        let mut proving: Option<BoxFuture<'_, _>> = None;
        let mut asked = Asked { nonce: None, ago: Duration::ZERO };
        let mut answers = 0;
        // Since the last proof was asked of us, counted in pings; the first was in the handshake.
        let mut challenged = Duration::ZERO;
        loop {
            // First, because the policy may have changed since the handshake.
            if let Err(reason) = verifier.recheck(peer) {
                return LinkError::Revoked { reason };
            }
            let valid_until = peer.valid_until;
            let now = verifier.now();
            if now > valid_until.plus(GRACE_SECONDS) {
                return LinkError::Expired { valid_until };
            } else if now > valid_until {
                self.mux.drain(LinkError::Expired { valid_until });
            }
            tokio::select! {
                _ = closed.wait_for(Option::is_some) => {
                    return self.mux.closed().unwrap_or(LinkError::PeerGone);
                }
                Ok(()) = policy.changed() => {}
                proof = async {
                    match &mut proving {
                        Some(proving) => proving.await,
                        None => std::future::pending().await,
                    }
                } => {
                    proving = None;
                    match proof {
                        Ok(proof) => self.mux.control(Frame::Proof(proof)),
                        Err(reason) => return reason,
                    }
                }
                Some(word) = heard.recv() => match word {
                    Word::Challenge(_) if proving.is_some() => {
                        return LinkError::Protocol { why: "a challenge before the last one is answered".into() };
                    }
                    Word::Challenge(_)
                        if peer.domain.is_none() && challenged < self.config.client_challenge_interval =>
                    {
                        return LinkError::Protocol { why: "a client asks for proofs too often".into() };
                    }
                    Word::Ask(_) if answers >= ANSWERS => {
                        return LinkError::Protocol { why: "too many questions for collateral".into() };
                    }
                    Word::Ask(model) => {
                        answers += 1;
                        self.mux.control(Frame::Collateral(staple(verifier.collateral_for(model).as_deref())));
                    }
                    Word::Challenge(nonce) => {
                        challenged = Duration::ZERO;
                        proving = Some(self.prover.clone().prove(nonce).boxed());
                    }
                    Word::Proof(proof) => match asked.nonce.take() {
                        None => return LinkError::Protocol { why: "a proof that nobody asked for".into() },
                        Some(nonce) => {
                            if let Err(reason) = self.checker.check(&proof, &nonce) {
                                return reason;
                            }
                        }
                    },
                },
                () = &mut tick => {
                    tick = self.config.timer.sleep(interval);
                    answers = 0;
                    challenged = challenged.saturating_add(interval);
                    silence = if self.mux.was_heard() { Duration::ZERO } else { silence.saturating_add(interval) };
                    if silence >= self.config.idle_timeout {
                        return LinkError::PeerSilent { limit: self.config.idle_timeout };
                    }
                    if !silence.is_zero() {
                        self.mux.ping();
                    }
                    if let Err(reason) = self.ask_for_proof(&mut asked) {
                        return reason;
                    }
                }
            }
        }
    }

    /// Once per tick: challenges the peer when it is time, and gives it up when it does not answer.
    fn ask_for_proof(&self, asked: &mut Asked) -> Result<(), LinkError> {
        asked.ago = asked.ago.saturating_add(self.config.ping_interval);
        let limit = self.config.idle_timeout;
        if asked.nonce.is_some() {
            return if asked.ago > limit { Err(LinkError::NoProof { limit }) } else { Ok(()) };
        }
        if asked.ago >= self.config.proof_interval {
            let mut nonce = [0; 32];
            rand::rngs::OsRng.fill_bytes(&mut nonce);
            *asked = Asked { nonce: Some(nonce), ago: Duration::ZERO };
            self.mux.control(Frame::Challenge(nonce));
        }
        Ok(())
    }
}

/// The last challenge: its nonce until it is answered, and how long ago it was.
struct Asked {
    nonce: Option<Nonce>,
    ago: Duration,
}
