//! What the hardware vendor says about platforms: certificates, revocations, TCB levels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use cocoon_protocol::{Hash256, UnixSeconds};
use dcap_qvl::QuoteCollateralV3;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

/// Intel's SGX provisioning root certificate: the only root on mainnet and testnet.
pub const INTEL_ROOT_DER: &[u8] = include_bytes!("intel-sgx-root.der");

/// SHA-256 of a root certificate's DER SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RootHash(pub Hash256);

impl RootHash {
    /// Intel's root.
    pub fn intel() -> Self {
        // The certificate is compiled in and a test reads it, so the fallback is never taken; it matches no root.
        static INTEL: LazyLock<RootHash> =
            LazyLock::new(|| RootHash::of_certificate(INTEL_ROOT_DER).unwrap_or(RootHash(Hash256([0; 32]))));
        *INTEL
    }

    /// The hash of the key in a DER certificate.
    pub fn of_certificate(der: &[u8]) -> Result<Self, CollateralError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(CollateralError::of("root certificate"))?;
        Ok(Self(Hash256(Sha256::digest(certificate.public_key().raw).into())))
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The model of a platform: family, model, stepping, type and customised SKU. Collateral is published per model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fmspc(pub [u8; 6]);

impl fmt::Display for Fmspc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dates {
    issue_date: String,
    next_update: String,
}

/// Collateral cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("collateral: the {part} cannot be read: {why}")]
pub struct CollateralError {
    /// Which part.
    pub part: &'static str,
    /// What was wrong.
    pub why: String,
}

impl CollateralError {
    fn of<E: ToString>(part: &'static str) -> impl Fn(E) -> Self {
        move |e| Self { part, why: e.to_string() }
    }
}

/// Collateral of one platform model. Its signatures are checked with every quote, so it may come from anywhere.
#[derive(Clone, Debug)]
pub struct Collateral {
    data: QuoteCollateralV3,
    root: RootHash,
    root_der: Vec<u8>,
}

impl Collateral {
    /// Collateral as the vendor's service gives it. The last certificate of the TCB signer's chain is the root.
    pub fn new(data: QuoteCollateralV3) -> Result<Self, CollateralError> {
        let chain = Pem::iter_from_buffer(data.tcb_info_issuer_chain.as_bytes());
        let root = chain.last().ok_or_else(|| CollateralError::of("TCB signer chain")("it is empty"))?;
        let root_der = root.map_err(CollateralError::of("TCB signer chain"))?.contents;
        let root = RootHash::of_certificate(&root_der)?;
        check_self_issued(&root_der)?;
        // A certificate with Intel's key and other content would be harmless, but there is no reason to take it from here.
        let root_der = if root == RootHash::intel() { INTEL_ROOT_DER.to_vec() } else { root_der };
        Ok(Self { data, root, root_der })
    }

    /// Collateral from JSON, as `dcap-qvl` and PCCS clients write it.
    pub fn from_json(json: &[u8]) -> Result<Self, CollateralError> {
        Self::new(serde_json::from_slice(json).map_err(CollateralError::of("JSON"))?)
    }

    /// The reverse of [`Collateral::from_json`].
    pub fn to_json(&self) -> Result<Vec<u8>, CollateralError> {
        serde_json::to_vec(&self.data).map_err(CollateralError::of("JSON"))
    }

    /// The root that it claims to be signed under.
    pub fn root(&self) -> RootHash {
        self.root
    }

    /// The time for which TCB levels and enclave identity speak: the later issue date, the earlier next update.
    pub fn validity(&self) -> Result<(UnixSeconds, UnixSeconds), CollateralError> {
        let read = |part: &'static str, json: &str| {
            let dates: Dates = serde_json::from_str(json).map_err(CollateralError::of(part))?;
            let date = |text: &str| -> Result<UnixSeconds, CollateralError> {
                let at = OffsetDateTime::parse(text, &Rfc3339).map_err(CollateralError::of(part))?;
                u32::try_from(at.unix_timestamp()).map(UnixSeconds).map_err(CollateralError::of(part))
            };
            Ok((date(&dates.issue_date)?, date(&dates.next_update)?))
        };
        let (tcb, qe) = (read("TCB info", &self.data.tcb_info)?, read("QE identity", &self.data.qe_identity)?);
        Ok((tcb.0.max(qe.0), tcb.1.min(qe.1)))
    }

    pub(crate) fn root_der(&self) -> &[u8] {
        &self.root_der
    }

    pub(crate) fn data(&self) -> &QuoteCollateralV3 {
        &self.data
    }
}

/// A root is its own issuer. Anybody can write another issuer around a root's key, and the library under the quote verifier
/// panics when it looks such a root up in the list of revocations (attack 71).
fn check_self_issued(der: &[u8]) -> Result<(), CollateralError> {
    let (_, root) = X509Certificate::from_der(der).map_err(CollateralError::of("root certificate"))?;
    if root.issuer().as_raw() == root.subject().as_raw() {
        return Ok(());
    }
    Err(CollateralError::of("root certificate")("it is issued by somebody else"))
}

/// Where a verifier finds collateral. Called inside TLS handshakes: answer from memory, never from the network.
pub trait CollateralProvider: Send + Sync {
    /// Collateral for a platform model, fit for the given time if there is any.
    fn collateral(&self, fmspc: Fmspc, now: UnixSeconds) -> Option<Arc<Collateral>>;
}

/// Collateral in memory, filled by whoever fetches it.
#[derive(Default)]
pub struct CollateralStore(RwLock<BTreeMap<Fmspc, Arc<Collateral>>>);

impl CollateralStore {
    /// Keeps collateral for a platform model and forgets the earlier one.
    pub fn put(&self, fmspc: Fmspc, collateral: Collateral) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(fmspc, Arc::new(collateral));
    }
}

impl CollateralProvider for CollateralStore {
    fn collateral(&self, fmspc: Fmspc, _now: UnixSeconds) -> Option<Arc<Collateral>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&fmspc).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intels_root_is_the_published_one() {
        // SHA-256 of the SubjectPublicKeyInfo in Intel_SGX_Provisioning_Certification_RootCA.cer.
        assert_eq!(RootHash::intel().to_string(), "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e");
    }
}
