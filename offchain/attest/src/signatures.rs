//! Verification of the P-256 signatures under quotes, each valid one once.
//!
//! A quote has nine signatures under it, and six of them are the vendor's, the same for every platform of a model: on the lists of
//! revocations, the TCB levels, the enclave identity, and the certificates of their signers. A signature once found valid is valid for
//! ever, so that remembering it weakens nothing: dates, revocations and levels are evaluated anew with every quote. The memory is bounded,
//! and holds no invalid ones, which nobody could be made to pay for twice.

use std::collections::{HashSet, VecDeque};

use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::configs::DefaultConfig;
use parking_lot::Mutex;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use sha2::{Digest, Sha256};

/// Signatures that are remembered, by hashes of 32 bytes.
const REMEMBERED: usize = 4096;
/// What does the work.
type Library = <DefaultConfig as Config>::Crypto;

/// How `dcap-qvl` verifies here: in its own way, but for the signatures.
pub(crate) struct Remembering;

impl Config for Remembering {
    type X509 = <DefaultConfig as Config>::X509;
    type SigEncoder = <DefaultConfig as Config>::SigEncoder;
    type Crypto = Self;
}

impl CryptoProvider for Remembering {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        static P256: P256Sha256 = P256Sha256(Mutex::new(None));
        &P256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        Library::sha256(data)
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        Library::sha384(data)
    }
}

/// ECDSA on P-256 with SHA-256, with a memory.
#[derive(Debug)]
struct P256Sha256(Mutex<Option<Valid>>);

/// Hashes of key, signature and message that were found to belong together.
#[derive(Debug, Default)]
struct Valid {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Valid {
    fn put(&mut self, id: [u8; 32]) {
        if self.known.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl SignatureVerificationAlgorithm for P256Sha256 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        // Each part says its length, so that the parts cannot be shifted against each other.
        let mut id = Sha256::new();
        for part in [key, signature, message] {
            id.update(part.len().to_be_bytes());
            id.update(part);
        }
        let id = id.finalize().into();
        if self.0.lock().as_ref().is_some_and(|valid| valid.known.contains(&id)) {
            return Ok(());
        }
        Library::sig_algo().verify_signature(key, message, signature)?;
        self.0.lock().get_or_insert_default().put(id);
        Ok(())
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        Library::sig_algo().public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        Library::sig_algo().signature_alg_id()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use p256::ecdsa::signature::Signer;
    use p256::ecdsa::{DerSignature, SigningKey};

    use super::*;

    fn signed(seed: u8, message: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let signature: DerSignature = key.sign(message);
        (key.verifying_key().to_encoded_point(false).as_bytes().to_vec(), signature.as_bytes().to_vec())
    }

    #[test]
    fn what_was_valid_is_valid_and_nothing_else_is() {
        let p256 = P256Sha256(Mutex::new(None));
        let (key, signature) = signed(1, b"message");
        let (other_key, other_signature) = signed(2, b"message");
        for _ in 0..2 {
            assert!(p256.verify_signature(&key, b"message", &signature).is_ok());
            assert!(p256.verify_signature(&key, b"messagE", &signature).is_err());
            assert!(p256.verify_signature(&key, b"message", &other_signature).is_err());
            assert!(p256.verify_signature(&other_key, b"message", &signature).is_err());
            // The same bytes, cut elsewhere.
            let shifted = [&signature[..], b"m"].concat();
            assert!(p256.verify_signature(&key, b"essage", &shifted).is_err());
        }
        assert_eq!(p256.0.lock().as_ref().unwrap().order.len(), 1, "what is invalid is not kept");
    }

    #[test]
    fn attack_75_ever_new_signatures_do_not_fill_memory() {
        let mut valid = Valid::default();
        for i in 0..10_000u32 {
            let id = <[u8; 32]>::from(Sha256::digest(i.to_le_bytes()));
            valid.put(id);
            valid.put(id);
        }
        assert_eq!((valid.known.len(), valid.order.len()), (REMEMBERED, REMEMBERED));
    }
}
