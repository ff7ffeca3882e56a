//! The certificate's extension: parsed, and checked as far as that costs no signature.

use ciborium::Value;
use dcap_qvl::quote::{Quote, TDReport10};
use sha2::{Digest, Sha384};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{Oid, asn1_rs::oid};
use x509_parser::prelude::FromDer;

use crate::claims::{Claims, check_shown, is_attested, malformed, report_data, to_cbor};
use crate::collateral::Fmspc;
use crate::error::AttestError;
use crate::measurements::{Measurements, TdAttribute};
use crate::pccs::PckCa;

/// Largest certificate that is read, in bytes. A certificate with a quote has some 6 KB.
pub const MAX_CERTIFICATE: usize = 32 * 1024;
/// The extension that carries evidence: TCG DICE tagged evidence. It is not critical, because TLS libraries refuse
/// certificates with critical extensions that they do not know.
pub const OID_EVIDENCE: &[u64] = &[2, 23, 133, 5, 4, 9];
/// CBOR tag of `[quote, claims]`, as in the interoperable RA-TLS proposal.
pub const EVIDENCE_TAG: u64 = 60_000;

const EVIDENCE: Oid<'static> = oid!(2.23.133.5.4.9);

/// Evidence that is consistent in itself: the certificate's key is in the claims and the claims are in the quote, if the role shows
/// one. No signature has been checked.
pub(crate) struct Evidence {
    pub claims: Claims,
    /// `None` for a client, and for nobody else.
    pub quote: Option<ParsedQuote>,
}

/// A quote that has been read but not verified.
pub(crate) struct ParsedQuote {
    pub raw: Vec<u8>,
    pub quote: Quote,
    pub measurements: Measurements,
    pub report_data: [u8; 64],
}

/// The extension's content.
pub(crate) fn encode(quote: &[u8], encoded_claims: &[u8]) -> Vec<u8> {
    let pair = Value::Array(vec![Value::from(quote), Value::from(encoded_claims)]);
    to_cbor(&Value::Tag(EVIDENCE_TAG, Box::new(pair)))
}

fn decode(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), AttestError> {
    let value = ciborium::from_reader::<Value, _>(bytes).map_err(malformed)?;
    if let Value::Tag(EVIDENCE_TAG, inner) = value
        && let Value::Array(items) = *inner
        && let Ok([Value::Bytes(quote), Value::Bytes(claims)]) = <[Value; 2]>::try_from(items)
    {
        // One encoding only, so that nothing rides along unnoticed.
        if encode(&quote, &claims) == bytes {
            return Ok((quote, claims));
        }
    }
    Err(malformed("not 60000([quote, claims])"))
}

/// The parts of a certificate that matter here, unchecked.
pub(crate) struct Carrier {
    /// Empty, if there is none.
    pub quote: Vec<u8>,
    pub encoded_claims: Vec<u8>,
    pub spki_sha384: [u8; 48],
}

/// Takes a certificate apart.
pub(crate) fn open(der: &[u8]) -> Result<Carrier, AttestError> {
    if der.len() > MAX_CERTIFICATE {
        return Err(AttestError::CertificateTooLarge { size: der.len(), limit: MAX_CERTIFICATE });
    }
    let bad = |why: String| AttestError::MalformedCertificate { why };
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|e| bad(e.to_string()))?;
    if !rest.is_empty() {
        return Err(bad(format!("{} bytes after its end", rest.len())));
    }
    let mut evidence = certificate.extensions().iter().filter(|e| e.oid == EVIDENCE);
    let extension = evidence.next().ok_or(AttestError::NoEvidence)?;
    if evidence.next().is_some() {
        return Err(malformed("two evidence extensions"));
    }
    let (quote, encoded_claims) = decode(extension.value)?;
    let spki_sha384 = Sha384::digest(certificate.public_key().raw).into();
    Ok(Carrier { quote, encoded_claims, spki_sha384 })
}

/// The claims of a certificate, unchecked.
pub(crate) fn claims_of(der: &[u8]) -> Result<Claims, AttestError> {
    Claims::decode(&open(der)?.encoded_claims)
}

impl Evidence {
    /// Reads a certificate and checks everything that needs no public-key operation, so that garbage costs microseconds
    /// (attacks 71, 75).
    pub fn from_certificate(der: &[u8]) -> Result<Self, AttestError> {
        let carrier = open(der)?;
        let claims = Claims::decode(&carrier.encoded_claims)?;
        if claims.spki_sha384 != carrier.spki_sha384 {
            return Err(AttestError::KeyNotBound);
        }
        check_shown(claims.role, !carrier.quote.is_empty())?;
        if !is_attested(claims.role) {
            if claims.gpu_evidence.is_some() {
                return Err(malformed("a client claims GPUs, and no quote vouches for them"));
            }
            return Ok(Self { claims, quote: None });
        }
        let quote = ParsedQuote::parse(carrier.quote, &report_data(&carrier.encoded_claims))?;
        Ok(Self { claims, quote: Some(quote) })
    }

    /// The quote, for what only a quote can tell.
    pub fn attested(&self) -> Result<&ParsedQuote, AttestError> {
        self.quote.as_ref().ok_or(AttestError::NotAttested)
    }
}

impl ParsedQuote {
    /// Reads a quote, which must be a sound TDX quote for `report_data` and nothing else.
    pub fn parse(raw: Vec<u8>, report_data: &[u8; 64]) -> Result<Self, AttestError> {
        let parsed = Self::read(raw)?;
        parsed.check_report_data(report_data)?;
        parsed.check_length()?;
        parsed.check_debug()?;
        parsed.check_sept_ve_disable()?;
        Ok(parsed)
    }

    /// Reads a quote of a trust domain, sound or not.
    pub fn read(raw: Vec<u8>) -> Result<Self, AttestError> {
        let quote = Quote::parse(&raw).map_err(|e| bad(format!("{e:#}")))?;
        let report: &TDReport10 = quote.report.as_td10().ok_or_else(|| bad("not a quote of a trust domain".into()))?;
        let (measurements, report_data) = (Measurements::from(report), report.report_data);
        Ok(Self { raw, quote, measurements, report_data })
    }

    pub fn check_report_data(&self, expected: &[u8; 64]) -> Result<(), AttestError> {
        if self.report_data == *expected { Ok(()) } else { Err(AttestError::ReportDataMismatch) }
    }

    pub fn check_length(&self) -> Result<(), AttestError> {
        let length = exact_length(&self.raw).ok_or_else(|| bad("it is cut off".into()))?;
        if self.raw.len() == length {
            return Ok(());
        }
        Err(bad(format!("{} bytes after its end", self.raw.len().saturating_sub(length))))
    }

    pub fn check_debug(&self) -> Result<(), AttestError> {
        if self.measurements.has(TdAttribute::Debug) { Err(AttestError::DebugTd) } else { Ok(()) }
    }

    pub fn check_sept_ve_disable(&self) -> Result<(), AttestError> {
        if self.measurements.has(TdAttribute::SeptVeDisable) { Ok(()) } else { Err(AttestError::SeptVeDisableOff) }
    }

    /// The platform's model, from the certificate in the quote.
    pub fn fmspc(&self) -> Result<Fmspc, AttestError> {
        dcap_qvl::intel::quote_fmspc(&self.quote).map(Fmspc).map_err(|e| bad(format!("{e:#}")))
    }

    /// The platform's model, and which CA certifies it.
    pub fn platform(&self) -> Result<(Fmspc, PckCa), AttestError> {
        let ca = dcap_qvl::intel::quote_ca(&self.quote).map_err(|e| bad(format!("{e:#}")))?;
        let ca = if ca.as_id_str() == PckCa::Processor.name() { PckCa::Processor } else { PckCa::Platform };
        Ok((self.fmspc()?, ca))
    }
}

fn bad(why: String) -> AttestError {
    AttestError::MalformedQuote { why }
}

/// The number of bytes that a quote occupies: header, body, and signature data with its length prefix. Firmware pads
/// quotes with zeros, and parsers ignore what follows the end (attack 72): issuers cut, verifiers refuse.
pub(crate) fn exact_length(quote: &[u8]) -> Option<usize> {
    const HEADER: usize = 48;
    const TD_REPORT_1_0: usize = 584;
    let version = u16::from_le_bytes(quote.get(0..2)?.try_into().ok()?);
    let body = match version {
        4 => TD_REPORT_1_0,
        5 => 6 + usize::try_from(u32::from_le_bytes(quote.get(50..54)?.try_into().ok()?)).ok()?,
        _ => return None,
    };
    let signatures = HEADER.checked_add(body)?;
    let size: [u8; 4] = quote.get(signatures..signatures.checked_add(4)?)?.try_into().ok()?;
    let end = signatures.checked_add(4)?.checked_add(usize::try_from(u32::from_le_bytes(size)).ok()?)?;
    (end <= quote.len()).then_some(end)
}
