//! Evidence from a vendor of our own, to see refused what NVIDIA's hardware would never sign.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use cocoon_protocol::{Hash256, UnixSeconds};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SigningKey,
};
use time::OffsetDateTime;

use crate::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const NONCE: Hash256 = Hash256([5; 32]);
const FIRMWARE: [u8; 48] = [9; 48];

/// What a made-up vendor certifies; each test changes one thing.
struct Vendor {
    report_key: KeyPair,
    leaf: CertificateParams,
    device: CertificateParams,
    /// Signs the first certificate in place of the device's key.
    stranger: Option<KeyPair>,
    /// The name that the first certificate gives for its issuer, in place of the device's.
    issuer: Option<&'static str>,
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap();
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn fwid(id: &[u8; 48]) -> Vec<u8> {
    [&[0x30, 0x3d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 4, 48][..], id].concat()
}

fn dice(content: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 23, 133, 5, 4, 1], content)
}

/// A report with one measurement, signed.
fn report(key: &KeyPair, firmware: Option<[u8; 48]>) -> Vec<u8> {
    let field = |kind: u16, data: &[u8]| {
        let size = u16::try_from(data.len()).unwrap().to_le_bytes();
        [&kind.to_le_bytes(), &size, data].concat()
    };
    let mut fields = [field(3, b"1.2.3\0"), field(6, &[0, 0x9f, 0, 0x96, 1, 0, 0, 0])].concat();
    fields.extend(firmware.map(|id| field(20, &id)).unwrap_or_default());
    let block = [&[1, 1, 51, 0, 1, 48, 0][..], &[7; 48]].concat();
    let mut message = [&[0x11, 0xe0, 1, 0xff][..], &NONCE.0, &[0]].concat();
    message.extend([0x11, 0x60, 0, 0, 1, u8::try_from(block.len()).unwrap(), 0, 0]);
    message.extend(block);
    message.extend([3; 32]);
    message.extend(u16::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    // From DER, SEQUENCE of two integers, to two numbers of 48 bytes.
    let der = key.sign(&message).unwrap();
    let mut rest = &der[2..];
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        let digits: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
        message.extend(vec![0; 48 - digits.len()]);
        message.extend(digits);
        rest = after;
    }
    message
}

impl Vendor {
    fn new() -> Self {
        let mut leaf = params("made-up report key");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.custom_extensions.push(dice(fwid(&FIRMWARE)));
        Self { report_key: key(), leaf, device: authority("made-up device"), stranger: None, issuer: None }
    }

    /// Makes the chain and examines a report under its root.
    fn examine_report(self, report: Vec<u8>) -> Result<VerifiedDevice, GpuError> {
        let (root_key, device_key) = (key(), key());
        let root = authority("made-up root");
        let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
        let device = self.device.signed_by(&device_key, &Issuer::new(root, root_key)).unwrap();
        let signer = Issuer::new(self.issuer.map_or(self.device, authority), self.stranger.unwrap_or(device_key));
        let leaf = self.leaf.signed_by(&self.report_key, &signer).unwrap();
        let chain = Chain::new(vec![leaf.der().to_vec(), device.der().to_vec(), root_der.clone()])?;
        let evidence = DeviceEvidence { report, chain };
        let nvidia = evidence.examine(&NONCE, &GpuPolicy::genuine_device(), NOW);
        assert_eq!(nvidia, Err(GpuError::ForeignRoot), "none of this is NVIDIA's");
        evidence.examine_under(&root_der, &NONCE, &GpuPolicy::genuine_device(), NOW)
    }

    fn examine(self) -> Result<VerifiedDevice, GpuError> {
        let report = report(&self.report_key, Some(FIRMWARE));
        self.examine_report(report)
    }
}

#[test]
fn sound_evidence_of_another_vendor_is_sound_but_not_nvidias() {
    let device = Vendor::new().examine().unwrap();
    assert_eq!((device.report.measurement(1), device.name.as_str()), (Some(&[7; 48][..]), "made-up report key"));
    let vendor = Vendor::new();
    let without_firmware = report(&vendor.report_key, None);
    assert!(vendor.examine_report(without_firmware).is_ok());
}

#[test]
fn a_report_signed_by_another_key_is_refused() {
    let other = report(&key(), Some(FIRMWARE));
    assert_eq!(Vendor::new().examine_report(other), Err(GpuError::Signature));
}

#[test]
fn a_key_that_was_certified_for_other_firmware_is_refused() {
    let other = |content: Option<Vec<u8>>| {
        let mut vendor = Vendor::new();
        vendor.leaf.custom_extensions = content.map(dice).into_iter().collect();
        vendor.examine().unwrap_err()
    };
    assert!(matches!(other(Some(fwid(&[8; 48]))), GpuError::Firmware { .. }));
    assert!(matches!(other(None), GpuError::Firmware { .. }), "a certificate that names none");
    let several = [fwid(&FIRMWARE), fwid(&[8; 48])].concat();
    assert!(matches!(other(Some(several)), GpuError::Chain { index: 0, .. }));
    let mut cut = fwid(&FIRMWARE);
    cut.pop();
    assert!(matches!(other(Some(cut)), GpuError::Chain { index: 0, .. }));
}

#[test]
fn certificates_are_for_their_place_only() {
    let refused = |change: fn(&mut Vendor)| {
        let mut vendor = Vendor::new();
        change(&mut vendor);
        match vendor.examine() {
            Err(GpuError::Chain { index, .. } | GpuError::OutsideValidity { index, .. }) => Some(index),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|v| v.stranger = Some(key())), Some(0), "signed by somebody else");
    assert_eq!(refused(|v| v.issuer = Some("another")), Some(0), "by the right key under a wrong name");
    assert_eq!(refused(|v| v.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), Some(0), "an authority's key");
    assert_eq!(refused(|v| v.leaf.key_usages = vec![KeyUsagePurpose::KeyAgreement]), Some(0), "not for signing");
    assert_eq!(refused(|v| v.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign)), Some(0), "for certificates too");
    assert_eq!(refused(|v| v.leaf.key_usages.clear()), Some(0), "for nothing in particular");
    assert_eq!(refused(|v| v.device.is_ca = IsCa::NoCa), Some(1), "no authority");
    assert_eq!(refused(|v| v.device.key_usages = vec![KeyUsagePurpose::CrlSign]), Some(1), "not for certificates");
    let early = OffsetDateTime::from_unix_timestamp(1_799_999_999).unwrap();
    let late = OffsetDateTime::from_unix_timestamp(1_800_000_001).unwrap();
    let expired: [fn(&mut Vendor, OffsetDateTime); 2] = [|v, t| v.leaf.not_after = t, |v, t| v.device.not_after = t];
    for (index, change) in expired.into_iter().enumerate() {
        let mut vendor = Vendor::new();
        change(&mut vendor, early);
        assert!(matches!(vendor.examine(), Err(GpuError::OutsideValidity { index: i, .. }) if i == index));
    }
    let mut vendor = Vendor::new();
    vendor.leaf.not_before = late;
    assert!(matches!(vendor.examine(), Err(GpuError::OutsideValidity { index: 0, .. })));
}

#[test]
fn unknown_critical_extensions_and_other_curves_are_refused() {
    let mut vendor = Vendor::new();
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
    unknown.set_criticality(true);
    vendor.leaf.custom_extensions.push(unknown);
    assert!(matches!(vendor.examine(), Err(GpuError::Chain { index: 0, .. })));
    let mut vendor = Vendor::new();
    vendor.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(vendor.examine().is_ok(), "what is not critical is not for us");
    let mut vendor = Vendor::new();
    vendor.report_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let report = report(&key(), Some(FIRMWARE));
    assert!(matches!(vendor.examine_report(report), Err(GpuError::Chain { index: 0, .. })));
}

#[test]
fn measurements_have_their_numbers_in_order() {
    let report = report(&key(), None);
    // The first block's number stands behind the request and the response's head.
    assert!(Report::parse(&report).is_ok() && report[37 + 8] == 1);
    for index in [0, 2, 255] {
        let mut other = report.clone();
        other[37 + 8] = index;
        let refused = Report::parse(&other);
        assert!(matches!(refused, Err(GpuError::Field { field: "index of a measurement", .. })), "{refused:?}");
    }
}

#[test]
fn a_path_that_is_longer_than_its_authority_allows_is_refused() {
    let mut vendor = Vendor::new();
    vendor.device.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    assert!(vendor.examine().is_ok(), "no authority below the device's");
    let (top, middle, bottom) = (key(), key(), key());
    let root = authority("root");
    let root_der = root.self_signed(&top).unwrap().der().to_vec();
    let mut limited = authority("limited");
    limited.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let limited_der = limited.signed_by(&middle, &Issuer::new(root, top)).unwrap().der().to_vec();
    let device = authority("device");
    let device_der = device.signed_by(&bottom, &Issuer::new(limited, middle)).unwrap().der().to_vec();
    let vendor = Vendor::new();
    let leaf = vendor.leaf.signed_by(&vendor.report_key, &Issuer::new(device, bottom)).unwrap().der().to_vec();
    let chain = Chain::new(vec![leaf, device_der, limited_der, root_der.clone()]).unwrap();
    let evidence = DeviceEvidence { report: report(&vendor.report_key, Some(FIRMWARE)), chain };
    let refused = evidence.examine_under(&root_der, &NONCE, &GpuPolicy::genuine_device(), NOW);
    assert!(matches!(refused, Err(GpuError::Chain { index: 2, .. })), "{refused:?}");
}
