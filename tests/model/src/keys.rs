//! People of the tests: an address, which stands for a wallet, and a key.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use tycho_types::cell::{Cell, HashBytes};
use tycho_types::models::StdAddr;

/// Somebody.
#[derive(Clone, Debug)]
pub struct Person {
    /// What the log calls them.
    pub name: String,
    /// Their wallet. No account of the chain: what it gets is counted and never comes back.
    pub address: StdAddr,
    key: SigningKey,
}

impl Person {
    /// The person of this name: always the same.
    pub fn new(name: &str) -> Self {
        let digest = |what: &str| <[u8; 32]>::from(Sha256::digest(format!("{what} of {name}")));
        Self {
            name: name.to_owned(),
            address: StdAddr::new(0, HashBytes(digest("wallet"))),
            key: SigningKey::from_bytes(&digest("key")),
        }
    }

    /// Their public key.
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Their signature over a cell's hash.
    pub fn sign(&self, cell: &Cell) -> [u8; 64] {
        self.key.sign(&cell.repr_hash().0).to_bytes()
    }
}

/// Whether the signature is by this key over the cell's hash.
pub fn is_signed(cell: &Cell, signature: &[u8; 64], key: &[u8; 32]) -> bool {
    VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(&cell.repr_hash().0, &Signature::from_bytes(signature)).is_ok())
}
