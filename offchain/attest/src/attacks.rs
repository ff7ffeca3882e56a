//! The attestation attacks of docs, one test each, against the whole verifier.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};
use rcgen::{KeyPair, PKCS_ED25519};

use crate::sim::{Publication, QuoteVersion, SIM_FMSPC, SIM_TCB_EVALUATION, SimPlatform, SimQuoter, SimTcb, Simulator};
use crate::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
/// A time at which the committed Intel collateral is valid.
const INTEL_NOW: UnixSeconds = UnixSeconds(1_751_619_600);
const DAY: u32 = 86_400;

/// A vendor, a worker's trust domain, and a verifier that accepts exactly that.
struct World {
    vendor: Arc<Simulator>,
    measurements: Measurements,
    node_key: NodeKey,
    clock: Arc<AtomicU32>,
    policy: PolicyHandle,
    verifier: Verifier,
}

impl World {
    fn new() -> Self {
        let vendor = Arc::new(Simulator::from_seed(&[1; 32]).unwrap());
        Self::with_collateral(vendor.clone(), vendor)
    }

    fn with_collateral(vendor: Arc<Simulator>, collateral: Arc<dyn CollateralProvider>) -> Self {
        let measurements = Measurements::simulated(b"worker");
        let mut policy = Policy::new(GlobalId::DEVNET);
        policy.allow_root(vendor.root());
        policy.allow_image(Role::Worker, image_id(&measurements), ImageWindow::ALWAYS);
        let policy = PolicyHandle::new(policy);
        let clock = Arc::new(AtomicU32::new(NOW.0));
        let time = clock.clone();
        let verifier =
            Verifier::new(policy.clone(), collateral, Arc::new(move || UnixSeconds(time.load(Ordering::Relaxed))));
        Self { vendor, measurements, node_key: NodeKey::from_seed(&[2; 32]), clock, policy, verifier }
    }

    fn change(&self, change: impl FnOnce(&mut Policy)) {
        let mut policy = (*self.policy.current()).clone();
        change(&mut policy);
        self.policy.update(policy);
    }

    fn quoter(&self) -> SimQuoter {
        self.vendor.platform(0).unwrap().quoter(self.measurements.clone())
    }

    fn issue_with(&self, quoter: &dyn Quoter) -> Identity {
        issue_identity(quoter, &self.node_key, &IdentityRequest::new(Role::Worker, GlobalId::DEVNET, NOW)).unwrap()
    }

    fn issue(&self) -> Identity {
        self.issue_with(&self.quoter())
    }

    fn issue_on(&self, platform: SimPlatform) -> Identity {
        self.issue_with(&platform.quoter(self.measurements.clone()))
    }

    fn verify(&self, identity: &Identity) -> Result<PeerIdentity, AttestError> {
        self.verifier.verify(identity.certificate(), &[Role::Worker])
    }

    /// Evidence of the given parts in a certificate over a fresh key.
    fn forge(&self, claims: &Claims, quote: &[u8]) -> Vec<u8> {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        identity::certificate(&key, claims, evidence::encode(quote, &claims.encode())).unwrap()
    }

    /// Evidence whose quote is changed by `change` after the trust domain had it signed.
    fn tamper(&self, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let claims = self.claims_for(&key);
        let mut quote = self.quoter().quote(&report_data(&claims.encode())).unwrap();
        change(&mut quote);
        identity::certificate(&key, &claims, evidence::encode(&quote, &claims.encode())).unwrap()
    }

    fn claims_for(&self, key: &KeyPair) -> Claims {
        use rcgen::PublicKeyData;
        use sha2::{Digest, Sha384};
        let spki_sha384 = Sha384::digest(key.subject_public_key_info()).into();
        Claims { spki_sha384, ..self.issue().claims().clone() }
    }
}

fn quote_of(identity: &Identity) -> Vec<u8> {
    evidence::Evidence::from_certificate(identity.certificate()).unwrap().quote.unwrap().raw
}

fn rejected(error: AttestError, why: &str) {
    assert!(matches!(&error, AttestError::QuoteRejected { why: text } if text.contains(why)), "{error}");
}

#[test]
fn an_honest_node_is_recognised() {
    let world = World::new();
    let peer = world.verify(&world.issue()).unwrap();
    let domain = peer.domain.unwrap();
    assert_eq!(domain.image, image_id(&world.measurements));
    assert_eq!((peer.role, peer.network), (Role::Worker, GlobalId::DEVNET));
    assert_eq!(peer.node_key, world.node_key.public());
    assert_eq!(domain.platform, world.vendor.platform(0).unwrap().id());
    assert_eq!(domain.root, world.vendor.root());
    assert_eq!((domain.tcb_status, domain.tcb_evaluation), (TcbStatus::UpToDate, SIM_TCB_EVALUATION));
    assert_eq!(peer.valid_until, NOW.plus(3600));
}

#[test]
fn a_seed_gives_the_same_vendor_and_the_same_quotes() {
    let (a, b) = (Simulator::from_seed(&[9; 32]).unwrap(), Simulator::from_seed(&[9; 32]).unwrap());
    assert_eq!(a.root(), b.root());
    assert_ne!(a.root(), Simulator::from_seed(&[8; 32]).unwrap().root());
    let publication = Publication::on_day_of(NOW);
    assert_eq!(
        a.publish(&publication).unwrap().to_json().unwrap(),
        b.publish(&publication).unwrap().to_json().unwrap()
    );
    let quote = |v: &Simulator| v.platform(3).unwrap().quoter(Measurements::simulated(b"x")).quote(&[5; 64]).unwrap();
    assert_eq!(quote(&a), quote(&b));
    let again = Collateral::from_json(&a.publish(&publication).unwrap().to_json().unwrap()).unwrap();
    assert_eq!(again.root(), a.root());
}

#[test]
fn quotes_of_every_version_are_recognised_and_of_the_same_image() {
    let world = World::new();
    let mut seen = vec![];
    for version in [QuoteVersion::V4, QuoteVersion::V5, QuoteVersion::V5Td15] {
        let quoter = world.quoter().version(version);
        let identity = world.issue_with(&quoter);
        seen.push(world.verify(&identity).unwrap().domain.unwrap().image);
        let fresh = quoter.quote(&[9; 64]).unwrap();
        let verify =
            |quote: &[u8], data| world.verifier.verify_fresh(identity.certificate(), &[Role::Worker], quote, data);
        verify(&fresh, &[9; 64]).unwrap();
        assert_eq!(verify(&fresh, &[8; 64]), Err(AttestError::ReportDataMismatch));
        // The report data without a signature that covers them.
        let mut forged = fresh.clone();
        let position = forged.windows(64).position(|w| w == [9; 64]).unwrap();
        forged[position..position + 64].fill(8);
        assert!(matches!(verify(&forged, &[8; 64]), Err(AttestError::QuoteRejected { .. })), "{version:?}");
        let other = world.vendor.platform(5).unwrap().quoter(world.measurements.clone()).version(version);
        let elsewhere = verify(&other.quote(&[9; 64]).unwrap(), &[9; 64]);
        assert!(matches!(elsewhere, Err(AttestError::OtherDomain { .. })), "{version:?}");
    }
    assert_eq!(world.verifier.stats().refreshed, 6, "one signature each");
    seen.dedup();
    assert_eq!(seen.len(), 1);
}

#[test]
fn attack_59_a_quote_taken_from_another_certificate() {
    let world = World::new();
    let victim = world.issue();
    // The victim's evidence whole, under the thief's TLS key.
    let whole = world.forge(victim.claims(), &quote_of(&victim));
    assert_eq!(world.verifier.verify(&whole, &[Role::Worker]), Err(AttestError::KeyNotBound));
    // The victim's quote with claims that name the thief's TLS key.
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let claims = world.claims_for(&key);
    let evidence = evidence::encode(&quote_of(&victim), &claims.encode());
    let certificate = identity::certificate(&key, &claims, evidence).unwrap();
    assert_eq!(world.verifier.verify(&certificate, &[Role::Worker]), Err(AttestError::ReportDataMismatch));
    assert_eq!(world.verifier.stats().verified, 0, "no signature was worth checking");
}

#[test]
fn attack_60_an_image_that_the_registry_does_not_list() {
    let world = World::new();
    let mut other = world.measurements.clone();
    other.rtmr3[0] ^= 1;
    let stranger = world.issue_with(&world.vendor.platform(0).unwrap().quoter(other.clone()));
    let error = world.verify(&stranger).unwrap_err();
    assert_eq!(error, AttestError::ImageNotApproved { image: image_id(&other), role: Role::Worker });
    // An image is approved for one role only.
    world.change(|p| p.allow_image(Role::Proxy, image_id(&other), ImageWindow::ALWAYS));
    assert!(matches!(world.verify(&stranger), Err(AttestError::ImageNotApproved { .. })));
}

#[test]
fn attack_60_an_image_revoked_after_it_was_verified_and_cached() {
    let world = World::new();
    let identity = world.issue();
    let peer = world.verify(&identity).unwrap();
    world.change(|p| p.revoke_image(Role::Worker, peer.domain.unwrap().image));
    assert!(matches!(world.verify(&identity), Err(AttestError::ImageNotApproved { .. })));
    assert!(matches!(world.verifier.recheck(&peer), Err(AttestError::ImageNotApproved { .. })));
    assert_eq!(world.verifier.stats().cached, 1, "the second answer came from the cache and was still refused");
}

#[test]
fn attack_48_an_image_before_its_time_and_after_its_sunset() {
    let world = World::new();
    let identity = world.issue();
    let image = image_id(&world.measurements);
    let window = |active_from, sunset| ImageWindow { active_from, sunset };
    for (window, fine) in [
        (window(NOW.plus(1), None), false),
        (window(NOW, None), true),
        (window(NOW, Some(NOW)), false),
        (window(NOW, Some(NOW.plus(1))), true),
    ] {
        world.change(|p| p.allow_image(Role::Worker, image, window));
        let result = world.verify(&identity);
        assert_eq!(result.is_ok(), fine, "{window:?}");
        assert!(fine || matches!(result, Err(AttestError::ImageNotActive { .. })));
    }
}

#[test]
fn attack_61_a_debug_trust_domain_even_when_its_image_is_approved() {
    let mut world = World::new();
    world.measurements.set(TdAttribute::Debug, true);
    world.change(|p| p.allow_image(Role::Worker, image_id(&world.measurements), ImageWindow::ALWAYS));
    assert_eq!(world.verify(&world.issue()), Err(AttestError::DebugTd));
}

#[test]
fn attack_62_sept_ve_disable_off_even_when_its_image_is_approved() {
    let mut world = World::new();
    world.measurements.set(TdAttribute::SeptVeDisable, false);
    world.change(|p| p.allow_image(Role::Worker, image_id(&world.measurements), ImageWindow::ALWAYS));
    assert_eq!(world.verify(&world.issue()), Err(AttestError::SeptVeDisableOff));
}

#[test]
fn attack_63_outdated_and_revoked_firmware() {
    let world = World::new();
    let outdated = world.issue_on(world.vendor.platform_with(0, SimTcb::Outdated).unwrap());
    rejected(world.verify(&outdated).unwrap_err(), "OutOfDate");
    let revoked = world.issue_on(world.vendor.platform_with(0, SimTcb::Revoked).unwrap());
    rejected(world.verify(&revoked).unwrap_err(), "Revoked");
}

#[test]
fn attack_63_a_revoked_platform_certificate() {
    let world = World::new();
    let identity = world.issue();
    world.verify(&identity).unwrap();
    world.vendor.revoke_platform(0);
    // Remembered for a while, then refused; another machine is unaffected.
    world.clock.fetch_add(601, Ordering::Relaxed);
    rejected(world.verify(&identity).unwrap_err(), "Revoked");
    world.verify(&world.issue_on(world.vendor.platform(1).unwrap())).unwrap();
}

#[test]
fn attack_63_collateral_below_the_registrys_minimum() {
    let world = World::new();
    let identity = world.issue();
    world.change(|p| p.require_tcb_evaluation(SIM_TCB_EVALUATION));
    let peer = world.verify(&identity).unwrap();
    world.change(|p| p.require_tcb_evaluation(SIM_TCB_EVALUATION + 1));
    let refused = AttestError::TcbEvaluationTooLow { got: SIM_TCB_EVALUATION, least: SIM_TCB_EVALUATION + 1 };
    assert_eq!(world.verify(&identity), Err(refused.clone()));
    assert_eq!(world.verifier.recheck(&peer), Err(refused));
}

#[test]
fn attack_64_missing_expired_and_future_collateral() {
    let vendor = Arc::new(Simulator::from_seed(&[1; 32]).unwrap());
    let store = Arc::new(CollateralStore::default());
    let world = World::with_collateral(vendor.clone(), store.clone());
    let identity = world.issue();
    assert_eq!(world.verify(&identity), Err(AttestError::NoCollateral { fmspc: SIM_FMSPC }));
    let mut publication = Publication::on_day_of(UnixSeconds(NOW.0 - 31 * DAY));
    store.put(SIM_FMSPC, vendor.publish(&publication).unwrap());
    assert!(matches!(world.verify(&identity), Err(AttestError::CollateralOutOfDate { .. })));
    publication.issued = NOW.plus(1);
    store.put(SIM_FMSPC, vendor.publish(&publication).unwrap());
    assert!(matches!(world.verify(&identity), Err(AttestError::CollateralOutOfDate { .. })));
    // Evidence speaks no longer than its collateral.
    publication = Publication { issued: NOW, lifetime: 60, tcb_evaluation: 1 };
    store.put(SIM_FMSPC, vendor.publish(&publication).unwrap());
    assert_eq!(world.verify(&identity).unwrap().valid_until, NOW.plus(59));
    world.clock.fetch_add(61, Ordering::Relaxed);
    assert!(
        matches!(world.verify(&identity), Err(AttestError::CollateralOutOfDate { .. })),
        "not from the cache either"
    );
}

#[test]
fn attack_65_a_banned_platform() {
    let world = World::new();
    let identity = world.issue();
    let peer = world.verify(&identity).unwrap();
    world.change(|p| p.ban_platform(peer.domain.unwrap().platform));
    let refused = AttestError::PlatformBanned { platform: peer.domain.unwrap().platform };
    assert_eq!(world.verify(&identity), Err(refused.clone()));
    assert_eq!(world.verifier.recheck(&peer), Err(refused));
    world.verify(&world.issue_on(world.vendor.platform(1).unwrap())).unwrap();
}

#[test]
fn attack_66_simulated_platforms_never_count_on_mainnet_and_testnet() {
    let vendor = Arc::new(Simulator::from_seed(&[1; 32]).unwrap());
    let measurements = Measurements::simulated(b"worker");
    for network in [GlobalId::MAINNET, GlobalId::TESTNET] {
        // A registry that lists the simulated root by mistake or malice.
        let mut policy = Policy::new(network);
        policy.allow_root(vendor.root());
        policy.allow_image(Role::Worker, image_id(&measurements), ImageWindow::ALWAYS);
        assert!(policy.accepts_root(RootHash::intel()) && !policy.accepts_root(vendor.root()));
        let verifier = Verifier::new(PolicyHandle::new(policy), vendor.clone(), Arc::new(|| NOW));
        let quoter = vendor.platform(0).unwrap().quoter(measurements.clone());
        let request = IdentityRequest::new(Role::Worker, network, NOW);
        let identity = issue_identity(&quoter, &NodeKey::from_seed(&[2; 32]), &request).unwrap();
        assert_eq!(
            verifier.verify(identity.certificate(), &[Role::Worker]),
            Err(AttestError::RootNotAllowed { root: vendor.root(), network })
        );
    }
}

#[test]
fn attack_66_another_vendors_root_and_collateral_under_a_trusted_name() {
    let world = World::new();
    let stranger = Arc::new(Simulator::from_seed(&[7; 32]).unwrap());
    // The stranger's machine: the collateral that we trust does not certify it.
    let identity = world.issue_on(stranger.platform(0).unwrap());
    assert!(matches!(world.verify(&identity), Err(AttestError::QuoteRejected { .. })));
    // The stranger's machine with the stranger's collateral: its root is not in the policy.
    let fooled = World::with_collateral(world.vendor.clone(), stranger.clone());
    let error = fooled.verify(&fooled.issue_on(stranger.platform(0).unwrap())).unwrap_err();
    assert_eq!(error, AttestError::RootNotAllowed { root: stranger.root(), network: GlobalId::DEVNET });
}

fn intel_quote() -> (Vec<u8>, [u8; 64]) {
    let mut quote = include_bytes!("../tests/data/intel/tdx_quote").to_vec();
    // The platform padded it with zeros.
    quote.truncate(evidence::exact_length(&quote).unwrap());
    let report_data = quote[48 + 520..48 + 584].try_into().unwrap();
    (quote, report_data)
}

fn intel_verifier(policy: Policy, now: UnixSeconds) -> Verifier {
    let collateral = Collateral::from_json(include_bytes!("../tests/data/intel/tdx_quote_collateral.json")).unwrap();
    let store = CollateralStore::default();
    store.put(Fmspc([0xb0, 0xc0, 0x6f, 0, 0, 0]), collateral);
    Verifier::new(PolicyHandle::new(policy), Arc::new(store), Arc::new(move || now))
}

#[test]
fn a_real_quote_verifies_under_intels_root_with_the_same_verifier() {
    let (quote, report_data) = intel_quote();
    for network in [GlobalId::MAINNET, GlobalId::TESTNET] {
        let verified = intel_verifier(Policy::new(network), INTEL_NOW).verify_quote(&quote, &report_data).unwrap();
        assert_eq!((verified.root, verified.tcb_status), (RootHash::intel(), TcbStatus::UpToDate));
        assert_eq!(verified.tcb_evaluation, 17);
    }
    let late = intel_verifier(Policy::new(GlobalId::MAINNET), INTEL_NOW.plus(60 * DAY));
    assert!(
        matches!(late.verify_quote(&quote, &report_data), Err(AttestError::CollateralOutOfDate { .. })),
        "attack 64"
    );
}

#[test]
fn attack_66_a_real_quote_where_only_a_simulated_root_is_accepted() {
    let (quote, report_data) = intel_quote();
    let mut policy = Policy::new(GlobalId::DEVNET);
    policy.allow_root(Simulator::from_seed(&[1; 32]).unwrap().root());
    let error = intel_verifier(policy, INTEL_NOW).verify_quote(&quote, &report_data).unwrap_err();
    assert_eq!(error, AttestError::RootNotAllowed { root: RootHash::intel(), network: GlobalId::DEVNET });
}

#[test]
fn attack_70_wrong_role_wrong_network_no_evidence() {
    let world = World::new();
    let identity = world.issue();
    assert_eq!(
        world.verifier.verify(identity.certificate(), &[Role::Proxy]),
        Err(AttestError::WrongRole { got: Role::Worker, expected: vec![Role::Proxy] })
    );
    let request = IdentityRequest::new(Role::Worker, GlobalId(7), NOW);
    let foreign = issue_identity(&world.quoter(), &world.node_key, &request).unwrap();
    assert_eq!(world.verify(&foreign), Err(AttestError::WrongNetwork { got: GlobalId(7), expected: GlobalId::DEVNET }));
    let plain = rcgen::generate_simple_self_signed(vec!["node.invalid".into()]).unwrap();
    assert_eq!(world.verifier.verify(plain.cert.der(), &[Role::Worker]), Err(AttestError::NoEvidence));
}

#[test]
fn attack_71_truncated_and_bit_flipped_evidence_is_an_error() {
    let world = World::new();
    let certificate = world.issue().certificate().to_vec();
    for cut in (0..certificate.len()).step_by(7) {
        assert!(world.verifier.verify(&certificate[..cut], &[Role::Worker]).is_err(), "cut at {cut}");
    }
    let mut oversized = certificate.clone();
    oversized.resize(MAX_CERTIFICATE + 1, 0);
    let refused = AttestError::CertificateTooLarge { size: MAX_CERTIFICATE + 1, limit: MAX_CERTIFICATE };
    assert_eq!(world.verifier.verify(&oversized, &[Role::Worker]), Err(refused));
    let mut trailing = certificate.clone();
    trailing.push(0);
    let error = world.verifier.verify(&trailing, &[Role::Worker]).unwrap_err();
    assert!(matches!(error, AttestError::MalformedCertificate { .. }));
    assert_eq!(world.verifier.stats().verified, 0);

    // The quote itself, behind the cheap checks: what still verifies says the same thing.
    let report_data = [5; 64];
    let quote = world.quoter().quote(&report_data).unwrap();
    let honest = world.verifier.verify_quote(&quote, &report_data).unwrap();
    for cut in (0..quote.len()).step_by(13) {
        assert!(world.verifier.verify_quote(&quote[..cut], &report_data).is_err());
    }
    for byte in (0..quote.len()).step_by(11) {
        let mut flipped = quote.clone();
        flipped[byte] ^= 1 << (byte % 8);
        if let Ok(verified) = world.verifier.verify_quote(&flipped, &report_data) {
            assert_eq!(verified, honest, "byte {byte}");
            assert!(byte >= 632, "header and report are signed");
        }
    }
}

#[test]
fn attack_71_length_fields_that_lie() {
    let world = World::new();
    for at in [632, 632 + 4 + 128 + 2, 632 + 4 + 128 + 6 + 384 + 64, 632 + 4 + 128 + 6 + 384 + 64 + 2 + 32 + 2] {
        for value in [0u32, 1, 0xffff, 0x7fff_ffff, u32::MAX] {
            let certificate = world.tamper(|quote| quote[at..at + 4].copy_from_slice(&value.to_le_bytes()));
            assert!(world.verifier.verify(&certificate, &[Role::Worker]).is_err(), "{value} at {at}");
        }
    }
}

#[test]
fn attack_72_bytes_after_the_quote_are_refused() {
    let world = World::new();
    let certificate = world.tamper(|quote| quote.extend([0; 8]));
    let error = world.verifier.verify(&certificate, &[Role::Worker]).unwrap_err();
    assert!(matches!(&error, AttestError::MalformedQuote { why } if why.contains("8 bytes after")), "{error}");
}

#[test]
fn attack_72_the_other_valid_signature_of_a_quote_is_the_same_identity() {
    use p256::ecdsa::Signature;
    let world = World::new();
    let honest = world.verify(&world.issue()).unwrap();
    // (r, -s) is a valid signature wherever (r, s) is: anybody can write the quote in other bytes.
    let varied = world.tamper(|quote| {
        let signature = Signature::from_slice(&quote[636..700]).unwrap();
        let (r, s) = signature.split_scalars();
        quote[636..700].copy_from_slice(&Signature::from_scalars(r, -s).unwrap().to_bytes());
    });
    assert_eq!(world.verifier.verify(&varied, &[Role::Worker]).unwrap(), honest);
}

#[test]
fn attack_73_a_quoting_enclave_that_the_vendor_did_not_sign() {
    let world = World::new();
    let rogue = world.vendor.platform(0).unwrap().with_rogue_quoting_enclave();
    rejected(world.verify(&world.issue_on(rogue)).unwrap_err(), "MRSIGNER");
}

#[test]
fn attack_74_rolling_the_clock_back_revives_nothing() {
    let world = World::new();
    let identity = world.issue();
    world.verify(&identity).unwrap();
    world.clock.store(NOW.0 + 3601, Ordering::Relaxed);
    assert!(matches!(world.verify(&identity), Err(AttestError::OutsideWindow { .. })));
    world.clock.store(NOW.0, Ordering::Relaxed);
    assert!(matches!(world.verify(&identity), Err(AttestError::OutsideWindow { .. })));
}

#[test]
fn a_window_longer_than_a_day_is_refused_on_both_sides() {
    let world = World::new();
    let request = IdentityRequest { lifetime: DAY, ..IdentityRequest::new(Role::Worker, GlobalId::DEVNET, NOW) };
    let error = issue_identity(&world.quoter(), &world.node_key, &request).unwrap_err();
    assert!(matches!(error, IssueError::LifetimeTooLong { .. }));
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let claims = Claims { not_after: NOW.plus(DAY), ..world.claims_for(&key) };
    let quote = world.quoter().quote(&report_data(&claims.encode())).unwrap();
    let certificate = identity::certificate(&key, &claims, evidence::encode(&quote, &claims.encode())).unwrap();
    assert!(matches!(world.verifier.verify(&certificate, &[Role::Worker]), Err(AttestError::WindowTooLong { .. })));
}

#[test]
fn repeated_connections_cost_one_verification() {
    let world = World::new();
    let identity = world.issue();
    for _ in 0..10 {
        world.verify(&identity).unwrap();
    }
    assert_eq!(world.verifier.stats(), VerifierStats { verified: 1, cached: 9, refreshed: 0 });
}

#[test]
fn attack_88_an_identity_prints_no_secret() {
    let identity = World::new().issue();
    let printed = format!("{identity:?}");
    assert!(!printed.contains(&hex::encode(&identity.tls_key()[..16])) && !printed.contains("tls_key"), "{printed}");
}
