//! The certificate chain of a report's key, up to NVIDIA's device identity root (RFC 5280, and DICE for the firmware's identity).

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cocoon_protocol::{Hash256, UnixSeconds};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ECDSA_WITH_SHA384, Oid, asn1_rs::oid,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::AlgorithmIdentifier;

use crate::error::GpuError;

/// NVIDIA's device identity root certificate, the end of every chain. SHA-256 of these bytes:
/// `102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48`.
pub const NVIDIA_ROOT_DER: &[u8] = include_bytes!("nvidia-device-root.der");
/// Largest chain that is read, in bytes of PEM: what NVML's buffer holds (`NVML_GPU_ATTESTATION_CERT_CHAIN_SIZE`).
pub const MAX_CHAIN: usize = 0x1400;
/// Certificates in a chain: the report's key, the device's, and the authorities above. NVIDIA's verifier reads five at most.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=5;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// `tcg-dice-TcbInfo`'s arc: the extension that says which firmware holds the key.
const DICE: Oid<'static> = oid!(2.23.133.5.4.1);
const DICE_FWID: Oid<'static> = oid!(2.23.133.5.4.1.1);
const BASIC_CONSTRAINTS: Oid<'static> = oid!(2.5.29.19);
const KEY_USAGE: Oid<'static> = oid!(2.5.29.15);
/// DER of an FWID (TCG DICE Attestation Architecture, clause 6.1.1) with SHA-384 up to its digest:
/// `SEQUENCE { OBJECT IDENTIFIER 2.16.840.1.101.3.4.2.2, OCTET STRING of 48 bytes`.
const FWID_SHA384: [u8; 15] = [0x30, 0x3d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 4, 48];

/// The identity of one GPU: SHA-256 over `"cocoon-gpu-device-v1\0"` and the SubjectPublicKeyInfo of its device certificate, which
/// stays the same when its firmware changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeviceId(pub Hash256);

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Certificates, DER, from the report's key up to the root. Not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain(Vec<Vec<u8>>);

/// What a verified chain says of the report's key.
pub(crate) struct Certified {
    /// The key, an uncompressed point.
    pub key: Vec<u8>,
    pub firmware_id: Option<[u8; 48]>,
    pub device: DeviceId,
    /// Common name of the report key's certificate, such as `GH100 A01 GSP FMC LF`.
    pub name: String,
    /// Serial numbers, hexadecimal, in the chain's order.
    pub serials: Vec<String>,
}

fn malformed(why: impl ToString) -> GpuError {
    GpuError::MalformedCertificates { why: why.to_string() }
}

impl Chain {
    /// A chain of DER certificates, the report key's first.
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Self, GpuError> {
        if !LENGTHS.contains(&certificates.len()) {
            let (least, most) = (LENGTHS.start(), LENGTHS.end());
            return Err(malformed(format!("{} certificates, and there must be {least} to {most}", certificates.len())));
        }
        let size = certificates.iter().map(Vec::len).sum();
        if size > MAX_CHAIN {
            return Err(GpuError::TooLarge { part: "certificate chain", size, limit: MAX_CHAIN });
        }
        Ok(Self(certificates))
    }

    /// A chain as NVML hands it out: PEM, with nothing between the certificates.
    pub fn from_pem(pem: &[u8]) -> Result<Self, GpuError> {
        if pem.len() > MAX_CHAIN {
            return Err(GpuError::TooLarge { part: "certificate chain", size: pem.len(), limit: MAX_CHAIN });
        }
        // Buffers of a fixed size come with zeros at the end.
        let filled = pem.iter().rposition(|b| *b != 0).map_or(0, |last| last.saturating_add(1));
        let text = pem.get(..filled).unwrap_or_default();
        let mut rest = std::str::from_utf8(text).map_err(malformed)?;
        let mut certificates = Vec::new();
        while !rest.trim_start_matches(['\r', '\n']).is_empty() {
            let body = rest.trim_start_matches(['\r', '\n']).strip_prefix(BEGIN);
            let (body, after) = body
                .and_then(|body| body.split_once(END))
                .ok_or_else(|| malformed(format!("something else than {BEGIN}…{END}")))?;
            let digits: String = body.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            certificates.push(STANDARD.decode(digits).map_err(malformed)?);
            rest = after;
        }
        Self::new(certificates)
    }

    /// The certificates, DER, the report key's first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Checks the chain up to a root, given in full: names, signatures, uses, validity.
    pub(crate) fn verify(&self, root: &[u8], now: UnixSeconds) -> Result<Certified, GpuError> {
        if self.0.last().map(Vec::as_slice) != Some(root) {
            return Err(GpuError::ForeignRoot);
        }
        let mut all = Vec::new();
        for (index, der) in self.0.iter().enumerate() {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|e| chain(index, e.to_string()))?;
            if encoding(&certificate).as_ref() != Some(der) {
                return Err(chain(index, "it is not in its one encoding"));
            }
            all.push(certificate);
        }
        for (index, certificate) in all.iter().enumerate() {
            check_alone(index, certificate, now)?;
            // The root is the pinned one, byte for byte, so nobody need vouch for it.
            if let Some(issuer) = all.get(index.saturating_add(1)) {
                check_issued(index, certificate, issuer)?;
            }
        }
        let [leaf, device, ..] = all.as_slice() else { return Err(malformed("fewer than two certificates")) };
        let name = leaf.subject().iter_common_name().next().and_then(|n| n.as_str().ok()).unwrap_or_default();
        let mut id = Sha256::new();
        id.update(b"cocoon-gpu-device-v1\0");
        id.update(device.public_key().raw);
        Ok(Certified {
            key: leaf.public_key().subject_public_key.data.to_vec(),
            firmware_id: firmware_id(leaf)?,
            device: DeviceId(Hash256(id.finalize().into())),
            name: name.to_owned(),
            serials: all.iter().map(|c| hex::encode(c.raw_serial())).collect(),
        })
    }
}

fn chain(index: usize, why: impl Into<String>) -> GpuError {
    GpuError::Chain { index, why: why.into() }
}

/// The one encoding (DER) of a certificate around its signed part: parsers also read tags and lengths that nobody signed.
fn encoding(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    /// `ecdsa-with-SHA384`, RFC 5758 clause 3.2.
    const ALGORITHM: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    let element = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).ok()?.to_be_bytes();
        let head = match length {
            [0, short] if short < 0x80 => vec![tag, short],
            [0, long] => vec![tag, 0x81, long],
            [high, low] => vec![tag, 0x82, high, low],
        };
        Some([&head, content].concat())
    };
    let signature = element(3, &[&[0], certificate.signature_value.data.as_ref()].concat())?;
    element(0x30, &[certificate.tbs_certificate.as_ref(), &ALGORITHM, &signature].concat())
}

fn is_ecdsa_sha384(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA384 && algorithm.parameters.is_none()
}

/// What can be said of a certificate without its issuer. The first one signs reports, the others certificates.
fn check_alone(index: usize, certificate: &X509Certificate<'_>, now: UnixSeconds) -> Result<(), GpuError> {
    let key = certificate.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY || curve != Some(OID_NIST_EC_P384) {
        return Err(chain(index, "its key is not on the curve P-384"));
    }
    if !is_ecdsa_sha384(&certificate.signature_algorithm) || !is_ecdsa_sha384(&certificate.signature) {
        return Err(chain(index, "it is not signed by ECDSA with SHA-384"));
    }
    let known = |oid: &Oid<'_>| *oid == BASIC_CONSTRAINTS || *oid == KEY_USAGE;
    if let Some(other) = certificate.extensions().iter().find(|e| e.critical && !known(&e.oid)) {
        return Err(chain(index, format!("its critical extension {} is not known here", other.oid)));
    }
    let constraints = certificate.basic_constraints().map_err(|e| chain(index, e.to_string()))?.map(|e| e.value);
    let usage = certificate.key_usage().map_err(|e| chain(index, e.to_string()))?.map(|e| e.value);
    let usage = usage.ok_or_else(|| chain(index, "it does not say what its key is for"))?;
    let authority = constraints.is_some_and(|c| c.ca);
    if index == 0 {
        if authority || !usage.digital_signature() || usage.key_cert_sign() {
            return Err(chain(index, "it must be for signing reports and not for signing certificates"));
        }
    } else {
        if !authority || !usage.key_cert_sign() {
            return Err(chain(index, "it may not sign certificates"));
        }
        // Certificates between this one and the first.
        let below = u32::try_from(index.saturating_sub(1)).unwrap_or(u32::MAX);
        if constraints.and_then(|c| c.path_len_constraint).is_some_and(|most| below > most) {
            return Err(chain(index, format!("it may not have {below} authorities below it")));
        }
    }
    let validity = certificate.validity();
    let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if !(not_before..=not_after).contains(&i64::from(now.0)) {
        return Err(GpuError::OutsideValidity { index, not_before, not_after, now });
    }
    Ok(())
}

fn check_issued(index: usize, certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Result<(), GpuError> {
    if certificate.issuer().as_raw() != issuer.subject().as_raw() {
        return Err(chain(index, "its issuer is not the subject of the next one"));
    }
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, &issuer.public_key().subject_public_key.data)
        .verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
        .map_err(|_| chain(index, "its signature is not the next one's"))
}

/// The firmware that the key was made for: the one SHA-384 FWID in the DICE extension.
fn firmware_id(leaf: &X509Certificate<'_>) -> Result<Option<[u8; 48]>, GpuError> {
    let mut extensions = leaf.extensions().iter().filter(|e| e.oid == DICE || e.oid == DICE_FWID);
    let Some(extension) = extensions.next() else { return Ok(None) };
    let place = |bytes: &[u8]| bytes.windows(FWID_SHA384.len()).position(|window| window == FWID_SHA384);
    let after = |bytes: &'_ [u8]| place(bytes).map(|at| at.saturating_add(FWID_SHA384.len()));
    let Some(rest) = after(extension.value).and_then(|at| extension.value.get(at..)) else { return Ok(None) };
    if extensions.next().is_some() || after(rest).is_some() {
        return Err(chain(0, "it names several firmwares"));
    }
    rest.first_chunk().copied().map(Some).ok_or_else(|| chain(0, "its firmware id is cut off"))
}
