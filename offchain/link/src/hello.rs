//! The step after TLS: each side proves that it holds its on-chain node key, on this very connection (docs/protocol.md P1.2).
//!
//! TLS proves possession of the certificate's key only. If that key leaks, or if evidence is relayed from an honest node to
//! another endpoint, whoever has it still lacks the node key (attacks 67, 68). The signature covers the TLS exporter, which
//! is unique to the connection, and both certificates, because the exporter does not cover the client's. The version byte
//! leaves room for a later version that adds a fresh quote over the same transcript.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cocoon_attest::{Identity, PeerIdentity};
use cocoon_protocol::{Role, Signature};
use sha2::{Digest, Sha256};

use crate::error::LinkError;

/// Version of the link protocol.
pub const VERSION: u8 = 1;
/// Label under which the exporter is drawn from TLS.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-cocoon-link-v1";
/// Longer than 32 bytes with what follows: cannot be taken for the cell hashes that the same key signs.
const DOMAIN: &[u8] = b"cocoon-link-hello-v1\0";

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Opened the connection; its streams have odd numbers.
    Dialer,
    /// Accepted the connection; its streams have even numbers.
    Listener,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Listener,
            Self::Listener => Self::Dialer,
        }
    }
}

/// What both sides know of the connection once TLS is up.
pub struct Transcript {
    /// Secret and unique to this connection.
    pub exporter: [u8; 32],
    /// Our certificate, DER.
    pub own_certificate: Vec<u8>,
    /// The peer's certificate, DER.
    pub peer_certificate: Vec<u8>,
}

fn signed(transcript: &Transcript, signer: Side, role: Role, own: bool) -> Vec<u8> {
    let (mine, theirs) = (&transcript.own_certificate, &transcript.peer_certificate);
    let (signers, others) = if own { (mine, theirs) } else { (theirs, mine) };
    let side = match signer {
        Side::Dialer => 0,
        Side::Listener => 1,
    };
    let mut message = DOMAIN.to_vec();
    // The side stands in it so that a signature cannot be reflected to its author.
    message.extend([VERSION, side, role.code()]);
    message.extend(transcript.exporter);
    message.extend(Sha256::digest(signers));
    message.extend(Sha256::digest(others));
    message
}

/// Our greeting: `version (1) ‖ role (1) ‖ signature (64)`.
pub fn greeting(identity: &Identity, side: Side, transcript: &Transcript) -> Bytes {
    let role = identity.claims().role;
    let signature = identity.node_key().sign_bytes(&signed(transcript, side, role, true));
    let mut out = BytesMut::with_capacity(66);
    out.put_u8(VERSION);
    out.put_u8(role.code());
    out.put_slice(&signature.0);
    out.freeze()
}

/// Checks the peer's greeting. `side`: ours.
pub fn check(mut greeting: Bytes, peer: &PeerIdentity, side: Side, transcript: &Transcript) -> Result<(), LinkError> {
    let wrong = |why: &str| LinkError::Protocol { why: format!("the greeting {why}") };
    let version = greeting.try_get_u8().map_err(|_| wrong("is empty"))?;
    if version != VERSION {
        return Err(LinkError::Version { got: version, expected: VERSION });
    }
    let role = greeting.try_get_u8().map_err(|_| wrong("has no role"))?;
    let role = Role::from_code(role).ok_or_else(|| wrong("names an unknown role"))?;
    if role != peer.role {
        return Err(LinkError::RoleMismatch { said: role, attested: peer.role });
    }
    let signature: [u8; 64] = greeting.as_ref().try_into().map_err(|_| wrong("has a wrong length"))?;
    let message = signed(transcript, side.other(), role, false);
    peer.node_key.verify_bytes(&message, &Signature(signature)).map_err(|_| LinkError::NodeKeyProof)
}
