//! Ed25519 keys of nodes and channels.
//!
//! Contracts check signatures with the TVM's lax rules; off chain we always use `verify_strict` and refuse keys of small
//! order, under which one signature fits many messages (attack 7).

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{Hash256, deserialize_fixed, serialize_fixed};

/// A key or a signature is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The 32 bytes are not a point of the curve.
    #[error("{key} is not an Ed25519 public key: the bytes are no point of the curve")]
    NotAPoint {
        /// The key in hexadecimal.
        key: String,
    },
    /// The key is of small order, so that signatures under it prove nothing.
    #[error("{key} is an Ed25519 key of small order and proves nothing; use a freshly generated key")]
    SmallOrder {
        /// The key in hexadecimal.
        key: String,
    },
    /// The signature does not fit the message and the key.
    #[error("the signature does not fit the message under key {key}")]
    BadSignature {
        /// The key in hexadecimal.
        key: String,
    },
}

/// A public key that is a point of the curve and not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodePublicKey(VerifyingKey);

impl NodePublicKey {
    /// Checks 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint { key: hex::encode(bytes) })?;
        if key.is_weak() {
            return Err(KeyError::SmallOrder { key: hex::encode(bytes) });
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature over a 256-bit hash with `verify_strict`.
    pub fn verify(&self, hash: &Hash256, signature: &Signature) -> Result<(), KeyError> {
        self.verify_bytes(hash.as_bytes(), signature)
    }

    /// Checks a signature over any bytes with `verify_strict`.
    pub fn verify_bytes(&self, message: &[u8], signature: &Signature) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).map_err(|_| KeyError::BadSignature { key: self.to_string() })
    }
}

impl fmt::Display for NodePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for NodePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialOrd for NodePublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NodePublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Serialize for NodePublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fixed(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for NodePublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserialize_fixed(deserializer)?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

/// A signature: 64 bytes, unchecked until it is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_fixed(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_fixed(deserializer).map(Self)
    }
}

/// The secret key of a node. Wiped when dropped; `Debug` shows only the public key.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// A key from its 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// A fresh key from the given source of randomness.
    pub fn generate(rng: &mut (impl rand::CryptoRng + rand::RngCore)) -> Self {
        Self(SigningKey::generate(rng))
    }

    /// The public key. A generated key is never of small order, so no check is needed.
    pub fn public(&self) -> NodePublicKey {
        NodePublicKey(self.0.verifying_key())
    }

    /// The 32-byte seed, for sealing to disk; wiped when dropped.
    pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// Signs a 256-bit hash.
    pub fn sign(&self, hash: &Hash256) -> Signature {
        self.sign_bytes(hash.as_bytes())
    }

    /// Signs any bytes. The caller is responsible for domain separation.
    pub fn sign_bytes(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey(public {})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_7_small_order_keys_and_malleable_signatures_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(matches!(NodePublicKey::from_bytes(&identity), Err(KeyError::SmallOrder { .. })));
        assert!(matches!(NodePublicKey::from_bytes(&[0; 32]), Err(KeyError::SmallOrder { .. })));

        let key = NodeKey::from_seed(&[3; 32]);
        let hash = Hash256([9; 32]);
        let signature = key.sign(&hash);
        key.public().verify(&hash, &signature).unwrap();
        // S + L is the same scalar in another encoding.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut bytes = signature.0;
        let mut carry = 0u16;
        for (byte, l) in bytes[32..].iter_mut().zip(L) {
            carry += u16::from(*byte) + u16::from(l);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert!(key.public().verify(&hash, &Signature(bytes)).is_err());
    }

    #[test]
    fn attack_88_a_secret_key_is_never_printed() {
        let key = NodeKey::from_seed(&[0xab; 32]);
        assert!(!format!("{key:?}").contains("abab"));
    }
}
