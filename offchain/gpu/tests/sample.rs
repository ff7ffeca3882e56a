//! Evidence of a real device: it verifies, and no altered copy of it does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use cocoon_gpu::*;
use cocoon_protocol::{Hash256, NodeKey, UnixSeconds};
use proptest::prelude::*;

const REPORT: &[u8] = include_bytes!("data/nvidia/hopper-report.bin");
const PEM: &[u8] = include_bytes!("data/nvidia/hopper-certificates.pem");
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

fn sample() -> DeviceEvidence {
    DeviceEvidence { report: REPORT.to_vec(), chain: Chain::from_pem(PEM).unwrap() }
}

fn asked() -> Hash256 {
    "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb".parse().unwrap()
}

fn one(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

#[test]
fn a_real_device_verifies_up_to_nvidias_root() {
    let device = sample().verify(&asked(), &GpuPolicy::genuine_device(), NOW).unwrap();
    let fields = &device.report.fields;
    assert_eq!((fields.driver_version.as_str(), fields.vbios_version.as_str()), ("550.90.07", "96.00.9f.00.01"));
    assert_eq!(device.name, "GH100 A01 GSP FMC LF");
    assert_eq!(device.report.measurements.len(), 64);
    assert!(device.report.measurements.iter().all(|m| m.kind == 1 && m.value.len() == 48));
    assert_eq!(hex::encode(&device.report.measurement(2).unwrap()[..10]), "8048dfd18fe229bf16eb");
    assert_eq!(fields.measurement_counts.len(), 64);
    assert_eq!(fields.driver_manifest(), "NV_GPU_DRIVER_GH100_550.90.07");
    assert_eq!(fields.vbios_manifest().unwrap(), "NV_GPU_VBIOS_1010_0200_882_96009F0001");
    assert!(device.rules.iter().all(|rule| rule.outcome == Ok(false)), "nothing was demanded, and that is said");
}

#[test]
fn every_flipped_bit_of_a_report_is_refused() {
    let (mut evidence, policy) = (sample(), GpuPolicy::genuine_device());
    for bit in 0..REPORT.len() * 8 {
        evidence.report[bit / 8] ^= 1 << (bit % 8);
        assert!(evidence.verify(&asked(), &policy, NOW).is_err(), "bit {bit}");
        evidence.report[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(evidence.verify(&asked(), &policy, NOW).is_ok(), "the copy is whole again");
}

#[test]
fn every_flipped_bit_of_a_certificate_is_refused() {
    let whole = sample();
    for index in 0..whole.chain.certificates().len() {
        let mut certificates = whole.chain.certificates().to_vec();
        for bit in 0..certificates[index].len() * 8 {
            certificates[index][bit / 8] ^= 1 << (bit % 8);
            let chain = Chain::new(certificates.clone()).unwrap();
            let altered = DeviceEvidence { report: REPORT.to_vec(), chain };
            assert!(altered.verify(&asked(), &GpuPolicy::genuine_device(), NOW).is_err(), "{index}, bit {bit}");
            certificates[index][bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn reports_and_chains_that_are_cut_off_or_longer_are_refused() {
    for cut in 0..REPORT.len() {
        assert!(Report::parse(&REPORT[..cut]).is_err(), "{cut} bytes");
    }
    let longer = [REPORT, &[0]].concat();
    assert!(Report::parse(&longer).is_err());
    assert!(matches!(Report::parse(&[0; MAX_REPORT + 1]), Err(GpuError::TooLarge { limit: MAX_REPORT, .. })));
    for cut in 1..PEM.len() {
        if let Ok(chain) = Chain::from_pem(&PEM[..cut]) {
            let evidence = DeviceEvidence { report: REPORT.to_vec(), chain };
            assert!(evidence.verify(&asked(), &GpuPolicy::genuine_device(), NOW).is_err(), "{cut} bytes");
        }
    }
    let mut filled = PEM.to_vec();
    filled.resize(MAX_CHAIN, 0);
    assert_eq!(Chain::from_pem(&filled).unwrap(), sample().chain, "a buffer's zeros are no certificate");
    filled.push(0);
    assert!(matches!(Chain::from_pem(&filled), Err(GpuError::TooLarge { limit: MAX_CHAIN, .. })));
}

#[test]
fn evidence_for_another_nonce_is_refused() {
    let other = Hash256([7; 32]);
    let refused = sample().verify(&other, &GpuPolicy::genuine_device(), NOW).unwrap_err();
    assert_eq!(refused, GpuError::Nonce { got: asked(), expected: other });
    let key = NodeKey::from_seed(&[1; 32]).public();
    assert_ne!(nonce(&[1; 48], &key), nonce(&[2; 48], &key), "another TLS key");
    assert_ne!(nonce(&[1; 48], &key), nonce(&[1; 48], &NodeKey::from_seed(&[2; 32]).public()), "another node");
}

#[test]
fn a_chain_must_be_whole_and_in_its_order() {
    let whole = sample().chain.certificates().to_vec();
    let verify = |certificates: Vec<Vec<u8>>| {
        let chain = Chain::new(certificates)?;
        DeviceEvidence { report: REPORT.to_vec(), chain }.verify(&asked(), &GpuPolicy::genuine_device(), NOW)
    };
    for gap in 0..whole.len() {
        let mut certificates = whole.clone();
        certificates.remove(gap);
        assert!(verify(certificates).is_err(), "without certificate {gap}");
        for other in gap + 1..whole.len() {
            let mut certificates = whole.clone();
            certificates.swap(gap, other);
            assert!(verify(certificates).is_err(), "{gap} and {other} swapped");
        }
    }
    let twice = [whole.clone(), vec![whole[4].clone()]].concat();
    assert!(matches!(verify(twice), Err(GpuError::MalformedCertificates { .. })));
    let early = sample().verify(&asked(), &GpuPolicy::genuine_device(), UnixSeconds(1_600_000_000));
    assert!(matches!(early, Err(GpuError::OutsideValidity { index: 0, .. })), "{early:?}");
}

#[test]
fn each_rule_of_a_policy_decides() {
    let genuine = GpuPolicy::genuine_device();
    let verdict = |policy: &GpuPolicy| sample().verify(&asked(), policy, NOW).map(|d| d.rules);
    let drivers = |v: &[&str]| GpuPolicy { drivers: Some(one(v)), ..genuine.clone() };
    assert!(verdict(&drivers(&["550.90.07"])).is_ok());
    assert!(matches!(verdict(&drivers(&["550.90.08"])), Err(GpuError::Driver { .. })));
    assert!(matches!(verdict(&drivers(&[])), Err(GpuError::Driver { .. })), "an empty list allows nothing");
    let vbioses = |v: &[&str]| GpuPolicy { vbioses: Some(one(v)), ..genuine.clone() };
    assert!(verdict(&vbioses(&["96.00.9f.00.01"])).is_ok());
    assert!(matches!(verdict(&vbioses(&["96.00.9f.00.02"])), Err(GpuError::Vbios { .. })));

    let revoked = |v: &[&str]| GpuPolicy { revocation: Revocation::Serials(one(v)), ..genuine.clone() };
    assert!(verdict(&revoked(&["00"])).is_ok());
    let root = "2d3670b1ca100411c1fec0e82a065b54";
    assert!(matches!(verdict(&revoked(&[root])), Err(GpuError::Revoked { index: 4, .. })));
    let leaf = "53C22BA15E5D68088282DA074ED9FB37AA585771";
    assert!(matches!(verdict(&revoked(&[leaf])), Err(GpuError::Revoked { index: 0, .. })), "in capitals");

    let value = hex::encode(Report::parse(REPORT).unwrap().measurement(2).unwrap());
    let measured = |index: u8, v: &str| {
        let values = BTreeMap::from([(index, one(&[v]))]);
        GpuPolicy { reference_measurements: ReferenceMeasurements::Values(values), ..genuine.clone() }
    };
    let rules = verdict(&measured(2, &value)).unwrap();
    assert_eq!(rules.iter().find(|r| r.rule == "reference_measurements").unwrap().outcome, Ok(true));
    for index in [3, 65] {
        assert!(matches!(verdict(&measured(index, &value)), Err(GpuError::Measurement { .. })), "{index}");
    }
}

#[test]
fn a_policy_says_what_it_leaves_open() {
    let text = r#"{"reference_measurements":"not_checked","revocation":{"serials":["00"]},"drivers":["550.90.07"]}"#;
    let policy: GpuPolicy = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), text);
    let text = r#"{"reference_measurements":{"values":{"2":["00"]}},"revocation":"not_checked"}"#;
    let policy: GpuPolicy = serde_json::from_str(text).unwrap();
    assert!(matches!(sample().verify(&asked(), &policy, NOW), Err(GpuError::Measurement { index: 2, .. })));
    for incomplete in [
        r#"{"revocation":"not_checked"}"#,
        r#"{"reference_measurements":"not_checked"}"#,
        r#"{"reference_measurements":"not_checked","revocation":"not_checked","driver":["1"]}"#,
    ] {
        assert!(serde_json::from_str::<GpuPolicy>(incomplete).is_err(), "{incomplete}");
    }
}

#[test]
fn a_bundle_is_bound_to_the_digest_in_the_claims() {
    let evidence = GpuEvidence::new(vec![sample()]).unwrap();
    let (encoded, digest) = (evidence.encode(), evidence.digest());
    assert_eq!(GpuEvidence::decode(&encoded).unwrap(), evidence);
    let policy = GpuPolicy::genuine_device();
    assert_eq!(evidence.verify(&digest, &asked(), &policy, NOW).unwrap().len(), 1);
    let other = Hash256([0; 32]);
    let refused = evidence.verify(&other, &asked(), &policy, NOW).unwrap_err();
    assert_eq!(refused, GpuError::Digest { got: digest, expected: other });

    let twice = GpuEvidence::new(vec![sample(), sample()]).unwrap();
    let refused = twice.verify(&twice.digest(), &asked(), &policy, NOW).unwrap_err();
    assert_eq!(refused, GpuError::SameDevice { first: 0, second: 1 }, "one device does not count as two");
    assert!(GpuEvidence::new(vec![]).is_err());
    assert!(GpuEvidence::new(vec![sample(); MAX_DEVICES + 1]).is_err());

    // One bit of each byte, another one each time: the bytes inside are covered bit by bit above.
    for byte in 0..encoded.len() {
        let mut altered = encoded.clone();
        altered[byte] ^= 1 << (byte % 8);
        if let Ok(other) = GpuEvidence::decode(&altered) {
            assert_ne!(other.digest(), digest, "byte {byte}");
        }
    }
    for cut in 0..encoded.len() {
        assert!(GpuEvidence::decode(&encoded[..cut]).is_err());
    }
    assert!(GpuEvidence::decode(&[encoded.as_slice(), &[0]].concat()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = Report::parse(&bytes);
        let _ = GpuEvidence::decode(&bytes);
        let _ = Chain::from_pem(&bytes);
        let chain = Chain::new(vec![bytes.clone(), bytes.clone(), NVIDIA_ROOT_DER.to_vec()]);
        if let Ok(chain) = chain {
            let evidence = DeviceEvidence { report: REPORT.to_vec(), chain };
            prop_assert!(evidence.verify(&asked(), &GpuPolicy::genuine_device(), NOW).is_err());
        }
    }

    #[test]
    fn no_splice_of_the_report_is_accepted(
        at in 0..REPORT.len(), remove in 0..64usize, insert in proptest::collection::vec(any::<u8>(), 0..64)
    ) {
        let mut report = REPORT.to_vec();
        report.splice(at..(at + remove).min(REPORT.len()), insert);
        let changed = report != REPORT;
        let evidence = DeviceEvidence { report, ..sample() };
        prop_assert_eq!(evidence.verify(&asked(), &GpuPolicy::genuine_device(), NOW).is_err(), changed);
    }

    #[test]
    fn no_splice_of_a_certificate_is_accepted(
        index in 0..5usize, at in 0..700usize, remove in 0..32usize, insert in proptest::collection::vec(any::<u8>(), 0..32)
    ) {
        let mut certificates = sample().chain.certificates().to_vec();
        let certificate = &mut certificates[index];
        let (from, to) = (at.min(certificate.len()), (at + remove).min(certificate.len()));
        certificate.splice(from..to, insert);
        let changed = certificates != sample().chain.certificates();
        let evidence = DeviceEvidence { report: REPORT.to_vec(), chain: Chain::new(certificates).unwrap() };
        prop_assert_eq!(evidence.verify(&asked(), &GpuPolicy::genuine_device(), NOW).is_err(), changed);
    }
}
