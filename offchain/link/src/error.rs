//! What can go wrong with a link or a stream.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use cocoon_attest::AttestError;
use cocoon_protocol::{Role, UnixSeconds};

/// Why a link did not come about or why it ended. Clonable, because every stream of a link reports it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No TCP connection.
    #[error("cannot connect to {addr}: {why}")]
    Connect {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// A listener cannot be opened.
    #[error("cannot listen on {addr}: {why}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        why: String,
    },
    /// The connection failed below TLS.
    #[error("the connection to the peer failed: {why}")]
    Io {
        /// What the system said.
        why: String,
    },
    /// TLS itself failed.
    #[error("the TLS handshake or a TLS record failed: {why}")]
    Tls {
        /// What the TLS library said.
        why: String,
    },
    /// Our own keys or certificate cannot be used for TLS.
    #[error("this node's own identity cannot be used: {why}; issue a new one")]
    OwnIdentity {
        /// What was wrong.
        why: String,
    },
    /// The peer is not what the chain demands.
    #[error("the peer's attestation is refused: {reason}")]
    Attestation {
        /// What was wrong with it.
        #[source]
        reason: AttestError,
    },
    /// The peer ended the handshake: as a rule it does not accept our attestation.
    #[error("the peer refused this node (TLS alert {alert}); its own log says why")]
    Refused {
        /// The TLS alert.
        alert: String,
    },
    /// The peer has no certificate (attack 70).
    #[error("the peer presented no certificate; both sides must show one")]
    NoCertificate,
    /// The peer took too long to prove itself.
    #[error("the handshake did not end within {} s", .limit.as_secs_f32())]
    HandshakeTimeout {
        /// The limit.
        limit: Duration,
    },
    /// Too many handshakes at once (attack 75).
    #[error("{addr} has {limit} handshakes in progress; this one is refused")]
    TooManyHandshakes {
        /// Where they come from.
        addr: SocketAddr,
        /// The limit.
        limit: usize,
    },
    /// The peer speaks another version of the link protocol.
    #[error(
        "the peer speaks version {got} of the link protocol, and this node speaks {expected}: upgrade the older one"
    )]
    Version {
        /// Theirs.
        got: u8,
        /// Ours.
        expected: u8,
    },
    /// The peer holds the TLS key but not the node key that its evidence names (attacks 67, 68).
    #[error("the peer did not prove that it holds its on-chain node key: it may use a stolen TLS key")]
    NodeKeyProof,
    /// This node's platform made no quote for a proof.
    #[error("this node could not prove itself: {why}")]
    OwnQuote {
        /// What the platform said.
        why: String,
    },
    /// The peer was asked for a fresh proof and gave none.
    #[error("the peer gave no fresh proof within {} s", .limit.as_secs_f32())]
    NoProof {
        /// The limit.
        limit: Duration,
    },
    /// The peer says one role and has evidence for another.
    #[error("the peer says that it is a {said}, and its evidence says {attested}")]
    RoleMismatch {
        /// In its greeting.
        said: Role,
        /// In its evidence.
        attested: Role,
    },
    /// The peer broke the rules of the protocol.
    #[error("the peer broke the link protocol: {why}")]
    Protocol {
        /// Which rule.
        why: String,
    },
    /// The chain no longer allows the peer (attack 60).
    #[error("the link was closed because the chain no longer allows the peer: {reason}")]
    Revoked {
        /// What changed.
        #[source]
        reason: AttestError,
    },
    /// The peer's evidence is too old; connect again for fresh evidence.
    #[error("the peer's evidence was good until {valid_until}: connect again")]
    Expired {
        /// Its last second.
        valid_until: UnixSeconds,
    },
    /// The peer closed the link.
    #[error("the peer closed the link: {reason}")]
    ClosedByPeer {
        /// Its words, cut to a few hundred bytes.
        reason: String,
    },
    /// The peer will open and accept no more streams; those that are open run on.
    #[error("the link takes no new streams: {reason}")]
    Draining {
        /// Why.
        reason: String,
    },
    /// The connection ended without a word: the peer or the network died.
    #[error("the connection ended without a goodbye")]
    PeerGone,
    /// Nothing was heard.
    #[error("the peer has been silent for {} s", .limit.as_secs_f32())]
    PeerSilent {
        /// For how long.
        limit: Duration,
    },
    /// The peer does not read what is sent.
    #[error("the peer does not read: {why}")]
    PeerStalled {
        /// How that shows.
        why: String,
    },
    /// As many streams are open as may be.
    #[error("{limit} streams are open on this link, which is the limit: wait until one ends or use another link")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// This side closed the link.
    #[error("the link was closed here: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

impl LinkError {
    /// The reason that the peer is told.
    pub(crate) fn goodbye(&self) -> String {
        match self {
            Self::Closed { reason } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// An error of the TLS library or of the socket below it.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(tls) => Self::from_tls(tls),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::PeerGone,
            None => Self::Io { why: error.to_string() },
        }
    }

    fn from_tls(error: &rustls::Error) -> Self {
        use rustls::{CertificateError, Error};
        match error {
            // TLS knows only alerts: the typed reason travels inside the library's error.
            Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<AttestError>() {
                Some(reason) => Self::Attestation { reason: reason.clone() },
                None => Self::Tls { why: error.to_string() },
            },
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::AlertReceived(alert) => Self::Refused { alert: format!("{alert:?}") },
            other => Self::Tls { why: other.to_string() },
        }
    }
}

/// Why a stream was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetCode {
    /// The other side lost interest: it dropped the stream.
    Cancelled,
    /// The other side has too many streams already; nothing of this one was looked at.
    Refused,
    /// A message was over [`crate::MAX_MESSAGE`].
    TooLarge,
    /// The services say why in words.
    Application,
}

impl ResetCode {
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Cancelled => 1,
            Self::Refused => 2,
            Self::TooLarge => 3,
            Self::Application => 4,
        }
    }

    pub(crate) const fn from_code(code: u16) -> Self {
        match code {
            1 => Self::Cancelled,
            2 => Self::Refused,
            3 => Self::TooLarge,
            _ => Self::Application,
        }
    }
}

impl fmt::Display for ResetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::TooLarge => "message too large",
            Self::Application => "application",
        })
    }
}

/// Why a stream ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The other side cut the stream off.
    #[error("the peer cut the stream off ({code}): {reason}")]
    Reset {
        /// What kind of reason.
        code: ResetCode,
        /// Its words.
        reason: String,
    },
    /// This side cut the stream off.
    #[error("the stream was cut off here: {reason}")]
    ResetHere {
        /// Why.
        reason: String,
    },
    /// The message is over the limit.
    #[error("a message of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer finished in the middle of a message.
    #[error("the peer ended the stream in the middle of a message")]
    Truncated,
    /// Sending after the end.
    #[error("the stream was finished; nothing more can be sent on it")]
    Finished,
    /// An earlier `send` was dropped half-way, so the stream cannot go on.
    #[error("an earlier message was sent only in part, because its future was dropped")]
    Interrupted,
    /// The link under the stream ended.
    #[error(transparent)]
    Link(#[from] LinkError),
}
