//! GPU attestation evidence: that a genuine NVIDIA device in confidential mode signed these measurements for this nonce.
//!
//! A device's evidence is an SPDM measurement report, signed with ECDSA P-384 by a key inside the device, and the certificates of
//! that key up to NVIDIA's device identity root ([`NVIDIA_ROOT_DER`], pinned byte for byte). [`DeviceEvidence::verify`] checks
//! both, the nonce, and that the key belongs to the firmware in the report; a [`GpuPolicy`] adds the rules on versions. A node's
//! devices together are a [`GpuEvidence`], whose digest stands in the node's attested claims.
//!
//! [`collect`] makes a node's own bundle, from [`NvidiaDriver`] or whatever else is a [`GpuEvidenceSource`].
//!
//! Not checked here: NVIDIA's signed reference measurements (RIM) and the online state of certificates (OCSP). A policy must say how
//! it deals with both ([`ReferenceMeasurements`], [`Revocation`]); docs/attestation.md says what that leaves open.
//!
//! ```
//! use cocoon_gpu::{Chain, DeviceEvidence, GpuPolicy, Report};
//! use cocoon_protocol::UnixSeconds;
//!
//! # let report = include_bytes!("../tests/data/nvidia/hopper-report.bin").to_vec();
//! # let pem = include_bytes!("../tests/data/nvidia/hopper-certificates.pem");
//! let evidence = DeviceEvidence { report, chain: Chain::from_pem(pem)? };
//! # let nonce = Report::parse(&evidence.report)?.nonce;
//! let device = evidence.verify(&nonce, &GpuPolicy::genuine_device(), UnixSeconds(1_800_000_000))?;
//! assert_eq!(device.report.fields.driver_version, "550.90.07");
//! # Ok::<(), cocoon_gpu::GpuError>(())
//! ```

#[cfg(test)]
mod attacks;
mod chain;
mod collect;
mod device;
mod error;
mod evidence;
mod nvml;
mod opaque;
mod policy;
mod report;

pub use chain::{Chain, DeviceId, MAX_CHAIN, NVIDIA_ROOT_DER};
pub use collect::{CollectError, GpuEvidenceSource, RawEvidence, collect};
pub use device::{DeviceEvidence, VerifiedDevice};
pub use error::GpuError;
pub use evidence::{EVIDENCE_VERSION, GpuEvidence, MAX_DEVICES, MAX_EVIDENCE, nonce};
pub use nvml::NvidiaDriver;
pub use opaque::Fields;
pub use policy::{GpuPolicy, ReferenceMeasurements, Revocation, RuleResult};
pub use report::{MAX_REPORT, Measurement, Report};
