//! The evidence of all GPUs of a node, in one piece: what a node's attested claims name by its digest.

use ciborium::Value;
use cocoon_protocol::{Hash256, NodePublicKey, UnixSeconds};
use sha2::{Digest, Sha256};

use crate::chain::{Chain, MAX_CHAIN};
use crate::device::{DeviceEvidence, VerifiedDevice};
use crate::error::GpuError;
use crate::policy::GpuPolicy;
use crate::report::MAX_REPORT;

/// Version of the encoding.
pub const EVIDENCE_VERSION: u64 = 1;
/// Most devices in a bundle.
pub const MAX_DEVICES: usize = 16;
/// Largest bundle that is read.
pub const MAX_EVIDENCE: usize = MAX_DEVICES * (MAX_REPORT + MAX_CHAIN + 64);
const DIGEST_DOMAIN: &[u8] = b"cocoon-gpu-evidence-v1\0";
const NONCE_DOMAIN: &[u8] = b"cocoon-gpu-nonce-v1\0";

/// Reports and chains of a node's devices.
///
/// Encoded as deterministic CBOR (RFC 8949 §4.2): `[1, [[report, [certificate, …]], …]]`, certificates in DER with the report
/// key's first. Other encodings of the same evidence are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuEvidence {
    devices: Vec<DeviceEvidence>,
}

/// The nonce that a node asks its devices for: SHA-256 over `"cocoon-gpu-nonce-v1\0"`, the SHA-384 of its TLS key's
/// SubjectPublicKeyInfo, and its node key. So evidence collected for one identity is none for another, and the nonce is as young
/// as the identity.
pub fn nonce(spki_sha384: &[u8; 48], node_key: &NodePublicKey) -> Hash256 {
    let hash = Sha256::new().chain_update(NONCE_DOMAIN).chain_update(spki_sha384).chain_update(node_key.as_bytes());
    Hash256(hash.finalize().into())
}

fn malformed(why: impl ToString) -> GpuError {
    GpuError::MalformedEvidence { why: why.to_string() }
}

fn bytes(value: Value, what: &str) -> Result<Vec<u8>, GpuError> {
    value.into_bytes().map_err(|_| malformed(format!("{what} is no byte string")))
}

fn array(value: Value, what: &str) -> Result<Vec<Value>, GpuError> {
    value.into_array().map_err(|_| malformed(format!("{what} is no array")))
}

impl GpuEvidence {
    /// The evidence of at least one device.
    pub fn new(devices: Vec<DeviceEvidence>) -> Result<Self, GpuError> {
        if devices.is_empty() || devices.len() > MAX_DEVICES {
            return Err(malformed(format!("{} devices, and there must be 1 to {MAX_DEVICES}", devices.len())));
        }
        Ok(Self { devices })
    }

    /// The devices, in their order.
    pub fn devices(&self) -> &[DeviceEvidence] {
        &self.devices
    }

    /// Deterministic CBOR.
    pub fn encode(&self) -> Vec<u8> {
        let device = |d: &DeviceEvidence| {
            let chain = d.chain.certificates().iter().map(|c| Value::from(c.as_slice())).collect();
            Value::Array(vec![Value::from(d.report.as_slice()), Value::Array(chain)])
        };
        let devices = self.devices.iter().map(device).collect();
        let mut out = Vec::new();
        // Writing to memory cannot fail.
        let written =
            ciborium::into_writer(&Value::Array(vec![EVIDENCE_VERSION.into(), Value::Array(devices)]), &mut out);
        debug_assert!(written.is_ok());
        out
    }

    /// Reads a bundle; refuses anything that [`GpuEvidence::encode`] would not write. Nothing is verified.
    pub fn decode(encoded: &[u8]) -> Result<Self, GpuError> {
        if encoded.len() > MAX_EVIDENCE {
            return Err(GpuError::TooLarge { part: "evidence", size: encoded.len(), limit: MAX_EVIDENCE });
        }
        let value = ciborium::from_reader::<Value, _>(encoded).map_err(malformed)?;
        let [version, devices] = <[Value; 2]>::try_from(array(value, "the evidence")?)
            .map_err(|items| malformed(format!("{} items in place of version and devices", items.len())))?;
        if version != Value::from(EVIDENCE_VERSION) {
            return Err(malformed(format!("not of version {EVIDENCE_VERSION}")));
        }
        let device = |value: Value| {
            let [report, chain] = <[Value; 2]>::try_from(array(value, "a device")?)
                .map_err(|items| malformed(format!("{} items in place of report and chain", items.len())))?;
            let chain = array(chain, "a chain")?.into_iter().map(|c| bytes(c, "a certificate"));
            let chain = Chain::new(chain.collect::<Result<_, _>>()?)?;
            Ok(DeviceEvidence { report: bytes(report, "a report")?, chain })
        };
        let devices =
            array(devices, "the list of devices")?.into_iter().map(device).collect::<Result<_, GpuError>>()?;
        let evidence = Self::new(devices)?;
        if evidence.encode() != encoded {
            return Err(malformed("not in its one deterministic encoding"));
        }
        Ok(evidence)
    }

    /// What a node's attested claims say of the bundle: SHA-256 over `"cocoon-gpu-evidence-v1\0"` and the encoding.
    pub fn digest(&self) -> Hash256 {
        Hash256(Sha256::new().chain_update(DIGEST_DOMAIN).chain_update(self.encode()).finalize().into())
    }

    /// Checks a bundle against the attested claims that name it: the digest, and for each device everything that
    /// [`DeviceEvidence::verify`] checks. All devices must be different ones.
    pub fn verify(
        &self,
        claimed: &Hash256,
        nonce: &Hash256,
        policy: &GpuPolicy,
        now: UnixSeconds,
    ) -> Result<Vec<VerifiedDevice>, GpuError> {
        let got = self.digest();
        if got != *claimed {
            return Err(GpuError::Digest { got, expected: *claimed });
        }
        let mut verified: Vec<VerifiedDevice> = Vec::new();
        for (second, device) in self.devices.iter().enumerate() {
            let device = device.verify(nonce, policy, now)?;
            if let Some(first) = verified.iter().position(|v| v.device == device.device) {
                return Err(GpuError::SameDevice { first, second });
            }
            verified.push(device);
        }
        Ok(verified)
    }
}
