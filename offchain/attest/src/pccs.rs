//! Collateral from a provisioning certificate caching service (PCCS), fetched ahead of time and kept fresh.
//!
//! A verifier answers inside TLS handshakes and must not wait for anybody, so it reads from a [`CollateralStore`]; a [`Keeper`] fills
//! that in the background: once for each platform model that it is told of, and again when a third of the time is left for which the
//! collateral speaks. What comes over the network is data, not trust: everything in it is signed under the vendor's root, and is checked
//! with every quote.
//!
//! Endpoints and headers: Intel SGX and TDX Provisioning Certification Service API, version 4.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cocoon_protocol::UnixSeconds;
use dcap_qvl::QuoteCollateralV3;
use parking_lot::Mutex;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::collateral::{Collateral, CollateralError, CollateralProvider as _, CollateralStore, Fmspc};
use crate::error::AttestError;
use crate::evidence::Evidence;

/// Largest answer that is read; the largest real one has some 50 KB.
const MAX_ANSWER: usize = 1 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which CA certifies a platform.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PckCa {
    /// Platforms of several packages, which all TDX servers are.
    Platform,
    /// Platforms of one package.
    Processor,
}

impl PckCa {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Processor => "processor",
        }
    }
}

/// Collateral cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum PccsError {
    /// The service cannot be reached or breaks off.
    #[error("{url}: {source}; check the address and that the service is up")]
    Http {
        /// What was asked.
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The service says no.
    #[error("{url}: the service answered {status}; 404 as a rule means that it does not know this platform model")]
    Status {
        /// What was asked.
        url: String,
        /// Its status.
        status: u16,
    },
    /// The answer is not what the API says.
    #[error("{url}: {why}; is this a PCCS of API version 4?")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The answer is about another platform model.
    #[error("the service was asked about platform model {asked} and answered about {}", .got.map_or_else(|| "none".to_owned(), |g| g.to_string()))]
    OtherModel {
        /// What was asked for.
        asked: Fmspc,
        /// What the answer is about.
        got: Option<Fmspc>,
    },
    /// The service has fallen behind: what was fetched before is newer, at least in part.
    #[error("the service's collateral for platform model {fmspc} is older than what was fetched before, which is kept")]
    Older {
        /// The model.
        fmspc: Fmspc,
    },
    /// The parts do not make collateral.
    #[error(transparent)]
    Collateral(#[from] CollateralError),
}

/// A caching service.
#[derive(Clone, Debug)]
pub struct Pccs {
    base: String,
    http: Client,
}

#[derive(Deserialize)]
struct TcbInfo<'a> {
    #[serde(borrow, rename = "tcbInfo")]
    info: &'a RawValue,
    signature: String,
}

#[derive(Deserialize)]
struct QeIdentity<'a> {
    #[serde(borrow, rename = "enclaveIdentity")]
    identity: &'a RawValue,
    signature: String,
}

impl Pccs {
    /// A service by its address, such as `https://localhost:8081`. `http` says how TLS to it is checked.
    pub fn new(base: &str, http: Client) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), http }
    }

    /// Collateral for TDX quotes of a platform model.
    pub async fn fetch(&self, fmspc: Fmspc, ca: PckCa) -> Result<Collateral, PccsError> {
        let crl = self.get(&format!("sgx/certification/v4/pckcrl?ca={}&encoding=der", ca.name())).await?;
        let tcb = self.get(&format!("tdx/certification/v4/tcb?fmspc={fmspc}")).await?;
        let qe = self.get("tdx/certification/v4/qe/identity").await?;
        let root = self.get("sgx/certification/v4/rootcacrl").await?;
        let tcb_text = tcb.text()?;
        let TcbInfo { info, signature } = tcb.parse(&tcb_text)?;
        let tcb_info_signature = tcb.hex(&signature)?;
        let qe_text = qe.text()?;
        let QeIdentity { identity, signature } = qe.parse(&qe_text)?;
        let qe_identity_signature = qe.hex(&signature)?;
        let chain = tcb.header("TCB-Info-Issuer-Chain").or_else(|_| tcb.header("SGX-TCB-Info-Issuer-Chain"))?;
        // A PCCS gives this list in hexadecimal, Intel's own service in binary.
        let root_ca_crl = match root.text() {
            Ok(text) => root.hex(text.trim())?,
            Err(_) => root.body.clone(),
        };
        Ok(Collateral::new(QuoteCollateralV3 {
            pck_crl_issuer_chain: crl.header("SGX-PCK-CRL-Issuer-Chain")?,
            root_ca_crl,
            pck_crl: crl.body.clone(),
            tcb_info_issuer_chain: chain,
            // To the byte as it was signed.
            tcb_info: info.get().to_owned(),
            tcb_info_signature,
            qe_identity_issuer_chain: qe.header("SGX-Enclave-Identity-Issuer-Chain")?,
            qe_identity: identity.get().to_owned(),
            qe_identity_signature,
            pck_certificate_chain: None,
        })?)
    }

    async fn get(&self, path: &str) -> Result<Answer, PccsError> {
        let url = format!("{}/{path}", self.base);
        let failed = |source: reqwest::Error| PccsError::Http { url: url.clone(), source: source.without_url() };
        let mut response: Response = self.http.get(&url).timeout(PATIENCE).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(PccsError::Status { status: response.status().as_u16(), url });
        }
        let mut body = vec![];
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(PccsError::Answer { url, why: format!("the answer is over {MAX_ANSWER} bytes") });
            }
            body.extend(piece);
        }
        Ok(Answer { headers: response.headers().clone(), url, body })
    }
}

struct Answer {
    url: String,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn wrong(&self, why: impl ToString) -> PccsError {
        PccsError::Answer { url: self.url.clone(), why: why.to_string() }
    }

    /// A header with certificates, percent-encoded PEM.
    fn header(&self, name: &str) -> Result<String, PccsError> {
        let value = self.headers.get(name).ok_or_else(|| self.wrong(format!("header {name} is missing")))?;
        percent_decode(value.as_bytes()).ok_or_else(|| self.wrong(format!("header {name} is no text")))
    }

    fn text(&self) -> Result<String, PccsError> {
        String::from_utf8(self.body.clone()).map_err(|e| self.wrong(e))
    }

    fn parse<'a, T: Deserialize<'a>>(&self, text: &'a str) -> Result<T, PccsError> {
        serde_json::from_str(text).map_err(|e| self.wrong(e))
    }

    fn hex(&self, text: &str) -> Result<Vec<u8>, PccsError> {
        hex::decode(text).map_err(|e| self.wrong(e))
    }
}

fn percent_decode(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        out.extend(byte);
        rest = after;
    }
    String::from_utf8(out).ok()
}

/// Keeps the collateral of some platform models fresh.
pub struct Keeper {
    pccs: Pccs,
    store: Arc<CollateralStore>,
    known: Mutex<BTreeMap<Fmspc, Kept>>,
}

#[derive(Clone, Copy)]
struct Kept {
    ca: PckCa,
    /// When to fetch it again; 0: it never was.
    renew_at: UnixSeconds,
}

impl Keeper {
    /// Fills `store` from a service.
    pub fn new(pccs: Pccs, store: Arc<CollateralStore>) -> Self {
        Self { pccs, store, known: Mutex::default() }
    }

    /// What the keeper fills.
    pub fn store(&self) -> &Arc<CollateralStore> {
        &self.store
    }

    /// From now on this model's collateral is kept.
    pub fn watch(&self, fmspc: Fmspc, ca: PckCa) {
        self.known.lock().entry(fmspc).or_insert(Kept { ca, renew_at: UnixSeconds(0) });
    }

    /// From now on the collateral of the platform that a certificate (DER) is from is kept: a node's own, so that it can hand it to peers
    /// that reach no service, or a peer's.
    pub fn watch_platform_of(&self, certificate: &[u8]) -> Result<Fmspc, AttestError> {
        let (fmspc, ca) = Evidence::from_certificate(certificate)?.attested()?.platform()?;
        self.watch(fmspc, ca);
        Ok(fmspc)
    }

    /// Fetches what is missing or about to expire; call it now and then. What fails stays as it was, and is tried again at the next
    /// call: collateral that still speaks goes on speaking.
    pub async fn refresh(&self, now: UnixSeconds) -> Vec<(Fmspc, PccsError)> {
        let due: Vec<_> =
            self.known.lock().iter().filter(|(_, k)| now >= k.renew_at).map(|(f, k)| (*f, k.ca)).collect();
        let mut failed = vec![];
        for (fmspc, ca) in due {
            match self.fetch(fmspc, ca, now).await {
                Ok((collateral, renew_at)) => {
                    self.store.put(fmspc, collateral);
                    self.known.lock().insert(fmspc, Kept { ca, renew_at });
                }
                Err(error) => {
                    let until = self.store.collateral(fmspc, now).and_then(|kept| kept.validity().ok());
                    match until {
                        Some((_, until)) if until >= now => {
                            tracing::warn!(%fmspc, %error, %until, "collateral could not be fetched anew; the old one speaks until then");
                        }
                        _ => {
                            tracing::error!(%fmspc, %error, "there is no collateral, so platforms of this model are refused")
                        }
                    }
                    failed.push((fmspc, error));
                }
            }
        }
        failed
    }

    /// Collateral that is about this model and not older than what is kept, with the time to fetch it again.
    async fn fetch(&self, fmspc: Fmspc, ca: PckCa, now: UnixSeconds) -> Result<(Collateral, UnixSeconds), PccsError> {
        let collateral = self.pccs.fetch(fmspc, ca).await?;
        if collateral.fmspc() != Some(fmspc) {
            return Err(PccsError::OtherModel { asked: fmspc, got: collateral.fmspc() });
        }
        if self.store.collateral(fmspc, now).is_some_and(|kept| collateral.is_older_than(&kept)) {
            return Err(PccsError::Older { fmspc });
        }
        let (issued, until) = collateral.validity()?;
        let left = until.0.saturating_sub(issued.0) / 3;
        Ok((collateral, UnixSeconds(until.0.saturating_sub(left)).max(now.plus(60))))
    }
}
