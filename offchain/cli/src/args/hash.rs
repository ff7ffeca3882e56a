//! Hexadecimal arguments: commits, public keys, signatures.

use std::str::FromStr;

use cocoon_protocol::{Hash256, NodePublicKey, Signature};

/// A commit of Git: 40 hexadecimal digits (SHA-1, written with zeros before it) or 64 (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit(pub Hash256);

impl FromStr for Commit {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let text = input.trim();
        if !matches!(text.len(), 40 | 64) {
            return Err("a commit has 40 or 64 hexadecimal digits: write it in full (git rev-parse HEAD)".to_owned());
        }
        format!("{text:0>64}").parse().map(Self).map_err(|_| "a commit has only hexadecimal digits".to_owned())
    }
}

/// A commit without the zeros that stand before a short one.
pub fn commit_in_words(hash: &Hash256) -> String {
    let text = hash.to_string();
    if text.bytes().all(|b| b == b'0') {
        return "none".to_owned();
    }
    text.strip_prefix(&"0".repeat(24)).map_or(text.clone(), str::to_owned)
}

/// An Ed25519 public key that can be trusted to be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey(pub NodePublicKey);

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(input.trim(), &mut bytes)
            .map_err(|_| "a public key has 64 hexadecimal digits".to_owned())?;
        NodePublicKey::from_bytes(&bytes).map(Self).map_err(|e| e.to_string())
    }
}

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sig(pub Signature);

impl FromStr for Sig {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(input.trim(), &mut bytes)
            .map_err(|_| "a signature has 128 hexadecimal digits".to_owned())?;
        Ok(Self(Signature(bytes)))
    }
}

/// A signature with the key that made it: `KEY:SIGNATURE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Whose it is.
    pub key: NodePublicKey,
    /// What was made with it.
    pub signature: Signature,
}

impl FromStr for Signed {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let (key, signature) = input.split_once(':').ok_or("write KEY:SIGNATURE, both hexadecimal")?;
        Ok(Self { key: key.parse::<PublicKey>()?.0, signature: signature.parse::<Sig>()?.0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn commits_of_both_kinds_are_read_and_written() {
        for text in ["a".repeat(40), format!("f{}", "0".repeat(63))] {
            assert_eq!(commit_in_words(&text.parse::<Commit>().unwrap().0), text);
        }
        assert_eq!(commit_in_words(&Hash256::default()), "none");
        for bad in ["", "abc123", &"g".repeat(40), &"a".repeat(41)] {
            assert!(bad.parse::<Commit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_and_signatures_are_checked() {
        let key = cocoon_protocol::NodeKey::from_seed(&[7; 32]);
        let (public, signature) = (key.public().to_string(), hex::encode(key.sign(&Hash256::default()).0));
        let signed: Signed = format!("{public}:{signature}").parse().unwrap();
        assert_eq!(signed.key, key.public());
        for bad in ["", &public, &format!("{public}:12"), &format!("{}:{signature}", "0".repeat(64))] {
            assert!(bad.parse::<Signed>().is_err(), "{bad}");
        }
    }
}
