//! The step after TLS, and again now and then: each side proves that it holds its on-chain node key, and unless it is a client that the
//! trust domain of its certificate is at its end of this very connection (docs/protocol.md P1.2).
//!
//! TLS proves possession of the certificate's key only. If that key leaks, or if evidence is relayed from an honest node to
//! another endpoint, whoever has it can neither sign with the node key nor, should that have leaked with it, make a quote of the
//! trust domain over this connection (attacks 67, 68). Quote and signature cover the TLS exporter, which is unique to the
//! connection; both certificates, because the exporter does not cover the client's; the verifier's nonce; side and role.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cocoon_attest::{Identity, PeerIdentity, Quoter, Verifier, is_attested};
use cocoon_protocol::{Role, Signature};
use sha2::{Digest, Sha256, Sha512};
use tokio::sync::Semaphore;

use crate::error::LinkError;
use crate::hello::{Nonce, Side};

/// Label under which the exporter is drawn from TLS.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-cocoon-link-v4";
const QUOTE_DOMAIN: &[u8] = b"cocoon-link-quote-v4\0";
/// Longer than 32 bytes with what follows: cannot be taken for the cell hashes that the same key signs.
const SIGNATURE_DOMAIN: &[u8] = b"cocoon-link-proof-v4\0";
const SIGNATURE: usize = 64;

/// What both sides know of the connection once TLS is up.
#[derive(Clone)]
pub struct Transcript {
    /// Secret and unique to this connection.
    pub exporter: [u8; 32],
    /// Our certificate, DER.
    pub own_certificate: Vec<u8>,
    /// The peer's certificate, DER.
    pub peer_certificate: Vec<u8>,
}

impl Transcript {
    /// What a proof is about. The side stands in it so that a proof cannot be reflected to its author.
    fn bound(&self, domain: &[u8], prover: Side, role: Role, own: bool, nonce: &Nonce) -> Vec<u8> {
        let (mine, theirs) = (&self.own_certificate, &self.peer_certificate);
        let (provers, verifiers) = if own { (mine, theirs) } else { (theirs, mine) };
        let side = match prover {
            Side::Dialer => 0,
            Side::Listener => 1,
        };
        let mut message = domain.to_vec();
        message.extend([side, role.code()]);
        message.extend(self.exporter);
        message.extend(Sha256::digest(provers));
        message.extend(Sha256::digest(verifiers));
        message.extend(nonce);
        message
    }

    fn report_data(&self, prover: Side, role: Role, own: bool, nonce: &Nonce) -> [u8; 64] {
        Sha512::digest(self.bound(QUOTE_DOMAIN, prover, role, own, nonce)).into()
    }

    pub fn signed(&self, prover: Side, role: Role, own: bool, nonce: &Nonce, quote: &[u8]) -> Vec<u8> {
        let mut message = self.bound(SIGNATURE_DOMAIN, prover, role, own, nonce);
        message.extend(Sha256::digest(quote));
        message
    }
}

/// Makes this side's proofs.
#[derive(Clone)]
pub struct Prover {
    pub identity: Arc<Identity>,
    /// `None` for a client, which makes no quotes.
    pub quoter: Option<Arc<dyn Quoter>>,
    pub transcript: Arc<Transcript>,
    pub side: Side,
    /// A quote waits for its turn here, unless the peer has shown one itself (attack 75).
    pub turns: Option<Arc<Semaphore>>,
}

impl Prover {
    /// The same for this peer: one that shows quotes itself waits for nobody's turn.
    pub fn toward(self, peer: &PeerIdentity) -> Self {
        let turns = if peer.domain.is_some() { None } else { self.turns };
        Self { turns, ..self }
    }

    fn role(&self) -> Role {
        self.identity.claims().role
    }

    /// A proof for the peer's nonce: `quote ‖ signature (64)`, from a client the signature alone. The platform takes its time, so this
    /// waits on a thread of its own.
    pub async fn prove(self, nonce: Nonce) -> Result<Bytes, LinkError> {
        if !is_attested(self.role()) {
            return Ok(self.sign(&nonce, &[]));
        }
        let failed = |why: String| LinkError::OwnQuote { why };
        let missing = || failed(format!("this endpoint is a client's, and its identity is a {}'s", self.role()));
        let quoter = self.quoter.clone().ok_or_else(missing)?;
        let turn = match &self.turns {
            Some(turns) => Some(turns.clone().acquire_owned().await.map_err(|e| failed(e.to_string()))?),
            None => None,
        };
        let prove = move || {
            // Kept until the quote is there: a peer that goes away meanwhile does not make room for the next one.
            let _turn = turn;
            let report_data = self.transcript.report_data(self.side, self.role(), true, &nonce);
            let quote = quoter.exact_quote(&report_data).map_err(|e| failed(e.to_string()))?;
            Ok(self.sign(&nonce, &quote))
        };
        tokio::task::spawn_blocking(prove).await.map_err(|e| LinkError::OwnQuote { why: e.to_string() })?
    }

    fn sign(&self, nonce: &Nonce, quote: &[u8]) -> Bytes {
        let message = self.transcript.signed(self.side, self.role(), true, nonce, quote);
        let signature = self.identity.node_key().sign_bytes(&message);
        let mut proof = BytesMut::with_capacity(quote.len() + SIGNATURE);
        proof.put_slice(quote);
        proof.put_slice(&signature.0);
        proof.freeze()
    }
}

/// Checks the peer's proofs.
#[derive(Clone)]
pub struct Checker {
    pub verifier: Arc<Verifier>,
    pub peer: PeerIdentity,
    pub transcript: Arc<Transcript>,
    /// Ours.
    pub side: Side,
}

impl Checker {
    /// Checks a proof for our nonce. The signature first, because it is cheap. Whether there must be a quote, or must be none, is the
    /// verifier's to say.
    pub fn check(&self, proof: &Bytes, nonce: &Nonce) -> Result<(), LinkError> {
        let wrong = || LinkError::Protocol { why: "the proof is cut off".into() };
        let mut rest = proof.clone();
        let quote = rest.split_to(proof.len().checked_sub(SIGNATURE).ok_or_else(wrong)?);
        let mut signature = [0; SIGNATURE];
        rest.try_copy_to_slice(&mut signature).map_err(|_| wrong())?;
        let (prover, role) = (self.side.other(), self.peer.role);
        let message = self.transcript.signed(prover, role, false, nonce, &quote);
        self.peer.node_key.verify_bytes(&message, &Signature(signature)).map_err(|_| LinkError::NodeKeyProof)?;
        let report_data = self.transcript.report_data(prover, role, false, nonce);
        self.verifier
            .verify_fresh(&self.transcript.peer_certificate, &[role], &quote, &report_data)
            .map_err(|reason| LinkError::Attestation { reason })
    }
}
