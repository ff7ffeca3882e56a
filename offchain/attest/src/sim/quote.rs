//! The bytes of a TDX quote of version 4 or 5 (Intel TDX DCAP quoting library API, appendix 3).

use sha2::{Digest, Sha256};

use super::{QuoteVersion, SimError, SimPlatform};
use crate::measurements::Measurements;

/// Product number of the quoting enclave for trust domains.
pub const QE_PRODUCT: u16 = 2;
/// Its version.
pub const QE_SVN: u16 = 4;
/// Initialised, 64-bit, with its own provisioning key.
pub const QE_ATTRIBUTES: [u8; 16] = [0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const INTEL_VENDOR: [u8; 16] =
    [0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07];
const TEE_TDX: u32 = 0x81;
const ECDSA_P256: u16 = 2;
/// Certification data is a quoting-enclave report with what certifies it.
const QE_REPORT: u16 = 6;
/// Certification data is a PEM chain.
const PEM_CHAIN: u16 = 5;

/// Who signed the quoting enclave.
pub fn qe_signer(rogue: bool) -> [u8; 32] {
    Sha256::digest(if rogue { "rogue quoting enclave" } else { "simulated quoting enclave" }).into()
}

pub fn quote(
    platform: &SimPlatform,
    version: QuoteVersion,
    m: &Measurements,
    report_data: &[u8; 64],
) -> Result<Vec<u8>, SimError> {
    let mut quote = Vec::with_capacity(6 * 1024);
    // Header, 48 bytes.
    quote.extend((if version == QuoteVersion::V4 { 4u16 } else { 5 }).to_le_bytes());
    quote.extend(ECDSA_P256.to_le_bytes());
    quote.extend(TEE_TDX.to_le_bytes());
    quote.extend([0; 4]);
    quote.extend(INTEL_VENDOR);
    quote.extend([0; 20]);
    // In version 5, the body's type and size.
    match version {
        QuoteVersion::V4 => {}
        QuoteVersion::V5 => quote.extend([2, 0, 0x48, 2, 0, 0]),
        QuoteVersion::V5Td15 => quote.extend([3, 0, 0x88, 2, 0, 0]),
    }
    // TD report 1.0, 584 bytes.
    let mut tee_tcb_svn = [platform.svn; 16];
    // The module's version: zero, so that the verifier judges it by the TCB level alone.
    if let Some(version) = tee_tcb_svn.get_mut(1) {
        *version = 0;
    }
    quote.extend(tee_tcb_svn);
    quote.extend(m.mr_seam);
    quote.extend(m.mr_signer_seam);
    quote.extend(m.seam_attributes);
    quote.extend(m.td_attributes);
    quote.extend(m.xfam);
    for register in [&m.mr_td, &m.mr_config_id, &m.mr_owner, &m.mr_owner_config, &m.rtmr0, &m.rtmr1, &m.rtmr2, &m.rtmr3]
    {
        quote.extend(register);
    }
    quote.extend(report_data);
    if version == QuoteVersion::V5Td15 {
        // TD report 1.5: the module's versions once more, after a possible update, and no service domain.
        quote.extend(tee_tcb_svn);
        quote.extend([0; 48]);
    }
    // The attestation key signs header and report; the quoting enclave vouches for the key; the machine's certified key
    // vouches for the quoting enclave.
    let signature = platform.attestation_key.sign_raw(&quote);
    let auth_data = [0x5c; 32];
    let qe_report = qe_report(platform, &auth_data);
    let mut certified = Vec::new();
    certified.extend(&qe_report);
    certified.extend(platform.pck_key.sign_raw(&qe_report));
    certified.extend(length16(auth_data.len())?);
    certified.extend(auth_data);
    certified.extend(PEM_CHAIN.to_le_bytes());
    certified.extend(length32(platform.chain.len())?);
    certified.extend(platform.chain.as_bytes());
    let mut signatures = Vec::new();
    signatures.extend(signature);
    signatures.extend(platform.attestation_key.coordinates());
    signatures.extend(QE_REPORT.to_le_bytes());
    signatures.extend(length32(certified.len())?);
    signatures.extend(certified);
    quote.extend(length32(signatures.len())?);
    quote.extend(signatures);
    Ok(quote)
}

/// The quoting enclave's report, 384 bytes: its identity and a hash of the attestation key.
fn qe_report(platform: &SimPlatform, auth_data: &[u8; 32]) -> Vec<u8> {
    let mut report = Vec::with_capacity(384);
    report.extend([platform.svn; 16]);
    report.extend([0; 4 + 28]);
    report.extend(QE_ATTRIBUTES);
    report.extend(Sha256::digest("simulated quoting enclave code"));
    report.extend([0; 32]);
    report.extend(qe_signer(platform.rogue));
    report.extend([0; 96]);
    report.extend(QE_PRODUCT.to_le_bytes());
    report.extend(QE_SVN.to_le_bytes());
    report.extend([0; 60]);
    report
        .extend(Sha256::new().chain_update(platform.attestation_key.coordinates()).chain_update(auth_data).finalize());
    report.extend([0; 32]);
    report
}

fn length16(length: usize) -> Result<[u8; 2], SimError> {
    u16::try_from(length).map(u16::to_le_bytes).map_err(SimError::of("quote"))
}

fn length32(length: usize) -> Result<[u8; 4], SimError> {
    u32::try_from(length).map(u32::to_le_bytes).map_err(SimError::of("quote"))
}
