//! A verifier that reaches no collateral service, and peers that hand theirs over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};
use dcap_qvl::QuoteCollateralV3;

use crate::sim::{Publication, SIM_FMSPC, SIM_TCB_EVALUATION, SimPlatform, SimTcb, Simulator};
use crate::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const DAY: u32 = 86_400;

/// A verifier with a store that nobody fills, and a worker's certificate.
struct World {
    vendor: Simulator,
    measurements: Measurements,
    clock: Arc<AtomicU32>,
    policy: PolicyHandle,
    store: Arc<CollateralStore>,
    verifier: Verifier,
}

impl World {
    fn new() -> Self {
        let vendor = Simulator::from_seed(&[1; 32]).unwrap();
        let measurements = Measurements::simulated(b"worker");
        let mut policy = Policy::new(GlobalId::DEVNET);
        policy.allow_root(vendor.root());
        policy.allow_image(Role::Worker, image_id(&measurements), ImageWindow::ALWAYS);
        let policy = PolicyHandle::new(policy);
        let (clock, store) = (Arc::new(AtomicU32::new(NOW.0)), Arc::new(CollateralStore::default()));
        let time = clock.clone();
        let now = Arc::new(move || UnixSeconds(time.load(Ordering::Relaxed)));
        let verifier = Verifier::new(policy.clone(), store.clone(), now);
        Self { vendor, measurements, clock, policy, store, verifier }
    }

    fn platform(&self, index: u32) -> SimPlatform {
        self.vendor.platform(index).unwrap()
    }

    fn certificate(&self, platform: &SimPlatform) -> Vec<u8> {
        let now = UnixSeconds(self.clock.load(Ordering::Relaxed));
        let request = IdentityRequest::new(Role::Worker, GlobalId::DEVNET, now);
        let quoter = platform.quoter(self.measurements.clone());
        issue_identity(&quoter, &NodeKey::from_seed(&[2; 32]), &request).unwrap().certificate().to_vec()
    }

    fn publish(&self, issued: UnixSeconds, tcb_evaluation: u32) -> Collateral {
        let publication = Publication { issued, tcb_evaluation, ..Publication::on_day_of(NOW) };
        self.vendor.publish(&publication).unwrap()
    }

    /// What the vendor publishes today.
    fn today(&self) -> Collateral {
        self.publish(NOW, SIM_TCB_EVALUATION)
    }

    fn verify(&self, certificate: &[u8]) -> Result<PeerIdentity, AttestError> {
        self.verifier.verify(certificate, &[Role::Worker])
    }

    fn stapled(&self, certificate: &[u8], staple: &Collateral) -> Result<PeerIdentity, AttestError> {
        self.verifier.verify_stapled(certificate, &staple.to_staple(), &[Role::Worker])
    }

    fn signatures(&self) -> u64 {
        self.verifier.stats().verified
    }
}

/// The same parts with some of them changed.
fn altered(collateral: &Collateral, change: impl FnOnce(&mut QuoteCollateralV3)) -> Collateral {
    let mut data = collateral.data().clone();
    change(&mut data);
    Collateral::new(data).unwrap()
}

#[test]
fn a_verifier_without_a_network_accepts_a_peer_with_a_staple() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    assert_eq!(world.verify(&certificate), Err(AttestError::NoCollateral { fmspc: SIM_FMSPC }), "attack 64");
    let peer = world.stapled(&certificate, &world.today()).unwrap();
    assert_eq!(peer.domain.unwrap().platform, world.platform(0).id());
    assert_eq!(peer.valid_until, NOW.plus(3600));
    // Known from now on: for this certificate, for the fresh quotes on its links, for other machines of the model.
    assert_eq!(world.verify(&certificate).unwrap(), peer);
    assert_eq!(world.signatures(), 1);
    world.verify(&world.certificate(&world.platform(1))).unwrap();
    assert!(world.verifier.collateral(&certificate).is_ok(), "and can be handed on");
    assert_eq!(world.verifier.collateral_for(SIM_FMSPC).unwrap().to_staple(), world.today().to_staple());
}

#[test]
fn a_staple_is_not_looked_at_where_the_verifier_has_its_own() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    world.store.put(SIM_FMSPC, world.today());
    let peer = world.verifier.verify_stapled(&certificate, b"nonsense", &[Role::Worker]).unwrap();
    assert_eq!(peer.domain.unwrap().tcb_evaluation, SIM_TCB_EVALUATION);
}

#[test]
fn attack_63_a_staple_from_before_a_revocation_does_not_hide_it_from_who_knows_better() {
    let world = World::new();
    let (certificate, before) = (world.certificate(&world.platform(0)), world.publish(NOW, SIM_TCB_EVALUATION));
    world.vendor.revoke_platform(0);
    let revoked =
        |error| assert!(matches!(&error, AttestError::QuoteRejected { why } if why.contains("Revoked")), "{error}");
    // The peer's own, as it is now: refused by the signed list of revocations.
    revoked(world.stapled(&certificate, &world.today()).unwrap_err());
    assert!(world.verifier.collateral_for(SIM_FMSPC).is_none(), "what has verified nothing is not kept");
    // Our own knows of the revocation: the staple is not even read.
    world.store.put(SIM_FMSPC, world.today());
    revoked(world.stapled(&certificate, &before).unwrap_err());
    // Our own has run out, and is still newer than the staple, if only in the list of revocations.
    let list = altered(&before, |parts| parts.pck_crl = world.publish(NOW.plus(1), 1).data().pck_crl.clone());
    let expired = altered(&world.publish(UnixSeconds(NOW.0 - 31 * DAY), SIM_TCB_EVALUATION), |parts| {
        parts.pck_crl = list.data().pck_crl.clone();
    });
    world.store.put(SIM_FMSPC, expired);
    assert_eq!(world.stapled(&certificate, &before), Err(AttestError::StapleOlder { fmspc: SIM_FMSPC }));
    revoked(world.stapled(&certificate, &list).unwrap_err());
}

#[test]
fn attack_63_a_staple_from_before_a_tcb_recovery_falls_below_the_registrys_minimum() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    let policy = |least| {
        let mut policy = (*world.policy.current()).clone();
        policy.require_tcb_evaluation(least);
        world.policy.update(policy);
    };
    policy(SIM_TCB_EVALUATION + 1);
    let refused = AttestError::TcbEvaluationTooLow { got: SIM_TCB_EVALUATION, least: SIM_TCB_EVALUATION + 1 };
    assert_eq!(world.stapled(&certificate, &world.today()), Err(refused.clone()));
    assert_eq!(world.signatures(), 0, "the number is looked at first");
    // Whoever lies about the number breaks the signature over it.
    let lie = altered(&world.today(), |parts| {
        let number = |n: u32| format!("\"tcbEvaluationDataNumber\":{n}");
        parts.tcb_info = parts.tcb_info.replace(&number(SIM_TCB_EVALUATION), &number(SIM_TCB_EVALUATION + 1));
    });
    assert_eq!(lie.evaluation(), Some(SIM_TCB_EVALUATION + 1));
    let error = world.stapled(&certificate, &lie).unwrap_err();
    assert!(matches!(&error, AttestError::QuoteRejected { why } if why.contains("Signature")), "{error}");
    // A newer one is taken in place of what was learned or fetched before, also for certificates that were verified with that.
    policy(SIM_TCB_EVALUATION);
    world.store.put(SIM_FMSPC, world.today());
    world.verify(&certificate).unwrap();
    policy(SIM_TCB_EVALUATION + 1);
    assert_eq!(world.verify(&certificate), Err(refused));
    let newer = world.publish(NOW, SIM_TCB_EVALUATION + 1);
    assert_eq!(world.stapled(&certificate, &newer).unwrap().domain.unwrap().tcb_evaluation, SIM_TCB_EVALUATION + 1);
    world.verify(&certificate).unwrap();
}

#[test]
fn attack_63_a_platform_whose_firmware_is_out_of_date_with_a_staple() {
    let world = World::new();
    let outdated = world.certificate(&world.vendor.platform_with(0, SimTcb::Outdated).unwrap());
    let error = world.stapled(&outdated, &world.today()).unwrap_err();
    assert!(matches!(&error, AttestError::QuoteRejected { why } if why.contains("OutOfDate")), "{error}");
}

#[test]
fn attack_64_expired_and_future_staples_and_one_that_expires_later() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    let long_ago = UnixSeconds(NOW.0 - 31 * DAY);
    let error = AttestError::CollateralOutOfDate { from: long_ago, until: long_ago.plus(30 * DAY - 1), now: NOW };
    assert_eq!(world.stapled(&certificate, &world.publish(long_ago, SIM_TCB_EVALUATION)), Err(error));
    let future = world.stapled(&certificate, &world.publish(NOW.plus(1), SIM_TCB_EVALUATION));
    assert!(matches!(future, Err(AttestError::CollateralOutOfDate { .. })));
    assert_eq!(world.signatures(), 0);
    // What was learned speaks no longer than it says, and is replaced then.
    world.stapled(&certificate, &world.today()).unwrap();
    world.clock.fetch_add(30 * DAY + 1, Ordering::Relaxed);
    let later = world.certificate(&world.platform(0));
    assert_eq!(world.verify(&later), Err(AttestError::NoCollateral { fmspc: SIM_FMSPC }));
    assert!(world.verifier.collateral_for(SIM_FMSPC).is_none());
    world.stapled(&later, &world.publish(NOW.plus(30 * DAY), SIM_TCB_EVALUATION)).unwrap();
    world.verify(&later).unwrap();
}

#[test]
fn attack_63_what_a_peer_handed_over_counts_for_a_day_and_nothing_older_follows() {
    let world = World::new();
    let (yesterday, before) = (world.publish(UnixSeconds(NOW.0 - 1), 20), world.publish(UnixSeconds(NOW.0 - 2), 20));
    world.stapled(&world.certificate(&world.platform(0)), &yesterday).unwrap();
    world.clock.fetch_add(DAY, Ordering::Relaxed);
    world.verify(&world.certificate(&world.platform(0))).unwrap();
    world.clock.fetch_add(1, Ordering::Relaxed);
    let certificate = world.certificate(&world.platform(0));
    assert_eq!(world.verify(&certificate), Err(AttestError::NoCollateral { fmspc: SIM_FMSPC }));
    assert_eq!(world.stapled(&certificate, &before), Err(AttestError::StapleOlder { fmspc: SIM_FMSPC }));
    world.stapled(&certificate, &yesterday).unwrap();
}

#[test]
fn attack_66_a_staple_under_another_root() {
    let world = World::new();
    let stranger = Simulator::from_seed(&[7; 32]).unwrap();
    let theirs = stranger.publish(&Publication::on_day_of(NOW)).unwrap();
    let certificate = world.certificate(&stranger.platform(0).unwrap());
    let refused = AttestError::RootNotAllowed { root: stranger.root(), network: GlobalId::DEVNET };
    assert_eq!(world.stapled(&certificate, &theirs), Err(refused));
    assert_eq!(world.signatures(), 0);
    // The stranger's machine under our vendor's name: the chain in its quote ends elsewhere.
    assert!(matches!(world.stapled(&certificate, &world.today()), Err(AttestError::QuoteRejected { .. })));
    // The stranger's levels with our vendor's root behind them.
    let ours = world.today();
    let mixed = altered(&theirs, |parts| {
        let root = ours.data().tcb_info_issuer_chain.rsplit_once("-----BEGIN").unwrap().1;
        let leaf = parts.tcb_info_issuer_chain.rsplit_once("-----BEGIN").unwrap().0;
        parts.tcb_info_issuer_chain = format!("{leaf}-----BEGIN{root}");
    });
    assert_eq!(mixed.root(), world.vendor.root());
    let certificate = world.certificate(&world.platform(0));
    assert!(matches!(world.stapled(&certificate, &mixed), Err(AttestError::QuoteRejected { .. })));
}

#[test]
fn attack_71_truncated_oversized_and_foreign_staples_cost_no_signature() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    let staple = world.today().to_staple();
    let verify = |staple: &[u8]| world.verifier.verify_stapled(&certificate, staple, &[Role::Worker]).unwrap_err();
    assert_eq!(verify(b""), AttestError::NoCollateral { fmspc: SIM_FMSPC });
    for cut in (1..staple.len()).step_by(17) {
        assert!(matches!(verify(&staple[..cut]), AttestError::MalformedStaple { .. }), "cut at {cut}");
    }
    let trailing = [&staple[..], &[0]].concat();
    assert!(matches!(verify(&trailing), AttestError::MalformedStaple { .. }));
    let mut newer = staple.clone();
    newer[1] = 2;
    assert!(matches!(verify(&newer), AttestError::MalformedStaple { why } if why.contains("version")));
    let oversized = vec![0; MAX_STAPLE + 1];
    assert_eq!(verify(&oversized), AttestError::StapleTooLarge { size: MAX_STAPLE + 1, limit: MAX_STAPLE });
    // Somebody else's, as good as it may be for them.
    let foreign = intel("tdx_quote").1;
    let got = foreign.fmspc().unwrap();
    assert_eq!(verify(&foreign.to_staple()), AttestError::StapleForOtherModel { got, expected: SIM_FMSPC });
    assert_eq!(world.signatures(), 0);
    assert!(world.stapled(&certificate, &world.today()).is_ok(), "none of this did harm");
}

#[test]
fn attack_71_whatever_bit_is_flipped_in_a_staple_it_says_nothing_else() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    let staple = world.today().to_staple();
    let honest = world.stapled(&certificate, &world.today()).unwrap();
    for byte in (0..staple.len()).step_by(41) {
        let mut flipped = staple.clone();
        flipped[byte] ^= 1 << (byte % 8);
        if let Ok(peer) = World::new().verifier.verify_stapled(&certificate, &flipped, &[Role::Worker]) {
            assert_eq!(peer, honest, "byte {byte}");
        }
    }
}

#[test]
fn attack_75_evidence_that_is_refused_anyway_costs_no_look_at_its_staple() {
    let world = World::new();
    let certificate = world.certificate(&world.platform(0));
    let mut policy = (*world.policy.current()).clone();
    policy.revoke_image(Role::Worker, image_id(&world.measurements));
    world.policy.update(policy);
    // Nonsense would be an error of its own.
    let error = world.verifier.verify_stapled(&certificate, b"nonsense", &[Role::Worker]).unwrap_err();
    assert!(matches!(error, AttestError::ImageNotApproved { .. }), "{error}");
}

/// A real quote with its report data, and the vendor's real collateral.
fn intel(name: &str) -> ((Vec<u8>, [u8; 64]), Collateral) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/intel");
    let quote = std::fs::read(folder.join(name)).unwrap();
    let json = std::fs::read(folder.join(format!("{name}_collateral.json"))).unwrap();
    let report_data = evidence::ParsedQuote::read(quote.clone()).unwrap().report_data;
    let length = evidence::exact_length(&quote).unwrap();
    ((quote[..length].to_vec(), report_data), Collateral::from_json(&json).unwrap())
}

#[test]
fn intels_collateral_survives_the_journey_and_verifies_real_quotes() {
    for (name, now, largest) in [("tdx_quote", 1_751_619_600, 10_500), ("tdx_quote_td15ex", 1_792_713_600, 14_000)] {
        let ((quote, report_data), collateral) = intel(name);
        let staple = collateral.to_staple();
        assert!(staple.len() < largest, "{name}: {} bytes", staple.len());
        let again = Collateral::from_staple(&staple).unwrap();
        assert_eq!((again.root(), again.fmspc()), (RootHash::intel(), collateral.fmspc()));
        let store = CollateralStore::default();
        store.put(again.fmspc().unwrap(), again);
        let policy = PolicyHandle::new(Policy::new(GlobalId::MAINNET));
        let verifier = Verifier::new(policy, Arc::new(store), Arc::new(move || UnixSeconds(now)));
        let verified = verifier.verify_quote(&quote, &report_data).unwrap();
        assert_eq!((verified.root, verified.tcb_status), (RootHash::intel(), TcbStatus::UpToDate), "{name}");
    } // Both are of one model, published a year apart.
    let (earlier, later) = (intel("tdx_quote").1, intel("tdx_quote_td15ex").1);
    assert_eq!(earlier.fmspc(), later.fmspc());
    assert!(earlier.is_older_than(&later) && !later.is_older_than(&earlier) && !later.is_older_than(&later));
}
