//! Why GPU evidence was refused.

use cocoon_protocol::{Hash256, UnixSeconds};

/// Why a report, a certificate chain or a bundle of them was refused. Each variant says what was expected and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// Larger than any device makes.
    #[error("the GPU's {part} has {size} bytes, over the limit of {limit}")]
    TooLarge {
        /// Which part.
        part: &'static str,
        /// Bytes received.
        size: usize,
        /// Bytes accepted.
        limit: usize,
    },
    /// The report ends in the middle of a field.
    #[error("the GPU's report ends within its {field}")]
    CutOff {
        /// Which field.
        field: &'static str,
    },
    /// A field of the report has a value that no device writes.
    #[error("the GPU's report: {field} is {got}, and it must be {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What stands there.
        got: String,
        /// What must stand there.
        expected: String,
    },
    /// The report answers another challenge: it was made for somebody else, or earlier.
    #[error("the GPU's report answers the nonce {got}, and the nonce {expected} was asked")]
    Nonce {
        /// The nonce in the report's request.
        got: Hash256,
        /// The nonce that the evidence must answer.
        expected: Hash256,
    },
    /// The certificates are not in the one form that is read.
    #[error("the GPU's certificates cannot be read: {why}")]
    MalformedCertificates {
        /// What was wrong.
        why: String,
    },
    /// A certificate of the chain does not bear its place in it. Certificate 0 is the report key's.
    #[error("certificate {index} of the GPU's chain: {why}")]
    Chain {
        /// Its place, from the report's key up.
        index: usize,
        /// What was wrong.
        why: String,
    },
    /// The chain ends elsewhere than at NVIDIA's device identity root.
    #[error("the GPU's chain does not end at NVIDIA's device identity root")]
    ForeignRoot,
    /// A certificate is not valid at the time of the check.
    #[error(
        "certificate {index} of the GPU's chain is valid from {not_before} to {not_after} (Unix time), not at {now}"
    )]
    OutsideValidity {
        /// Its place, from the report's key up.
        index: usize,
        /// First second.
        not_before: i64,
        /// Last second.
        not_after: i64,
        /// The time of the check.
        now: UnixSeconds,
    },
    /// The report was not signed with the key in the first certificate.
    #[error("the GPU's report is not signed with the key of its certificate")]
    Signature,
    /// The report's key belongs to other firmware than the report speaks of.
    #[error("the report says firmware {report}, and its key is certified for firmware {certificate}")]
    Firmware {
        /// SHA-384 in the report, hexadecimal.
        report: String,
        /// SHA-384 in the certificate, hexadecimal, or "none".
        certificate: String,
    },
    /// The policy does not list this driver.
    #[error("GPU driver {got} is not allowed; allowed: {}", allowed.join(", "))]
    Driver {
        /// The driver's version.
        got: String,
        /// The versions that the policy lists.
        allowed: Vec<String>,
    },
    /// The policy does not list this VBIOS.
    #[error("VBIOS {got} is not allowed; allowed: {}", allowed.join(", "))]
    Vbios {
        /// The VBIOS's version.
        got: String,
        /// The versions that the policy lists.
        allowed: Vec<String>,
    },
    /// A measurement is none of the reference values that the policy lists for it.
    #[error("measurement {index} is {got}, which is no reference value of the policy")]
    Measurement {
        /// Its index in the report.
        index: u8,
        /// Its value, hexadecimal, or "absent".
        got: String,
    },
    /// The policy revokes a certificate of the chain.
    #[error("certificate {index} of the GPU's chain (serial number {serial}) is revoked by the policy")]
    Revoked {
        /// Its place, from the report's key up.
        index: usize,
        /// Its serial number, hexadecimal.
        serial: String,
    },
    /// A bundle is not in its one encoding.
    #[error("the GPU evidence is malformed: {why}")]
    MalformedEvidence {
        /// What was wrong.
        why: String,
    },
    /// The bundle is another than the attested claims name.
    #[error("the GPU evidence has digest {got}, and the node's attested claims name {expected}")]
    Digest {
        /// Of the bundle at hand.
        got: Hash256,
        /// In the claims.
        expected: Hash256,
    },
    /// The same device stands in a bundle twice.
    #[error("devices {first} and {second} of the GPU evidence are the same device")]
    SameDevice {
        /// Its first place.
        first: usize,
        /// Its second place.
        second: usize,
    },
}
