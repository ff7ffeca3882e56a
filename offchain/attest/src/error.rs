//! Why evidence was refused.

use cocoon_protocol::{Fault, FaultCode, GlobalId, ImageId, NodePublicKey, Role, UnixSeconds};

use crate::collateral::{Fmspc, RootHash};
use crate::policy::PlatformId;

/// Why a certificate or a quote was refused. Each variant says what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// The certificate is over the size that a verifier reads.
    #[error("the peer's certificate has {size} bytes, over the limit of {limit}")]
    CertificateTooLarge {
        /// Bytes received.
        size: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// Not exactly one X.509 certificate.
    #[error("the peer's certificate cannot be read: {why}")]
    MalformedCertificate {
        /// What the parser found.
        why: String,
    },
    /// A TLS certificate without attestation evidence.
    #[error("the peer's certificate carries no attestation evidence (extension 2.23.133.5.4.9)")]
    NoEvidence,
    /// The evidence extension is not `60000([quote, claims])` with valid claims.
    #[error("the attestation evidence is malformed: {why}")]
    MalformedEvidence {
        /// What was wrong.
        why: String,
    },
    /// A node that runs in a trust domain shows no quote (attack 70).
    #[error("the peer is a {role} and shows no quote; only clients show none")]
    NoQuote {
        /// What it claims to be.
        role: Role,
    },
    /// A client shows a quote, and would be believed more than a client is.
    #[error("the peer is a client and shows a quote; a client shows its node key and no quote")]
    QuoteOfClient,
    /// Something was asked that only a quote can answer.
    #[error("the peer is a client: it shows no quote, which alone could tell its image or its platform")]
    NotAttested,
    /// The claims speak of another TLS key than the certificate's.
    #[error("the attested claims name another TLS key than the certificate holds")]
    KeyNotBound,
    /// The quote was made for other claims: it was copied from elsewhere (attack 59).
    #[error("the quote was not made for these claims: it belongs to another certificate")]
    ReportDataMismatch,
    /// The attested validity window is longer than allowed.
    #[error("the attested validity window of {seconds} s is over the limit of {limit} s")]
    WindowTooLong {
        /// Its length.
        seconds: u32,
        /// The longest allowed.
        limit: u32,
    },
    /// Not the time to use this identity.
    #[error("the identity is valid from {not_before} to {not_after}, and the chain's time is {now}")]
    OutsideWindow {
        /// Start of the window.
        not_before: UnixSeconds,
        /// End of the window.
        not_after: UnixSeconds,
        /// Chain time.
        now: UnixSeconds,
    },
    /// The peer has another role than this connection is for.
    #[error("the peer is a {got}, and a peer here must be one of: {}", roles(.expected))]
    WrongRole {
        /// The attested role.
        got: Role,
        /// The roles accepted here.
        expected: Vec<Role>,
    },
    /// The peer belongs to another network.
    #[error("the peer belongs to network {got}, and this is network {expected}")]
    WrongNetwork {
        /// The attested network.
        got: GlobalId,
        /// Ours.
        expected: GlobalId,
    },
    /// The peer is another node than the one that was dialled.
    #[error("the peer is node {got}, and node {expected} was called")]
    WrongNode {
        /// The attested key.
        got: Box<NodePublicKey>,
        /// The key that the caller asked for.
        expected: Box<NodePublicKey>,
    },
    /// The bytes are not a TDX quote of a known version.
    #[error("the TDX quote cannot be read: {why}")]
    MalformedQuote {
        /// What the parser found.
        why: String,
    },
    /// The host can look into the trust domain (attack 61).
    #[error("the peer runs in a debug trust domain, which its host can read")]
    DebugTd,
    /// The trust domain can be confused through its page handler (attack 62).
    #[error("the peer's trust domain was launched without SEPT_VE_DISABLE")]
    SeptVeDisableOff,
    /// The fresh quote is not from the trust domain that the certificate's quote is from (attacks 67, 68).
    #[error("the fresh quote is from {found}, and the certificate is for {expected}: the keys were taken elsewhere")]
    OtherDomain {
        /// Where the fresh quote is from.
        found: String,
        /// Where the certificate's quote is from.
        expected: String,
    },
    /// Nothing is known about the platform's model.
    #[error("no collateral for platform model {fmspc}: fetch it from the vendor's service and try again")]
    NoCollateral {
        /// The model.
        fmspc: Fmspc,
    },
    /// What is known about the platform's model does not speak for this time (attack 64).
    #[error("the collateral speaks for the time from {from} to {until}, and the chain's time is {now}: fetch it anew")]
    CollateralOutOfDate {
        /// Its issue date.
        from: UnixSeconds,
        /// Its next update.
        until: UnixSeconds,
        /// Chain time.
        now: UnixSeconds,
    },
    /// The peer handed over more than a verifier reads.
    #[error("the peer's stapled collateral has {size} bytes, over the limit of {limit}")]
    StapleTooLarge {
        /// Bytes received.
        size: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// What the peer handed over is not collateral.
    #[error("the peer's stapled collateral cannot be read: {why}")]
    MalformedStaple {
        /// What was wrong.
        why: String,
    },
    /// What the peer handed over is about other platforms than its own.
    #[error("the peer's stapled collateral is for platform model {got}, and its platform is a {expected}")]
    StapleForOtherModel {
        /// The model in the collateral.
        got: Fmspc,
        /// The model of the platform that made the quote.
        expected: Fmspc,
    },
    /// What the peer handed over is older, in some part, than what is known here: a revocation may be missing from it (attack 63).
    #[error("the peer's stapled collateral is older than what is known here of platform model {fmspc}")]
    StapleOlder {
        /// The model.
        fmspc: Fmspc,
    },
    /// The platform is vouched for by somebody that this network does not trust (attack 66).
    #[error("the platform is certified under root {root}, which network {network} does not accept")]
    RootNotAllowed {
        /// SHA-256 of the root's public key.
        root: RootHash,
        /// The network.
        network: GlobalId,
    },
    /// The quote verifier refused: a signature, a revocation, the platform's TCB or the age of the collateral.
    #[error("the quote does not verify: {why}")]
    QuoteRejected {
        /// What the verifier said.
        why: String,
    },
    /// The collateral is older than the registry demands (attack 63).
    #[error("the collateral has TCB evaluation number {got}, and the registry demands at least {least}")]
    TcbEvaluationTooLow {
        /// The number in the collateral.
        got: u32,
        /// The registry's minimum.
        least: u32,
    },
    /// The platform was banned by the registry (attack 65).
    #[error("platform {platform} is banned by the registry")]
    PlatformBanned {
        /// The platform.
        platform: PlatformId,
    },
    /// The registry does not approve the image for this role (attack 60).
    #[error("image {image} is not approved for the role {role}")]
    ImageNotApproved {
        /// The image.
        image: ImageId,
        /// The role.
        role: Role,
    },
    /// The image is approved, but not now (attack 48).
    #[error("image {image} may be used from {active_from}{}, and the chain's time is {now}", until(.sunset))]
    ImageNotActive {
        /// The image.
        image: ImageId,
        /// Start of its use.
        active_from: UnixSeconds,
        /// End of its use.
        sunset: Option<UnixSeconds>,
        /// Chain time.
        now: UnixSeconds,
    },
}

impl AttestError {
    /// Whether newer collateral of the platform's model could change the verdict. Everything that needs no collateral has then been
    /// found in order.
    pub fn wants_collateral(&self) -> bool {
        matches!(self, Self::NoCollateral { .. } | Self::CollateralOutOfDate { .. } | Self::TcbEvaluationTooLow { .. })
    }
}

impl From<AttestError> for Fault {
    fn from(error: AttestError) -> Self {
        Self::new(FaultCode::AttestationFailed, error.to_string())
    }
}

fn roles(roles: &[Role]) -> String {
    roles.iter().map(Role::to_string).collect::<Vec<_>>().join(", ")
}

fn until(sunset: &Option<UnixSeconds>) -> String {
    sunset.map(|s| format!(" to {s}")).unwrap_or_default()
}
