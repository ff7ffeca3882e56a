//! A node's own evidence: its devices are asked for reports, which are checked before anybody else sees them.

use cocoon_protocol::{Hash256, UnixSeconds};

use crate::chain::Chain;
use crate::device::DeviceEvidence;
use crate::error::GpuError;
use crate::evidence::{GpuEvidence, MAX_DEVICES};
use crate::policy::GpuPolicy;

/// Where the evidence of a machine's GPUs comes from. Calls may take some seconds: reports are made inside the devices.
pub trait GpuEvidenceSource {
    /// How many devices there are; they are numbered from 0.
    fn count(&self) -> Result<u32, CollectError>;

    /// What one device attests: its report for a nonce, request and response, and its certificates in PEM, the report key's first.
    fn attest(&self, index: u32, nonce: &Hash256) -> Result<RawEvidence, CollectError>;
}

/// What a driver hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvidence {
    /// The SPDM request and response.
    pub report: Vec<u8>,
    /// Certificates, PEM.
    pub certificates: Vec<u8>,
}

/// The node's GPUs give no evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The driver's library is not there, or does not begin to work.
    #[error(
        "the NVIDIA driver's library (libnvidia-ml.so) cannot be used: {why}; is the driver part of the image, and the device passed to the guest?"
    )]
    Driver {
        /// What the library said.
        why: String,
    },
    /// The machine has no GPU.
    #[error("the driver sees no GPU")]
    NoDevice,
    /// More devices than one bundle holds.
    #[error("the driver sees {count} GPUs, and evidence is made for at most {MAX_DEVICES}")]
    TooMany {
        /// How many there are.
        count: u32,
    },
    /// A device attests nothing.
    #[error(
        "GPU {index} gives no attestation report: {why}; its confidential mode must be on (nvidia-smi conf-compute -f)"
    )]
    Device {
        /// Which one.
        index: u32,
        /// What the driver said.
        why: String,
    },
    /// What a device attests would be refused by peers.
    #[error("the evidence of GPU {index} is not in order: {reason}")]
    Evidence {
        /// Which one.
        index: u32,
        /// What is wrong with it.
        #[source]
        reason: GpuError,
    },
}

/// Asks every device for its evidence. `nonce`: see [`crate::nonce`]. All of it has been checked as a peer checks it that accepts any
/// genuine device, so that a node hears of what is wrong here and not from others.
pub fn collect(source: &dyn GpuEvidenceSource, nonce: &Hash256, now: UnixSeconds) -> Result<GpuEvidence, CollectError> {
    let count = source.count()?;
    if count == 0 {
        return Err(CollectError::NoDevice);
    }
    if usize::try_from(count).map_or(true, |count| count > MAX_DEVICES) {
        return Err(CollectError::TooMany { count });
    }
    let (mut devices, mut seen) = (vec![], vec![]);
    for index in 0..count {
        let raw = source.attest(index, nonce)?;
        let wrong = |reason| CollectError::Evidence { index, reason };
        let chain = Chain::from_pem(&raw.certificates).map_err(wrong)?;
        let device = DeviceEvidence { report: raw.report, chain };
        let verified = device.verify(nonce, &GpuPolicy::genuine_device(), now).map_err(wrong)?;
        if let Some(first) = seen.iter().position(|known| *known == verified.device) {
            return Err(wrong(GpuError::SameDevice { first, second: devices.len() }));
        }
        seen.push(verified.device);
        devices.push(device);
    }
    GpuEvidence::new(devices).map_err(|reason| CollectError::Evidence { index: 0, reason })
}
