//! The first words on a connection: who is here, and a number that nobody could have known before.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cocoon_attest::PeerIdentity;
use cocoon_protocol::Role;

use crate::error::LinkError;

/// Version of the link protocol.
pub const VERSION: u8 = 2;

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

/// A number used once, which the other side's proof must contain.
pub type Nonce = [u8; 32];

/// Our greeting: `version (1) ‖ role (1) ‖ nonce (32)`.
pub fn greeting(role: Role, nonce: &Nonce) -> Bytes {
    let mut out = BytesMut::with_capacity(34);
    out.put_u8(VERSION);
    out.put_u8(role.code());
    out.put_slice(nonce);
    out.freeze()
}

/// Reads the peer's greeting.
pub fn read(mut greeting: Bytes, peer: &PeerIdentity) -> Result<Nonce, LinkError> {
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
    greeting.as_ref().try_into().map_err(|_| wrong("has a wrong length"))
}
