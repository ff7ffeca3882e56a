//! The first words on a connection: who is here, and a number that nobody could have known before.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cocoon_attest::PeerIdentity;
use cocoon_protocol::Role;

use crate::error::LinkError;

/// Version of the link protocol.
pub const VERSION: u8 = 4;

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

/// What each side says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    pub role: Role,
    /// Whether the other side is to hand over the collateral of its platform, because this one has none that suffices.
    pub wants_collateral: bool,
    pub nonce: Nonce,
}

impl Greeting {
    /// `version (1) ‖ role (1) ‖ wants collateral (1) ‖ nonce (32)`.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(35);
        out.put_u8(VERSION);
        out.put_u8(self.role.code());
        out.put_u8(self.wants_collateral.into());
        out.put_slice(&self.nonce);
        out.freeze()
    }

    /// Reads the peer's greeting.
    pub fn decode(mut greeting: Bytes) -> Result<Self, LinkError> {
        let wrong = |why: &str| LinkError::Protocol { why: format!("the greeting {why}") };
        let version = greeting.try_get_u8().map_err(|_| wrong("is empty"))?;
        if version != VERSION {
            return Err(LinkError::Version { got: version, expected: VERSION });
        }
        let role = greeting.try_get_u8().map_err(|_| wrong("has no role"))?;
        let role = Role::from_code(role).ok_or_else(|| wrong("names an unknown role"))?;
        let wants_collateral = match greeting.try_get_u8() {
            Ok(0) => false,
            Ok(1) => true,
            _ => return Err(wrong("does not say whether collateral is wanted")),
        };
        let nonce = greeting.as_ref().try_into().map_err(|_| wrong("has a wrong length"))?;
        Ok(Self { role, wants_collateral, nonce })
    }

    /// The role that was said is the certificate's.
    pub fn check(&self, peer: &PeerIdentity) -> Result<(), LinkError> {
        if self.role == peer.role {
            return Ok(());
        }
        Err(LinkError::RoleMismatch { said: self.role, attested: peer.role })
    }
}
