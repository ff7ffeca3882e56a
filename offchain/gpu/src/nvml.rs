//! Evidence from NVIDIA's driver, through its management library (NVML), which is loaded when it is there.

use cocoon_protocol::Hash256;
use nvml_wrapper::Nvml;

use crate::collect::{CollectError, GpuEvidenceSource, RawEvidence};

/// NVIDIA's driver in this guest. It asks a device over the encrypted session between them.
#[derive(Debug)]
pub struct NvidiaDriver(Nvml);

impl NvidiaDriver {
    /// Loads the driver's library.
    ///
    /// # Errors
    /// [`CollectError::Driver`] where there is none: on a machine without NVIDIA's driver.
    pub fn load() -> Result<Self, CollectError> {
        // The name without a number comes with development packages only.
        Self::load_from("libnvidia-ml.so.1".as_ref())
    }

    /// The same from a library of this name or path.
    pub fn load_from(path: &std::path::Path) -> Result<Self, CollectError> {
        let loaded = Nvml::builder().lib_path(path.as_os_str()).init();
        loaded.map(Self).map_err(|e| CollectError::Driver { why: format!("{}: {e}", path.display()) })
    }
}

impl GpuEvidenceSource for NvidiaDriver {
    fn count(&self) -> Result<u32, CollectError> {
        self.0.device_count().map_err(|e| CollectError::Driver { why: e.to_string() })
    }

    /// `nvmlDeviceGetConfComputeGpuAttestationReport` and `nvmlDeviceGetConfComputeGpuCertificate`.
    fn attest(&self, index: u32, nonce: &Hash256) -> Result<RawEvidence, CollectError> {
        let failed = |e: nvml_wrapper::error::NvmlError| CollectError::Device { index, why: e.to_string() };
        let device = self.0.device_by_index(index).map_err(failed)?;
        let report = device.confidential_compute_gpu_attestation_report(nonce.0).map_err(failed)?;
        let chain = device.confidential_compute_gpu_certificate().map_err(failed)?;
        Ok(RawEvidence { report: report.attestation_report, certificates: chain.attestation_cert_chain })
    }
}
