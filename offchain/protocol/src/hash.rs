//! 256-bit identities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{input:?} is not a 256-bit hash: write 64 hexadecimal digits")]
pub struct ParseHashError {
    /// What was given.
    pub input: String,
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;
            fn from_str(input: &str) -> Result<Self, ParseHashError> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(input.trim(), &mut bytes)
                    .map_err(|_| ParseHashError { input: input.to_owned() })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_fixed(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_fixed(deserializer).map(Self)
            }
        }
    };
}

hash_type! {
    /// A SHA-256 hash or a cell's representation hash without a narrower meaning.
    Hash256
}
hash_type! {
    /// The canonical identity of a model: the root hash of its file manifest.
    ModelHash
}
hash_type! {
    /// The identity of a VM image: the hash of its set of TDX measurements.
    ImageId
}

/// Hexadecimal text in human-readable formats, a byte string in the others.
pub(crate) fn serialize_fixed<S: Serializer, const N: usize>(
    bytes: &[u8; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&hex::encode(bytes))
    } else {
        serializer.serialize_bytes(bytes)
    }
}

/// The reverse of [`serialize_fixed`]; refuses any other length.
pub(crate) fn deserialize_fixed<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    use serde::de::Error;
    if deserializer.is_human_readable() {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(&text, &mut bytes)
            .map_err(|_| D::Error::custom(format!("expected {} hexadecimal digits", 2 * N)))?;
        Ok(bytes)
    } else {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        <[u8; N]>::try_from(bytes.as_slice())
            .map_err(|_| D::Error::custom(format!("expected {N} bytes, got {}", bytes.len())))
    }
}

/// SHA-256 of a request body as the client sent it.
pub fn request_hash(body: &[u8]) -> Hash256 {
    Hash256(Sha256::new().chain_update(b"cocoon-request-v1\0").chain_update(body).finalize().into())
}

/// Hash of a response as a sequence of chunks: every chunk is hashed with its length, so that reordering, merging,
/// splitting, dropping or truncating chunks changes the result (attack 76).
#[derive(Clone)]
pub struct ResponseHasher(Sha256);

impl Default for ResponseHasher {
    fn default() -> Self {
        Self(Sha256::new().chain_update(b"cocoon-response-v1\0"))
    }
}

impl ResponseHasher {
    /// Adds the next chunk.
    pub fn chunk(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The hash of all chunks so far.
    pub fn finish(self) -> Hash256 {
        Hash256(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(chunks: &[&str]) -> Hash256 {
        let mut hasher = ResponseHasher::default();
        chunks.iter().for_each(|c| hasher.chunk(c.as_bytes()));
        hasher.finish()
    }

    #[test]
    fn response_hash_notices_every_rearrangement() {
        let whole = response(&["ab", "cd"]);
        for other in [&["cd", "ab"][..], &["abcd"], &["ab"], &["ab", "cd", ""], &["a", "bcd"], &["ab", "cd", "cd"]] {
            assert_ne!(whole, response(other), "{other:?}");
        }
        assert_eq!(whole, response(&["ab", "cd"]));
    }

    #[test]
    fn hashes_are_hex_in_json_and_bytes_in_cbor() {
        let hash = Hash256([7; 32]);
        assert_eq!(hash.to_string().parse::<Hash256>().unwrap(), hash);
        assert_eq!(serde_json::to_string(&hash).unwrap(), format!("\"{hash}\""));
        let mut cbor = vec![];
        ciborium::into_writer(&hash, &mut cbor).unwrap();
        assert_eq!(cbor.len(), 34);
        assert_eq!(ciborium::from_reader::<Hash256, _>(&cbor[..]).unwrap(), hash);
        assert!("xyz".parse::<ModelHash>().is_err());
    }
}
