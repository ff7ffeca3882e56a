//! Evidence of peers: quotes, certificates, the evidence in them, and the vendor's collateral.
#![allow(clippy::expect_used, reason = "the simulated platform is made once, of constants")]

use std::sync::{Arc, LazyLock};

use cocoon_attest::sim::{Publication, QuoteVersion, SIM_FMSPC, Simulator};
use cocoon_attest::{
    Collateral, CollateralProvider, CollateralStore, Fmspc, IdentityRequest, ImageWindow, Measurements, OID_EVIDENCE,
    PeerIdentity, Policy, PolicyHandle, Quoter, Verifier, image_id, issue_client_identity, issue_identity,
};
use cocoon_protocol::{GlobalId, NodeKey, Role, UnixSeconds};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ED25519};

use super::told;

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);
const REPORT_DATA: [u8; 64] = [7; 64];

/// A vendor, a platform of its own, and what they issued.
struct World {
    vendor: Arc<Simulator>,
    policy: Policy,
    quotes: Vec<Vec<u8>>,
    certificate: Vec<u8>,
    peer: PeerIdentity,
    key: KeyPair,
}

fn verifier(policy: &Policy, collateral: Arc<dyn CollateralProvider>) -> Verifier {
    Verifier::new(PolicyHandle::new(policy.clone()), collateral, Arc::new(|| NOW))
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let vendor = Arc::new(Simulator::from_seed(&[1; 32]).expect("a vendor"));
    let measurements = Measurements::simulated(b"fuzz");
    let quoter = vendor.platform(0).expect("a platform").quoter(measurements.clone());
    let mut policy = Policy::new(GlobalId::DEVNET);
    policy.allow_root(vendor.root());
    policy.allow_image(Role::Worker, image_id(&measurements), ImageWindow::ALWAYS);
    let versions = [QuoteVersion::V4, QuoteVersion::V5, QuoteVersion::V5Td15];
    let quotes = versions.map(|v| quoter.clone().version(v).exact_quote(&REPORT_DATA).expect("a quote")).to_vec();
    let request = IdentityRequest::new(Role::Worker, GlobalId::DEVNET, NOW);
    let identity = issue_identity(&quoter, &NodeKey::from_seed(&[2; 32]), &request).expect("an identity");
    let certificate = identity.certificate().to_vec();
    let peer = verifier(&policy, vendor.clone()).verify(&certificate, &[Role::Worker]).expect("the identity verifies");
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    World { vendor, policy, quotes, certificate, peer, key }
});

/// Whatever verifies is one of the quotes that were issued, up to what anybody can vary in a signature.
pub fn quotes(input: &[u8]) -> String {
    let world = &*WORLD;
    let verified = verifier(&world.policy, world.vendor.clone()).verify_quote(input, &REPORT_DATA);
    if let Ok(quote) = &verified {
        let expected = world.peer.domain.map(|domain| (domain.image, domain.platform));
        assert_eq!(Some((quote.image, quote.platform)), expected, "a forged quote verifies");
    }
    told(verified)
}

pub fn quote_samples() -> Vec<Vec<u8>> {
    WORLD.quotes.clone()
}

/// Whatever verifies names the peer that was issued, or is a client, of which nothing is proven.
pub fn certificates(input: &[u8]) -> String {
    let world = &*WORLD;
    let verified = verifier(&world.policy, world.vendor.clone()).verify(input, &[Role::Client, Role::Worker]);
    if let Ok(peer) = &verified {
        assert!(
            peer == &world.peer || (peer.role, peer.domain) == (Role::Client, None),
            "a forged certificate verifies"
        );
    }
    told(verified)
}

pub fn certificate_samples() -> Vec<Vec<u8>> {
    let request = IdentityRequest::new(Role::Client, GlobalId::DEVNET, NOW);
    let client = issue_client_identity(&NodeKey::from_seed(&[4; 32]), &request).expect("an identity");
    vec![WORLD.certificate.clone(), client.certificate().to_vec()]
}

/// The content of the evidence extension, in a certificate that is sound otherwise. Its key is never the one in the claims.
pub fn evidence(input: &[u8]) -> String {
    let world = &*WORLD;
    let mut params = CertificateParams::default();
    params.custom_extensions.push(CustomExtension::from_oid_content(OID_EVIDENCE, input.to_vec()));
    let certificate = params.self_signed(&world.key).expect("a certificate");
    let verified =
        verifier(&world.policy, world.vendor.clone()).verify(certificate.der(), &[Role::Client, Role::Worker]);
    assert!(verified.is_err(), "evidence for another key verifies");
    let claims = cocoon_attest::Claims::decode(input);
    if let Ok(claims) = &claims {
        assert_eq!(claims.encode(), input, "claims have two encodings");
    }
    format!("{}; {}", told(verified), told(claims))
}

pub fn evidence_samples() -> Vec<Vec<u8>> {
    use ciborium::Value;
    let world = &*WORLD;
    let claims = cocoon_attest::Claims {
        gpu_evidence: None,
        spki_sha384: [7; 48],
        not_before: NOW,
        not_after: NOW.plus(3600),
        role: Role::Worker,
        network: GlobalId::DEVNET,
        node_key: world.peer.node_key,
        anchor_seqno: 1,
    };
    let quote = world.quotes.first().cloned().unwrap_or_default();
    let tagged = |quote: &[u8], claims: &[u8]| {
        let pair = Value::Array(vec![Value::from(quote), Value::from(claims)]);
        let mut tagged = vec![];
        let value = Value::Tag(cocoon_attest::EVIDENCE_TAG, Box::new(pair));
        ciborium::into_writer(&value, &mut tagged).expect("to memory");
        tagged
    };
    let client = cocoon_attest::Claims { role: Role::Client, ..claims.clone() }.encode();
    vec![tagged(&quote, &claims.encode()), tagged(&[], &client), tagged(&[], &claims.encode()), claims.encode()]
}

/// The same collateral for every platform.
struct One(Arc<Collateral>);

impl CollateralProvider for One {
    fn collateral(&self, _: Fmspc, _: UnixSeconds) -> Option<Arc<Collateral>> {
        Some(self.0.clone())
    }
}

/// All of a peer but what the collateral says of its platform's firmware.
fn who(peer: &PeerIdentity) -> impl PartialEq + std::fmt::Debug {
    (peer.node_key, peer.domain.map(|domain| (domain.image, domain.platform, domain.root)))
}

/// Altered collateral never makes a quote say something else.
pub fn collateral(input: &[u8]) -> String {
    let world = &*WORLD;
    let collateral = match Collateral::from_json(input) {
        Ok(collateral) => collateral,
        Err(error) => return error.to_string(),
    };
    let validity = told(collateral.validity());
    let verified =
        verifier(&world.policy, Arc::new(One(Arc::new(collateral)))).verify(&world.certificate, &[Role::Worker]);
    if let Ok(peer) = &verified {
        assert_eq!(who(peer), who(&world.peer));
    }
    format!("{validity}; {}", told(verified))
}

pub fn collateral_samples() -> Vec<Vec<u8>> {
    let published = WORLD.vendor.publish(&Publication::on_day_of(NOW)).expect("collateral");
    vec![published.to_json().expect("JSON")]
}

/// Collateral from a peer: read in one encoding, kept only if it has verified a quote, and never a reason to see another peer.
pub fn staples(input: &[u8]) -> String {
    let world = &*WORLD;
    let read = Collateral::from_staple(input);
    if let Ok(collateral) = &read {
        assert_eq!(collateral.to_staple(), input, "a staple has two encodings");
    }
    let offline = verifier(&world.policy, Arc::new(CollateralStore::default()));
    let verified = offline.verify_stapled(&world.certificate, input, &[Role::Worker]);
    let kept = offline.collateral_for(SIM_FMSPC).is_some();
    assert_eq!(kept, verified.is_ok(), "what verified nothing is kept");
    if let Ok(peer) = &verified {
        assert_eq!(who(peer), who(&world.peer));
    }
    told(verified)
}

pub fn staple_samples() -> Vec<Vec<u8>> {
    let publish = |publication: &Publication| WORLD.vendor.publish(publication).expect("collateral").to_staple();
    let today = Publication::on_day_of(NOW);
    let expired = Publication { issued: UnixSeconds(1), ..today.clone() };
    vec![publish(&today), publish(&expired)]
}
