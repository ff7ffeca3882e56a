//! The appraisal and the verifier agree on everything, and the appraisal names every rule.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use cocoon_protocol::{GlobalId, Hash256, NodeKey, Role, UnixSeconds};

use crate::sim::{Publication, QuoteVersion, SIM_FMSPC, SIM_TCB_EVALUATION, SimTcb, Simulator};
use crate::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const INTEL_NOW: UnixSeconds = UnixSeconds(1_751_619_600);
const DAY: u32 = 86_400;
/// The order of rules is part of the command's output.
const OF_A_CERTIFICATE: [&str; 15] = [
    "key_bound",
    "report_data",
    "network",
    "role",
    "window",
    "length",
    "not_debug",
    "sept_ve_disable",
    "image",
    "collateral",
    "root",
    "genuine",
    "tcb_status",
    "tcb_evaluation",
    "platform",
];

/// One situation; tests change one thing or several.
struct Case {
    vendor: Simulator,
    collateral: Option<Collateral>,
    measurements: Measurements,
    tcb: SimTcb,
    rogue: bool,
    version: QuoteVersion,
    policy: Policy,
    network: GlobalId,
    role: Role,
    now: UnixSeconds,
}

impl Case {
    fn sound() -> Self {
        let vendor = Simulator::from_seed(&[1; 32]).unwrap();
        let measurements = Measurements::simulated(b"worker");
        let mut policy = Policy::new(GlobalId::DEVNET);
        policy.allow_root(vendor.root());
        policy.allow_image(Role::Worker, image_id(&measurements), ImageWindow::ALWAYS);
        Self {
            collateral: Some(vendor.publish(&Publication::on_day_of(NOW)).unwrap()),
            vendor,
            measurements,
            tcb: SimTcb::Current,
            rogue: false,
            version: QuoteVersion::V4,
            policy,
            network: GlobalId::DEVNET,
            role: Role::Worker,
            now: NOW,
        }
    }

    fn certificate(&self) -> Vec<u8> {
        let platform = self.vendor.platform_with(0, self.tcb).unwrap();
        let platform = if self.rogue { platform.with_rogue_quoting_enclave() } else { platform };
        let quoter = platform.quoter(self.measurements.clone()).version(self.version);
        let request = IdentityRequest::new(Role::Worker, self.network, NOW);
        issue_identity(&quoter, &NodeKey::from_seed(&[2; 32]), &request).unwrap().certificate().to_vec()
    }

    /// What the appraisal says of a certificate, and whether the verifier accepts it.
    fn judge(&self, certificate: &[u8]) -> (Result<Appraisal, AttestError>, bool) {
        let demands =
            Demands { policy: &self.policy, image: ImageDemand::Role(self.role), report_data: None, now: self.now };
        let appraisal = appraise_certificate(certificate, self.collateral.as_ref(), &demands);
        let store = CollateralStore::default();
        if let Some(collateral) = &self.collateral {
            store.put(SIM_FMSPC, collateral.clone());
        }
        let now = self.now;
        let policy = PolicyHandle::new(self.policy.clone());
        let verifier = Verifier::new(policy, Arc::new(store), Arc::new(move || now));
        (appraisal, verifier.verify(certificate, &[self.role]).is_ok())
    }

    /// The rules that fail, after the verifier agreed.
    fn failing(&self) -> Vec<&'static str> {
        let (appraisal, accepted) = self.judge(&self.certificate());
        let appraisal = appraisal.unwrap();
        assert_eq!(appraisal.passed(), accepted, "{:?}", appraisal.rules);
        assert_eq!(appraisal.rules.iter().map(|r| r.name).collect::<Vec<_>>(), OF_A_CERTIFICATE);
        let failed = |r: &&Rule| matches!(r.outcome, Outcome::Failed(_));
        appraisal.rules.iter().filter(failed).map(|r| r.name).collect()
    }
}

fn failing(change: impl FnOnce(&mut Case)) -> Vec<&'static str> {
    let mut case = Case::sound();
    change(&mut case);
    case.failing()
}

#[test]
fn sound_evidence_passes_every_rule() {
    for version in [QuoteVersion::V4, QuoteVersion::V5, QuoteVersion::V5Td15] {
        let case = Case { version, ..Case::sound() };
        assert_eq!(case.failing(), [""; 0]);
        let appraisal = case.judge(&case.certificate()).0.unwrap();
        assert!(appraisal.rules.iter().all(|r| matches!(r.outcome, Outcome::Passed(_))), "{:?}", appraisal.rules);
        let genuine = appraisal.genuine.unwrap();
        assert_eq!((genuine.tcb_status, genuine.tcb_evaluation), (TcbStatus::UpToDate, SIM_TCB_EVALUATION));
        assert_eq!(genuine.platform, case.vendor.platform(0).unwrap().id());
        assert_eq!(appraisal.measurements, case.measurements);
    }
}

#[test]
fn each_rule_fails_for_its_own_reason() {
    let platform = Case::sound().vendor.platform(0).unwrap().id();
    assert_eq!(failing(|c| c.network = GlobalId(7)), ["network"], "attack 70");
    assert_eq!(failing(|c| c.now = NOW.plus(2 * DAY)), ["window"]);
    assert_eq!(failing(|c| c.policy.revoke_image(Role::Worker, image_id(&c.measurements))), ["image"], "attack 60");
    assert_eq!(failing(|c| c.collateral = None), ["collateral"], "attack 64");
    assert_eq!(failing(|c| c.tcb = SimTcb::Outdated), ["tcb_status"], "attack 63");
    assert_eq!(failing(|c| c.tcb = SimTcb::Revoked), ["genuine"], "attack 63");
    assert_eq!(failing(|c| c.policy.require_tcb_evaluation(99)), ["tcb_evaluation"], "attack 63");
    assert_eq!(failing(|c| c.policy.ban_platform(platform)), ["platform"], "attack 65");
    assert_eq!(failing(|c| c.rogue = true), ["genuine"], "attack 73");
    let mut old = Publication::on_day_of(UnixSeconds(NOW.0 - 31 * DAY));
    assert_eq!(failing(|c| c.collateral = c.vendor.publish(&old).ok()), ["collateral", "genuine"], "attack 64");
    old.issued = NOW.plus(DAY);
    assert_eq!(failing(|c| c.collateral = c.vendor.publish(&old).ok()), ["collateral", "genuine"], "attack 74");
    let stranger = Simulator::from_seed(&[7; 32]).unwrap();
    let foreign = stranger.publish(&Publication::on_day_of(NOW)).unwrap();
    assert_eq!(failing(|c| c.collateral = Some(foreign)), ["root", "genuine"], "attack 66");
    assert_eq!(failing(|c| c.vendor = stranger), ["genuine"]);
    assert_eq!(failing(|c| c.role = Role::Proxy), ["role"], "attack 70");
}

#[test]
fn attack_63_the_vendors_advisories_are_named() {
    let case = Case { tcb: SimTcb::Outdated, ..Case::sound() };
    let genuine = case.judge(&case.certificate()).0.unwrap().genuine.unwrap();
    assert_eq!(genuine.tcb_status, TcbStatus::OutOfDate);
    assert!(!genuine.advisories.is_empty());
}

#[test]
fn attacks_61_62_a_debug_domain_is_named_as_such() {
    let debug = |c: &mut Case| {
        c.measurements.set(TdAttribute::Debug, true);
        c.policy.allow_image(Role::Worker, image_id(&c.measurements), ImageWindow::ALWAYS);
    };
    assert_eq!(failing(debug), ["not_debug"], "genuine, and yet of no use");
    let open = |c: &mut Case| {
        c.measurements.set(TdAttribute::SeptVeDisable, false);
        c.policy.allow_image(Role::Worker, image_id(&c.measurements), ImageWindow::ALWAYS);
    };
    assert_eq!(failing(open), ["sept_ve_disable", "genuine"]);
    let both = |c: &mut Case| {
        debug(c);
        c.tcb = SimTcb::Outdated;
        c.network = GlobalId(7);
    };
    assert_eq!(failing(both), ["network", "not_debug", "tcb_status"], "all that fails is named, not only the first");
}

#[test]
fn a_domain_that_can_be_profiled_is_not_let_through() {
    let profiled = |c: &mut Case| {
        c.measurements.td_attributes[0] |= 0x10;
        c.policy.allow_image(Role::Worker, image_id(&c.measurements), ImageWindow::ALWAYS);
    };
    assert_eq!(failing(profiled), ["genuine"]);
}

#[test]
fn attack_59_evidence_stolen_from_another_certificate_is_named() {
    use rcgen::PublicKeyData;
    use sha2::{Digest, Sha384};
    let case = Case::sound();
    let stolen = case.certificate();
    let carrier = evidence::open(&stolen).unwrap();
    let claims = Claims::decode(&carrier.encoded_claims).unwrap();
    let thief = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let own = Claims { spki_sha384: Sha384::digest(thief.subject_public_key_info()).into(), ..claims.clone() };
    for (said, rule) in [(claims, "key_bound"), (own, "report_data")] {
        let content = evidence::encode(&carrier.quote, &said.encode());
        let forged = identity::certificate(&thief, &said, content).unwrap();
        let (appraisal, accepted) = case.judge(&forged);
        let rules = appraisal.unwrap().rules;
        let failed: Vec<_> = rules.iter().filter(|r| matches!(r.outcome, Outcome::Failed(_))).map(|r| r.name).collect();
        assert_eq!((failed, accepted), (vec![rule], false));
    }
}

#[test]
fn attack_71_altered_certificates_are_judged_alike() {
    let case = Case::sound();
    let certificate = case.certificate();
    let mut seen = [0; 2];
    for bit in (0..certificate.len() * 8).step_by(331) {
        let mut altered = certificate.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let (appraisal, accepted) = case.judge(&altered);
        assert_eq!(appraisal.is_ok_and(|a| a.passed()), accepted, "bit {bit}");
        seen[usize::from(accepted)] += 1;
    }
    assert!(seen[0] > 50, "{seen:?}");
}

#[test]
fn attack_72_bytes_after_a_quote_are_named_and_padding_is_cut() {
    let (quote, collateral) = intel();
    let policy = Policy::new(GlobalId::MAINNET);
    let demands = Demands { policy: &policy, image: ImageDemand::Open, report_data: None, now: INTEL_NOW };
    let mut longer = quote.clone();
    longer.extend([0; 100]);
    assert!(appraise_quote(&longer, Some(&collateral), &demands).unwrap().passed());
    longer.push(1);
    let appraisal = appraise_quote(&longer, Some(&collateral), &demands).unwrap();
    let length = appraisal.rules.iter().find(|r| r.name == "length").unwrap();
    assert!(matches!(length.outcome, Outcome::Failed(_)) && !appraisal.passed());
}

fn intel() -> (Vec<u8>, Collateral) {
    let quote = include_bytes!("../tests/data/intel/tdx_quote").to_vec();
    let collateral = Collateral::from_json(include_bytes!("../tests/data/intel/tdx_quote_collateral.json")).unwrap();
    (quote, collateral)
}

#[test]
fn a_real_quote_is_appraised_at_its_time() {
    let (quote, collateral) = intel();
    let mut policy = Policy::new(GlobalId::MAINNET);
    let mut demands = Demands { policy: &policy, image: ImageDemand::Open, report_data: None, now: INTEL_NOW };
    let appraisal = appraise_quote(&quote, Some(&collateral), &demands).unwrap();
    assert!(appraisal.passed(), "{:?}", appraisal.rules);
    assert_eq!((appraisal.quote_version, appraisal.root), (4, Some(RootHash::intel())));
    assert_eq!(appraisal.fmspc, Some(Fmspc([0xb0, 0xc0, 0x6f, 0, 0, 0])));
    assert_eq!(appraisal.genuine.unwrap().advisories, [""; 0]);

    demands.report_data = Some([1; 64]);
    demands.image = ImageDemand::AnyRole;
    let refused = appraise_quote(&quote, Some(&collateral), &demands).unwrap();
    let failed: Vec<_> = refused.rules.iter().filter(|r| matches!(r.outcome, Outcome::Failed(_))).collect();
    assert_eq!(failed.iter().map(|r| r.name).collect::<Vec<_>>(), ["report_data", "image"]);
    policy.allow_image(Role::Proxy, appraisal.image, ImageWindow::ALWAYS);
    let demands = Demands { policy: &policy, image: ImageDemand::AnyRole, report_data: None, now: INTEL_NOW };
    assert!(appraise_quote(&quote, Some(&collateral), &demands).unwrap().passed());
    assert!(appraise_quote(&quote[..600], Some(&collateral), &demands).is_err(), "no quote at all");
}

#[test]
fn attack_71_altered_and_cut_quotes_are_judged_as_the_verifier_does() {
    let (mut quote, collateral) = intel();
    quote.truncate(evidence::exact_length(&quote).unwrap());
    let policy = Policy::new(GlobalId::MAINNET);
    let store = CollateralStore::default();
    store.put(Fmspc([0xb0, 0xc0, 0x6f, 0, 0, 0]), collateral.clone());
    let verifier = Verifier::new(PolicyHandle::new(policy.clone()), Arc::new(store), Arc::new(|| INTEL_NOW));
    let report_data: [u8; 64] = quote[48 + 520..48 + 584].try_into().unwrap();
    let demands = Demands { policy: &policy, image: ImageDemand::Open, report_data: Some(report_data), now: INTEL_NOW };
    let agreed = |quote: &[u8]| {
        let passed = appraise_quote(quote, Some(&collateral), &demands).is_ok_and(|a| a.passed());
        assert_eq!(passed, verifier.verify_quote(quote, &report_data).is_ok());
        passed
    };
    assert!(agreed(&quote));
    for bit in (0..quote.len() * 8).step_by(61) {
        let mut altered = quote.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        agreed(&altered);
    }
    for cut in (0..quote.len()).step_by(13) {
        assert!(!agreed(&quote[..cut]), "{cut} bytes");
    }
}

#[test]
fn a_certificate_names_the_evidence_of_its_gpus() {
    let case = Case::sound();
    let quoter = case.vendor.platform(0).unwrap().quoter(case.measurements.clone());
    let (key, request) = (NodeKey::from_seed(&[2; 32]), IdentityRequest::new(Role::Worker, GlobalId::DEVNET, NOW));
    let mut asked = None;
    let identity = issue_identity_with_gpus(&quoter, &key, &request, |spki| {
        asked = Some(*spki);
        Ok(Hash256([6; 32]))
    })
    .unwrap();
    assert_eq!(asked, Some(identity.claims().spki_sha384), "the nonce can be made from the key that is certified");
    let (appraisal, accepted) = case.judge(identity.certificate());
    assert!(accepted);
    assert_eq!(appraisal.unwrap().claims.unwrap().gpu_evidence, Some(Hash256([6; 32])));
    let failed = issue_identity_with_gpus(&quoter, &key, &request, |_| Err("no device".to_owned()));
    assert!(matches!(failed, Err(IssueError::Gpu { why }) if why == "no device"));
}
