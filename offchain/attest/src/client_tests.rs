//! Clients show a key and no quote; nobody else may, and nothing but the key is believed of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use cocoon_protocol::{GlobalId, Hash256, NodeKey, Role, UnixSeconds};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use sha2::{Digest, Sha384};

use crate::sim::Simulator;
use crate::*;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const EVERYBODY: [Role; 3] = [Role::Client, Role::Proxy, Role::Worker];

/// A verifier whose policy approves one image, for every role.
fn world() -> (Arc<Simulator>, Verifier) {
    let vendor = Arc::new(Simulator::from_seed(&[1; 32]).unwrap());
    let mut policy = Policy::new(GlobalId::DEVNET);
    policy.allow_root(vendor.root());
    for role in EVERYBODY {
        policy.allow_image(role, image_id(&measurements()), ImageWindow::ALWAYS);
    }
    let verifier = Verifier::new(PolicyHandle::new(policy), vendor.clone(), Arc::new(|| NOW));
    (vendor, verifier)
}

fn measurements() -> Measurements {
    Measurements::simulated(b"image")
}

fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32])
}

fn request(role: Role) -> IdentityRequest {
    IdentityRequest::new(role, GlobalId::DEVNET, NOW)
}

fn client(seed: u8) -> Identity {
    issue_client_identity(&key(seed), &request(Role::Client)).unwrap()
}

/// A certificate of any claims, changed as said, with a quote over them or with none.
fn forge(change: impl FnOnce(&mut Claims), quoter: Option<&dyn Quoter>) -> Vec<u8> {
    let tls_key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let spki_sha384 = Sha384::digest(tls_key.subject_public_key_info()).into();
    let mut claims = Claims { spki_sha384, ..client(1).claims().clone() };
    change(&mut claims);
    let encoded = claims.encode();
    let quote = quoter.map(|quoter| quoter.exact_quote(&report_data(&encoded)).unwrap()).unwrap_or_default();
    identity::certificate(&tls_key, &claims, evidence::encode(&quote, &encoded)).unwrap()
}

#[test]
fn a_client_is_known_by_its_key_and_by_nothing_a_quote_would_prove() {
    let (_, verifier) = world();
    let identity = client(4);
    let peer = verifier.verify(identity.certificate(), &[Role::Client]).unwrap();
    assert_eq!((peer.role, peer.network, peer.node_key), (Role::Client, GlobalId::DEVNET, key(4).public()));
    assert_eq!((peer.domain, peer.valid_until), (None, NOW.plus(3600)));
    assert_eq!(peer.attested(), Err(AttestError::NotAttested));
    verifier.recheck(&peer).unwrap();
    assert_eq!(verifier.collateral(identity.certificate()).unwrap_err(), AttestError::NotAttested);
    assert_eq!(verifier.platform_model(identity.certificate()).unwrap_err(), AttestError::NotAttested);
    let policy = Policy::new(GlobalId::DEVNET);
    let demands = Demands { policy: &policy, image: ImageDemand::Open, report_data: None, now: NOW };
    let appraised = appraise_certificate(identity.certificate(), None, &demands);
    assert_eq!(appraised.unwrap_err(), AttestError::NotAttested);
}

#[test]
fn attack_70_only_a_client_shows_no_quote() {
    let (_, verifier) = world();
    for role in [Role::Proxy, Role::Worker] {
        let forged = forge(|claims| claims.role = role, None);
        let refused = AttestError::NoQuote { role };
        assert_eq!(verifier.verify(&forged, &EVERYBODY), Err(refused.clone()));
        assert_eq!(verifier.verify_stapled(&forged, b"staple", &EVERYBODY), Err(refused.clone()));
        assert_eq!(verifier.collateral(&forged).unwrap_err(), refused);
        let policy = Policy::new(GlobalId::DEVNET);
        let demands = Demands { policy: &policy, image: ImageDemand::Role(role), report_data: None, now: NOW };
        assert_eq!(appraise_certificate(&forged, None, &demands).unwrap_err(), refused);
        assert!(refused.to_string().contains(&format!("{role} and shows no quote")), "{refused}");
        // An identity that was remembered from elsewhere is held against the same rule.
        let peer = verifier.verify(client(4).certificate(), &[Role::Client]).unwrap();
        assert_eq!(verifier.recheck(&PeerIdentity { role, ..peer }), Err(refused));
        assert!(matches!(issue_client_identity(&key(1), &request(role)), Err(IssueError::Role(_))));
    }
}

#[test]
fn attack_70_a_client_shows_no_quote_even_if_it_has_one() {
    let (vendor, verifier) = world();
    let quoter = vendor.platform(0).unwrap().quoter(measurements());
    let quoted = forge(|_| {}, Some(&quoter));
    assert_eq!(verifier.verify(&quoted, &EVERYBODY), Err(AttestError::QuoteOfClient));
    assert!(matches!(issue_identity(&quoter, &key(1), &request(Role::Client)), Err(IssueError::Role(_))));
    // The same evidence in another role is sound: the rule is what refuses it.
    verifier.verify(&forge(|claims| claims.role = Role::Worker, Some(&quoter)), &EVERYBODY).unwrap();
    let peer = verifier.verify(issue_worker(&quoter).certificate(), &EVERYBODY).unwrap();
    assert_eq!(verifier.recheck(&PeerIdentity { role: Role::Client, ..peer }), Err(AttestError::QuoteOfClient));
}

fn issue_worker(quoter: &dyn Quoter) -> Identity {
    issue_identity(quoter, &key(2), &request(Role::Worker)).unwrap()
}

#[test]
fn a_client_claims_what_a_quote_would_vouch_for() {
    let (_, verifier) = world();
    let forged = forge(|claims| claims.gpu_evidence = Some(Hash256([6; 32])), None);
    let refused = verifier.verify(&forged, &[Role::Client]).unwrap_err();
    assert!(matches!(&refused, AttestError::MalformedEvidence { why } if why.contains("GPUs")), "{refused}");
}

#[test]
fn what_needs_no_quote_is_asked_of_clients_too() {
    let (_, verifier) = world();
    let refused = |certificate: &[u8], roles: &[Role]| verifier.verify(certificate, roles).unwrap_err();
    let role = AttestError::WrongRole { got: Role::Client, expected: vec![Role::Worker] };
    assert_eq!(refused(client(4).certificate(), &[Role::Worker]), role, "attack 70");
    let foreign = forge(|claims| claims.network = GlobalId(7), None);
    let network = AttestError::WrongNetwork { got: GlobalId(7), expected: GlobalId::DEVNET };
    assert_eq!(refused(&foreign, &[Role::Client]), network, "attack 70");
    let unbound = forge(|claims| claims.spki_sha384 = [0; 48], None);
    assert_eq!(refused(&unbound, &[Role::Client]), AttestError::KeyNotBound, "attack 59");
    let old = forge(|claims| claims.not_after = UnixSeconds(NOW.0 - 1), None);
    assert!(matches!(refused(&old, &[Role::Client]), AttestError::OutsideWindow { .. }), "attack 74");
    let long = forge(|claims| claims.not_after = NOW.plus(2 * MAX_WINDOW_SECONDS), None);
    assert!(matches!(refused(&long, &[Role::Client]), AttestError::WindowTooLong { .. }), "attack 74");
}

#[test]
fn attack_67_a_proof_has_a_quote_if_and_only_if_the_certificate_has_one() {
    let (vendor, verifier) = world();
    let quoter = vendor.platform(0).unwrap().quoter(measurements());
    let (client, worker) = (client(4), issue_worker(&quoter));
    let quote = quoter.exact_quote(&[7; 64]).unwrap();
    let fresh = |certificate: &[u8], quote: &[u8]| verifier.verify_fresh(certificate, &EVERYBODY, quote, &[7; 64]);
    fresh(client.certificate(), &[]).unwrap();
    fresh(worker.certificate(), &quote).unwrap();
    assert_eq!(fresh(client.certificate(), &quote), Err(AttestError::QuoteOfClient));
    assert_eq!(fresh(worker.certificate(), &[]), Err(AttestError::NoQuote { role: Role::Worker }));
}

#[test]
fn attack_75_clients_displace_no_verified_quote_from_memory() {
    let (vendor, verifier) = world();
    let worker = issue_worker(&vendor.platform(0).unwrap().quoter(measurements()));
    verifier.verify(worker.certificate(), &[Role::Worker]).unwrap();
    for _ in 0..1100 {
        verifier.verify(&forge(|_| {}, None), &[Role::Client]).unwrap();
    }
    verifier.verify(worker.certificate(), &[Role::Worker]).unwrap();
    let stats = verifier.stats();
    assert_eq!((stats.verified, stats.cached), (1, 1), "the worker's quote was verified once");
}
