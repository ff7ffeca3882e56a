//! P-256 keys that follow from the vendor's seed and sign deterministically, so that a seed gives the same certificates
//! byte for byte.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use sha2::{Digest, Sha256};

use super::SimError;

#[derive(Clone)]
pub struct SimKey {
    secret: SigningKey,
    /// Uncompressed SEC1 point: 0x04 and two coordinates.
    public: Vec<u8>,
}

impl SimKey {
    pub fn derive(seed: &[u8; 32], purpose: &'static str, index: u32) -> Result<Self, SimError> {
        let hash = Sha256::new()
            .chain_update(b"cocoon-simulated-key-v1\0")
            .chain_update(seed)
            .chain_update(index.to_le_bytes())
            .chain_update(purpose)
            .finalize();
        // One hash in 2^32 is no scalar; then another seed is needed.
        let secret = SigningKey::from_slice(&hash).map_err(SimError::of(purpose))?;
        let public = secret.verifying_key().to_encoded_point(false).as_bytes().to_vec();
        Ok(Self { secret, public })
    }

    /// The two coordinates, 64 bytes, as quotes carry keys.
    pub fn coordinates(&self) -> &[u8] {
        self.public.get(1..).unwrap_or_default()
    }

    /// `r ‖ s`, as quotes and collateral carry signatures.
    pub fn sign_raw(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.secret.sign(message);
        signature.to_bytes().into()
    }
}

impl PublicKeyData for SimKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for SimKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self.secret.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
