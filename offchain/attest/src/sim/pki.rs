//! The vendor's certificates and revocation lists.

use std::collections::BTreeSet;

use cocoon_protocol::UnixSeconds;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::key::SimKey;
use super::{SIM_FMSPC, SimError};

/// 1.2.840.113741.1.13.1: what the vendor says about a machine.
const SGX_EXTENSION: &[u64] = &[1, 2, 840, 113_741, 1, 13, 1];
/// The same in DER, as a prefix of the names inside it.
const SGX_ARC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
/// 2020-01-01 and 2099-12-31: certificates of the simulation outlive it, collateral does not.
const FROM: i64 = 1_577_836_800;
const UNTIL: i64 = 4_102_358_400;

/// A certificate and its key.
pub struct Authority {
    params: CertificateParams,
    key: SimKey,
    certificate: Certificate,
    pem: String,
}

fn params(name: &str, serial: u64) -> Result<CertificateParams, SimError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Cocoon simulation, not a hardware vendor");
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date(FROM)?;
    params.not_after = date(UNTIL)?;
    params.key_identifier_method = KeyIdMethod::Sha256;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn date(seconds: i64) -> Result<OffsetDateTime, SimError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(SimError::of("date"))
}

fn authority(mut params: CertificateParams) -> CertificateParams {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    fn new(params: CertificateParams, key: SimKey, certificate: Certificate) -> Self {
        let pem = certificate.pem();
        Self { params, key, certificate, pem }
    }

    pub fn root(key: SimKey) -> Result<Self, SimError> {
        let params = authority(params("Cocoon Simulated Root CA", 1)?);
        let certificate = params.self_signed(&key).map_err(SimError::of("root"))?;
        Ok(Self::new(params, key, certificate))
    }

    fn issue(&self, params: &CertificateParams, key: &SimKey) -> Result<Certificate, SimError> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).map_err(SimError::of("certificate"))
    }

    /// The CA of machine certificates. The verifier tells platform from processor CAs by the word "Platform".
    pub fn intermediate(&self, key: SimKey) -> Result<Self, SimError> {
        let params = authority(params("Cocoon Simulated PCK Platform CA", 2)?);
        let certificate = self.issue(&params, &key)?;
        Ok(Self::new(params, key, certificate))
    }

    /// The signer of TCB levels, directly under the root as the verifier demands.
    pub fn signer(&self, key: SimKey) -> Result<Self, SimError> {
        let mut params = params("Cocoon Simulated TCB Signing", 3)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = self.issue(&params, &key)?;
        Ok(Self::new(params, key, certificate))
    }

    /// PEM certificate of machine number `index`.
    pub fn platform(&self, key: &SimKey, index: u32, ppid: &[u8; 16], svn: u8) -> Result<String, SimError> {
        let mut params = params("Cocoon Simulated PCK Certificate", platform_serial(index))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions.push(CustomExtension::from_oid_content(SGX_EXTENSION, sgx_extension(ppid, svn)));
        Ok(self.issue(&params, key)?.pem())
    }

    /// DER revocation list with the given machines on it.
    pub fn revocations(
        &self,
        machines: &BTreeSet<u32>,
        from: UnixSeconds,
        until: UnixSeconds,
    ) -> Result<Vec<u8>, SimError> {
        let from = date(from.0.into())?;
        let revoked = |index: &u32| RevokedCertParams {
            serial_number: SerialNumber::from(platform_serial(*index)),
            revocation_time: from,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: from,
            next_update: date(until.0.into())?,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: machines.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&self.params, &self.key);
        Ok(list.signed_by(&issuer).map_err(SimError::of("revocation list"))?.der().to_vec())
    }

    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub fn key(&self) -> &SimKey {
        &self.key
    }
}

fn platform_serial(index: u32) -> u64 {
    0x1_0000_0000 + u64::from(index)
}

/// Serial number of machine number `index`.
pub fn ppid(seed: &[u8; 32], index: u32) -> [u8; 16] {
    let hash =
        Sha256::new().chain_update(b"cocoon-simulated-ppid-v1\0").chain_update(seed).chain_update(index.to_le_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut ppid = [0; 16];
    ppid.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    ppid
}

/// DER of one element; the contents here stay below 64 KiB.
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    let mut out = vec![tag];
    match contents.len() {
        0..=0x7f => out.push(low),
        0x80..=0xff => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(contents);
    out
}

/// `SEQUENCE { 1.2.840.113741.1.13.1.<arc>, value }`
fn item(arc: &[u8], value: &[u8]) -> Vec<u8> {
    let name = der(0x06, &[SGX_ARC, arc].concat());
    der(0x30, &[name.as_slice(), value].concat())
}

/// The machine's serial number, firmware versions and model, in the layout of Intel's PCK certificate profile.
fn sgx_extension(ppid: &[u8; 16], svn: u8) -> Vec<u8> {
    const OCTETS: u8 = 0x04;
    const INTEGER: u8 = 0x02;
    const ENUMERATED: u8 = 0x0a;
    const SEQUENCE: u8 = 0x30;
    let yes = der(0x01, &[0xff]);
    let components = (1u8..=16).map(|i| item(&[2, i], &der(INTEGER, &[svn])));
    let tcb: Vec<u8> = components
        .chain([item(&[2, 17], &der(INTEGER, &[svn])), item(&[2, 18], &der(OCTETS, &[svn; 16]))])
        .flatten()
        .collect();
    // Several packages, registered keys, hyper-threading: as real servers report.
    let configuration: Vec<u8> = (1u8..=3).flat_map(|i| item(&[7, i], &yes)).collect();
    let items = [
        item(&[1], &der(OCTETS, ppid)),
        item(&[2], &der(SEQUENCE, &tcb)),
        item(&[3], &der(OCTETS, &[0, 0])),
        item(&[4], &der(OCTETS, &SIM_FMSPC.0)),
        item(&[5], &der(ENUMERATED, &[1])),
        item(&[6], &der(OCTETS, ppid)),
        item(&[7], &der(SEQUENCE, &configuration)),
    ];
    der(SEQUENCE, &items.concat())
}
