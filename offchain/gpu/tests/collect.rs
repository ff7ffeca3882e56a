//! A node asks its own devices: here the recorded one stands for all, and drivers are played.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use cocoon_gpu::*;
use cocoon_protocol::{Hash256, UnixSeconds};

const REPORT: &[u8] = include_bytes!("data/nvidia/hopper-report.bin");
const PEM: &[u8] = include_bytes!("data/nvidia/hopper-certificates.pem");
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn asked() -> Hash256 {
    "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb".parse().unwrap()
}

/// A driver with so many devices, all of which answer what one once did.
struct Recorded {
    count: u32,
    evidence: Result<RawEvidence, CollectError>,
}

impl Recorded {
    fn new(count: u32) -> Self {
        Self { count, evidence: Ok(RawEvidence { report: REPORT.to_vec(), certificates: PEM.to_vec() }) }
    }
}

impl GpuEvidenceSource for Recorded {
    fn count(&self) -> Result<u32, CollectError> {
        Ok(self.count)
    }

    fn attest(&self, _: u32, _: &Hash256) -> Result<RawEvidence, CollectError> {
        self.evidence.clone()
    }
}

#[test]
fn what_is_collected_is_what_peers_verify() {
    let mut source = Recorded::new(1);
    // The driver's buffer is filled up with zeros.
    source.evidence.as_mut().unwrap().certificates.extend([0; 100]);
    let evidence = collect(&source, &asked(), NOW).unwrap();
    let read = GpuEvidence::decode(&evidence.encode()).unwrap();
    let verified = read.verify(&evidence.digest(), &asked(), &GpuPolicy::genuine_device(), NOW).unwrap();
    assert_eq!(verified.len(), 1);
    assert_eq!(verified[0].report.fields.driver_version, "550.90.07");
}

#[test]
fn a_node_hears_of_its_own_devices_before_its_peers_do() {
    let none = collect(&Recorded::new(0), &asked(), NOW);
    assert_eq!(none, Err(CollectError::NoDevice));
    assert_eq!(collect(&Recorded::new(17), &asked(), NOW), Err(CollectError::TooMany { count: 17 }));

    let twice = collect(&Recorded::new(2), &asked(), NOW).unwrap_err();
    assert_eq!(twice, CollectError::Evidence { index: 1, reason: GpuError::SameDevice { first: 0, second: 1 } });

    let stale = collect(&Recorded::new(1), &Hash256([1; 32]), NOW).unwrap_err();
    assert!(matches!(&stale, CollectError::Evidence { index: 0, reason: GpuError::Nonce { .. } }), "{stale}");

    let mut altered = Recorded::new(1);
    *altered.evidence.as_mut().unwrap().report.last_mut().unwrap() ^= 1;
    let altered = collect(&altered, &asked(), NOW).unwrap_err();
    assert!(matches!(altered, CollectError::Evidence { .. }), "{altered}");

    let off = CollectError::Device { index: 0, why: "this operation is not supported by the target device".into() };
    let source = Recorded { count: 1, evidence: Err(off.clone()) };
    let error = collect(&source, &asked(), NOW).unwrap_err();
    assert_eq!(error, off);
    assert!(error.to_string().contains("confidential mode must be on"), "{error}");
}

/// A library with the driver's interface, as `nvml.h` declares it (NVIDIA, "NVML API Reference", Confidential Computing). Device 0 gives the
/// recorded evidence if it is asked for the recorded nonce; device 1 is not in confidential mode.
fn played_driver(folder: &Path) -> PathBuf {
    let list = |bytes: &[u8]| bytes.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(",");
    let code = format!(
        r#"
        #include <string.h>
        typedef struct {{
            unsigned cec_present, report_size, cec_size;
            unsigned char nonce[0x20], report[0x2000], cec_report[0x1000];
        }} Report;
        typedef struct {{
            unsigned chain_size, attestation_size;
            unsigned char chain[0x1000], attestation[0x1400];
        }} Certificates;
        static const unsigned char report[] = {{ {} }}, pem[] = {{ {} }}, nonce[] = {{ {} }};
        int nvmlInit_v2(void) {{ return 0; }}
        int nvmlShutdown(void) {{ return 0; }}
        int nvmlDeviceGetCount_v2(unsigned *count) {{ *count = 2; return 0; }}
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {{ *device = (void *)(long)(index + 1); return 0; }}
        int nvmlDeviceGetConfComputeGpuAttestationReport(void *device, Report *out) {{
            if (device != (void *)1) return 3; /* NVML_ERROR_NOT_SUPPORTED */
            if (memcmp(out->nonce, nonce, sizeof nonce)) return 2; /* NVML_ERROR_INVALID_ARGUMENT */
            memcpy(out->report, report, sizeof report);
            out->report_size = sizeof report;
            return 0;
        }}
        int nvmlDeviceGetConfComputeGpuCertificate(void *device, Certificates *out) {{
            memcpy(out->attestation, pem, sizeof pem);
            out->attestation_size = sizeof pem;
            return 0;
        }}
        "#,
        list(REPORT),
        list(PEM),
        list(&asked().0)
    );
    let (source, library) = (folder.join("driver.c"), folder.join("libnvidia-ml.so.1"));
    std::fs::write(&source, code).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.expect("the build needs a C compiler anyway").success());
    library
}

#[test]
fn the_drivers_library_is_asked_as_its_header_says() {
    let folder = tempfile::tempdir().unwrap();
    let driver = NvidiaDriver::load_from(&played_driver(folder.path())).unwrap();
    assert_eq!(driver.count(), Ok(2));
    let raw = driver.attest(0, &asked()).unwrap();
    assert_eq!((raw.report.as_slice(), raw.certificates.as_slice()), (REPORT, PEM));
    let wrong = driver.attest(0, &Hash256([0; 32])).unwrap_err();
    assert!(matches!(&wrong, CollectError::Device { index: 0, .. }), "{wrong}");
    // The second device spoils it: a node claims all of its devices or none.
    let off = collect(&driver, &asked(), NOW).unwrap_err();
    assert!(matches!(&off, CollectError::Device { index: 1, why } if why.contains("not available")), "{off}");
}

#[test]
fn a_machine_without_the_driver_says_what_is_missing() {
    let folder = std::env::temp_dir().join("no-such-folder/libnvidia-ml.so.1");
    let error = NvidiaDriver::load_from(&folder).unwrap_err();
    assert!(matches!(&error, CollectError::Driver { why } if why.contains("no-such-folder")), "{error}");
    assert!(error.to_string().contains("libnvidia-ml.so"), "{error}");
}
