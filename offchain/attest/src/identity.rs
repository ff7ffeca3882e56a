//! A node's own certificate and keys.

use std::fmt;
use std::sync::Arc;

use cocoon_protocol::{GlobalId, Hash256, NodeKey, Role, UnixSeconds};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair, PKCS_ED25519, PublicKeyData};
use sha2::{Digest, Sha384};
use time::OffsetDateTime;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::claims::{Claims, MAX_WINDOW_SECONDS, check_shown, report_data};
use crate::error::AttestError;
use crate::evidence::{self, MAX_CERTIFICATE, OID_EVIDENCE};
use crate::quoter::{Quoter, QuoterError};

/// Another node's chain may lag behind ours by this much and still accept a new identity.
const CLOCK_SKEW_SECONDS: u32 = 300;
/// How long an identity lives unless the caller says otherwise.
const DEFAULT_LIFETIME_SECONDS: u32 = 3600;

/// An identity cannot be issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A client has no use for a quoter, and everybody else needs one.
    #[error("no identity of this role can be issued this way: {0}")]
    Role(AttestError),
    /// The platform makes no quote.
    #[error("no quote for the new identity: {0}")]
    Quoter(#[from] QuoterError),
    /// The certificate cannot be built.
    #[error("the certificate of the new identity cannot be built: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A verifier would refuse the certificate for its size.
    #[error("the certificate of the new identity has {size} bytes, over the limit of {MAX_CERTIFICATE}")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// No verifier would accept so long a lifetime.
    #[error("a lifetime of {lifetime} s is over the limit of {limit} s")]
    LifetimeTooLong {
        /// What was asked.
        lifetime: u32,
        /// The longest allowed.
        limit: u32,
    },
    /// The node's GPUs gave no evidence.
    #[error("no evidence of the GPUs for the new identity: {why}")]
    Gpu {
        /// What went wrong.
        why: String,
    },
    /// The time is no date.
    #[error("{0} is no time that a certificate can hold")]
    Time(UnixSeconds),
}

/// What an identity is to say.
#[derive(Clone, Debug)]
pub struct IdentityRequest {
    /// What the node does.
    pub role: Role,
    /// The chain it belongs to.
    pub network: GlobalId,
    /// Chain time.
    pub now: UnixSeconds,
    /// How long the identity is valid, in seconds.
    pub lifetime: u32,
    /// The last masterchain block that the node has proven.
    pub anchor_seqno: u32,
}

impl IdentityRequest {
    /// An identity for an hour.
    pub fn new(role: Role, network: GlobalId, now: UnixSeconds) -> Self {
        Self { role, network, now, lifetime: DEFAULT_LIFETIME_SECONDS, anchor_seqno: 0 }
    }
}

/// A certificate with evidence, its TLS key, and the node key that it names. `Debug` shows no secret.
pub struct Identity {
    certificate: Vec<u8>,
    tls_key: Zeroizing<Vec<u8>>,
    node_key: NodeKey,
    claims: Claims,
}

impl Identity {
    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The TLS key, PKCS #8.
    pub fn tls_key(&self) -> &[u8] {
        &self.tls_key
    }

    /// The on-chain key.
    pub fn node_key(&self) -> &NodeKey {
        &self.node_key
    }

    /// What the certificate claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// When to issue the next one: after two thirds of the lifetime.
    pub fn renew_at(&self) -> UnixSeconds {
        let window = self.claims.not_after.0.saturating_sub(self.claims.not_before.0);
        UnixSeconds(self.claims.not_after.0.saturating_sub(window / 3))
    }

    /// An identity from a certificate (DER) with evidence and its keys (TLS key in PKCS #8), made elsewhere. Only the form is
    /// checked: whether it is any good is for the peers to say.
    pub fn from_parts(certificate: Vec<u8>, tls_key: Vec<u8>, node_key: NodeKey) -> Result<Self, AttestError> {
        let tls_key = Zeroizing::new(tls_key);
        let claims = evidence::claims_of(&certificate)?;
        Ok(Self { certificate, tls_key, node_key, claims })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("claims", &self.claims).finish_non_exhaustive()
    }
}

/// The identity that a process uses for new connections; renewed while links live.
#[derive(Clone, Debug)]
pub struct IdentityHandle(Arc<watch::Sender<Arc<Identity>>>);

impl IdentityHandle {
    /// A handle on a first identity.
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(identity))))
    }

    /// The identity for the next connection.
    pub fn current(&self) -> Arc<Identity> {
        self.0.borrow().clone()
    }

    /// Replaces the identity; connections that stand keep theirs.
    pub fn renew(&self, identity: Identity) {
        self.0.send_replace(Arc::new(identity));
    }
}

/// A fresh TLS key and a certificate that binds it, by a quote, to the node key, the role and the network.
///
/// Blocks for the time of one quote.
///
/// # Errors
/// [`IssueError::Role`] for a client: see [`issue_client_identity`].
pub fn issue_identity(
    quoter: &dyn Quoter,
    node_key: &NodeKey,
    request: &IdentityRequest,
) -> Result<Identity, IssueError> {
    issue(Some(quoter), node_key, request, |_| Ok(None))
}

/// The same for a client, whose certificate has no quote: what it claims is worth what its link proves, that the peer holds the
/// node key.
///
/// # Errors
/// [`IssueError::Role`] for every other role.
pub fn issue_client_identity(node_key: &NodeKey, request: &IdentityRequest) -> Result<Identity, IssueError> {
    issue(None, node_key, request, |_| Ok(None))
}

/// The same for a node with attested GPUs. `collect` gets the SHA-384 of the new TLS key's SubjectPublicKeyInfo, from which the
/// nonce for the GPUs is made, has them attested, and gives the digest of their evidence, or says why there is none.
pub fn issue_identity_with_gpus(
    quoter: &dyn Quoter,
    node_key: &NodeKey,
    request: &IdentityRequest,
    collect: impl FnOnce(&[u8; 48]) -> Result<Hash256, String>,
) -> Result<Identity, IssueError> {
    issue(Some(quoter), node_key, request, |spki| collect(spki).map(Some).map_err(|why| IssueError::Gpu { why }))
}

fn issue(
    quoter: Option<&dyn Quoter>,
    node_key: &NodeKey,
    request: &IdentityRequest,
    gpu_evidence: impl FnOnce(&[u8; 48]) -> Result<Option<Hash256>, IssueError>,
) -> Result<Identity, IssueError> {
    check_shown(request.role, quoter.is_some()).map_err(IssueError::Role)?;
    let limit = MAX_WINDOW_SECONDS - CLOCK_SKEW_SECONDS;
    if request.lifetime > limit {
        return Err(IssueError::LifetimeTooLong { lifetime: request.lifetime, limit });
    }
    let tls_key = KeyPair::generate_for(&PKCS_ED25519)?;
    let spki_sha384 = Sha384::digest(tls_key.subject_public_key_info()).into();
    let claims = Claims {
        spki_sha384,
        not_before: UnixSeconds(request.now.0.saturating_sub(CLOCK_SKEW_SECONDS)),
        not_after: request.now.plus(request.lifetime),
        role: request.role,
        network: request.network,
        node_key: node_key.public(),
        anchor_seqno: request.anchor_seqno,
        gpu_evidence: gpu_evidence(&spki_sha384)?,
    };
    let encoded = claims.encode();
    let quote = match quoter {
        Some(quoter) => quoter.exact_quote(&report_data(&encoded))?,
        None => vec![],
    };
    let certificate = certificate(&tls_key, &claims, evidence::encode(&quote, &encoded))?;
    if certificate.len() > MAX_CERTIFICATE {
        return Err(IssueError::TooLarge { size: certificate.len() });
    }
    let tls_key = Zeroizing::new(tls_key.serialize_der());
    Ok(Identity { certificate, tls_key, node_key: node_key.clone(), claims })
}

pub(crate) fn certificate(key: &KeyPair, claims: &Claims, evidence: Vec<u8>) -> Result<Vec<u8>, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "cocoon");
    let date = |t: UnixSeconds| OffsetDateTime::from_unix_timestamp(i64::from(t.0)).map_err(|_| IssueError::Time(t));
    params.not_before = date(claims.not_before)?;
    params.not_after = date(claims.not_after)?;
    params.custom_extensions.push(CustomExtension::from_oid_content(OID_EVIDENCE, evidence));
    Ok(params.self_signed(key)?.der().to_vec())
}
