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
use x509_parser::revocation_list::CertificateRevocationList;

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

/// What TCB levels say of themselves beside their dates.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subject {
    fmspc: String,
    tcb_evaluation_data_number: u32,
}

/// How old the parts of collateral are. Each part is signed by itself, so whoever hands collateral on can mix old parts with new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ages {
    evaluation: u32,
    /// Issue dates: TCB levels, enclave identity, the root's revocations, the platform CA's revocations.
    issued: [i64; 4],
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
    validity: Result<(UnixSeconds, UnixSeconds), CollateralError>,
    subject: Option<(Fmspc, u32)>,
    ages: Option<Ages>,
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
        let validity = validity(&data);
        let subject = subject(&data);
        let ages = subject.and_then(|(_, evaluation)| ages(&data, evaluation));
        Ok(Self { data, root, root_der, validity, subject, ages })
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

    /// The time for which all of it speaks: the later issue date of TCB levels and enclave identity, the earliest next update of these and
    /// of the lists of revocations.
    pub fn validity(&self) -> Result<(UnixSeconds, UnixSeconds), CollateralError> {
        self.validity.clone()
    }

    /// The platform model that it speaks of, if that can be read. As claimed: nothing is verified here.
    pub fn fmspc(&self) -> Option<Fmspc> {
        self.subject.map(|(fmspc, _)| fmspc)
    }

    /// Its TCB evaluation number, if that can be read. As claimed: nothing is verified here.
    pub(crate) fn evaluation(&self) -> Option<u32> {
        self.subject.map(|(_, evaluation)| evaluation)
    }

    /// Whether it claims to speak for this time, and to be no older than the registry demands.
    pub(crate) fn is_fit(&self, now: UnixSeconds, least_evaluation: u32) -> bool {
        self.validity.as_ref().is_ok_and(|(from, until)| (*from..=*until).contains(&now))
            && self.evaluation().is_some_and(|evaluation| evaluation >= least_evaluation)
    }

    /// Whether some part of it is older than the same part there. Old revocations beside new TCB levels are old collateral.
    pub(crate) fn is_older_than(&self, other: &Self) -> bool {
        match (&self.ages, &other.ages) {
            (Some(own), Some(other)) => {
                own.evaluation < other.evaluation || own.issued.iter().zip(&other.issued).any(|(a, b)| a < b)
            }
            // What has no readable dates is older than what has them.
            (own, other) => own.is_none() && other.is_some(),
        }
    }

    pub(crate) fn root_der(&self) -> &[u8] {
        &self.root_der
    }

    pub(crate) fn data(&self) -> &QuoteCollateralV3 {
        &self.data
    }
}

fn validity(data: &QuoteCollateralV3) -> Result<(UnixSeconds, UnixSeconds), CollateralError> {
    let read = |part: &'static str, json: &str| {
        let dates: Dates = serde_json::from_str(json).map_err(CollateralError::of(part))?;
        let date = |text: &str| u32::try_from(date(part, text)?).map(UnixSeconds).map_err(CollateralError::of(part));
        Ok((date(&dates.issue_date)?, date(&dates.next_update)?))
    };
    let (tcb, qe) = (read("TCB info", &data.tcb_info)?, read("QE identity", &data.qe_identity)?);
    let lists = last_second("root's revocations", &data.root_ca_crl)?
        .min(last_second("platform CA's revocations", &data.pck_crl)?);
    Ok((tcb.0.max(qe.0), tcb.1.min(qe.1).min(lists)))
}

/// The last second for which a list of revocations speaks: the one before its next update.
fn last_second(part: &'static str, der: &[u8]) -> Result<UnixSeconds, CollateralError> {
    let (_, list) = CertificateRevocationList::from_der(der).map_err(CollateralError::of(part))?;
    let next = list.next_update().ok_or_else(|| CollateralError::of(part)("it names no next update"))?.timestamp();
    u32::try_from(next.saturating_sub(1)).map(UnixSeconds).map_err(CollateralError::of(part))
}

fn date(part: &'static str, text: &str) -> Result<i64, CollateralError> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(CollateralError::of(part))?;
    Ok(at.unix_timestamp())
}

fn subject(data: &QuoteCollateralV3) -> Option<(Fmspc, u32)> {
    let subject: Subject = serde_json::from_str(&data.tcb_info).ok()?;
    let mut fmspc = [0; 6];
    hex::decode_to_slice(&subject.fmspc, &mut fmspc).ok()?;
    Some((Fmspc(fmspc), subject.tcb_evaluation_data_number))
}

fn ages(data: &QuoteCollateralV3, evaluation: u32) -> Option<Ages> {
    let issued = |part, json: &str| date(part, &serde_json::from_str::<Dates>(json).ok()?.issue_date).ok();
    let list = |der: &[u8]| {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        Some(list.last_update().timestamp())
    };
    Some(Ages {
        evaluation,
        issued: [
            issued("TCB info", &data.tcb_info)?,
            issued("QE identity", &data.qe_identity)?,
            list(&data.root_ca_crl)?,
            list(&data.pck_crl)?,
        ],
    })
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
