//! The fresh quote over the connection, at its start and later.

use std::sync::atomic::AtomicBool;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use super::streams::raw;
use super::*;
use crate::frame::Frame;

/// A machine that is taken away at some moment: from then on quotes come from another one.
struct Moved {
    first: SimQuoter,
    then: SimQuoter,
    moved: Arc<AtomicBool>,
}

impl Quoter for Moved {
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        let quoter = if self.moved.load(Ordering::Relaxed) { &self.then } else { &self.first };
        quoter.quote(report_data)
    }
}

/// Shows a recorded quote whatever is asked.
struct Replay(Vec<u8>);

impl Quoter for Replay {
    fn quote(&self, _: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        Ok(self.0.clone())
    }
}

fn elsewhere(world: &World) -> SimQuoter {
    world.vendor.platform(77).unwrap().quoter(image(Role::Worker))
}

fn with_proofs_every(seconds: u64) -> World {
    World::with_config(LinkConfig {
        ping_interval: Duration::from_secs(5),
        proof_interval: Duration::from_secs(seconds),
        ..LinkConfig::default()
    })
}

#[tokio::test]
async fn attack_67_every_key_leaked_is_not_enough_outside_the_trust_domain() {
    let world = World::new();
    let victim = world.issue(Role::Worker, 3);
    let copy = || {
        let (certificate, key) = (victim.certificate().to_vec(), victim.tls_key().to_vec());
        Identity::from_parts(certificate, key, victim.node_key().clone()).unwrap()
    };
    let recorded = quoter(&world.vendor, Role::Worker).quote(&[7; 64]).unwrap();
    let other_image = world.vendor.platform(Role::Worker.code().into()).unwrap().quoter(image(Role::Client));
    let thieves = [
        ("another machine", world.stranger_on(elsewhere(&world), copy())),
        ("another image", world.stranger_on(other_image, copy())),
        ("a recorded quote", world.stranger_on(Replay(recorded), copy())),
    ];
    for (what, thief) in thieves {
        let (_, accepted) = world.meet(&thief).await;
        let error = refused(accepted);
        let LinkError::Attestation { reason } = &error else { panic!("{what}: {error}") };
        assert!(
            matches!(reason, AttestError::OtherDomain { .. } | AttestError::ReportDataMismatch),
            "{what}: {reason}"
        );
    }
    world.meet(&world.stranger(copy())).await.1.unwrap();
}

#[tokio::test]
async fn attack_68_an_honest_machine_elsewhere_cannot_be_asked_for_the_proof() {
    // Whoever relays lets an honest node prove itself on the connection between the two of them: another exporter, and other
    // certificates. The relay's own connection needs other report data.
    let world = World::new();
    let honest = world.issue(Role::Worker, 3);
    let relayed = quoter(&world.vendor, Role::Worker).quote(&[1; 64]).unwrap();
    let identity =
        Identity::from_parts(honest.certificate().to_vec(), honest.tls_key().to_vec(), honest.node_key().clone());
    let (_, accepted) = world.meet(&world.stranger_on(Replay(relayed), identity.unwrap())).await;
    assert_eq!(refused(accepted), LinkError::Attestation { reason: AttestError::ReportDataMismatch });
}

#[tokio::test]
async fn a_fresh_quote_costs_one_signature_and_no_second_appraisal() {
    let world = World::new();
    let before = world.proxy.verifier().stats();
    let (_worker, _proxy) = world.linked().await;
    let after = world.proxy.verifier().stats();
    assert_eq!((after.verified - before.verified, after.refreshed - before.refreshed), (1, 1));
}

#[tokio::test]
async fn long_links_prove_themselves_again() {
    let world = with_proofs_every(60);
    let (worker, proxy) = world.linked().await;
    for round in 2..5 {
        world.time.pass(65).await;
        let proven = async {
            while world.proxy.verifier().stats().refreshed < round || world.worker.verifier().stats().refreshed < round
            {
                tokio::task::yield_now().await;
            }
        };
        soon(proven).await;
    }
    assert_eq!((worker.error(), proxy.error()), (None, None));
}

#[tokio::test]
async fn attack_67_keys_that_leave_their_machine_lose_the_link() {
    let world = with_proofs_every(60);
    let moved = Arc::new(AtomicBool::new(false));
    let (first, then) = (quoter(&world.vendor, Role::Worker), elsewhere(&world));
    let thief = world.stranger_on(Moved { first, then, moved: moved.clone() }, world.issue(Role::Worker, 3));
    let (_worker, proxy) = world.meet(&thief).await;
    let proxy = proxy.unwrap();
    moved.store(true, Ordering::Relaxed);
    world.time.pass(65).await;
    let reason = soon(proxy.closed()).await;
    assert!(matches!(&reason, LinkError::Attestation { reason: AttestError::OtherDomain { .. } }), "{reason}");
}

#[tokio::test]
async fn a_peer_that_gives_no_fresh_proof_is_left() {
    let world = with_proofs_every(60);
    let (mut raw, link) = raw(&world).await;
    for _ in 0..30 {
        let mut alive = BytesMut::new();
        Frame::Pong.encode(&mut alive);
        // It may have been left already.
        let _ = raw.stream.write_all(&alive).await;
        world.time.pass(5).await;
    }
    assert_eq!(soon(link.closed()).await, LinkError::NoProof { limit: LinkConfig::default().idle_timeout });
}

#[tokio::test]
async fn attack_75_proofs_and_challenges_out_of_turn_end_the_link() {
    let flood = vec![Frame::Challenge([1; 32]); 64];
    for words in [vec![Frame::Proof("x".into())], flood, vec![Frame::Hello("x".into())]] {
        let world = World::new();
        let (mut raw, link) = raw(&world).await;
        let mut bytes = BytesMut::new();
        words.iter().for_each(|frame| frame.encode(&mut bytes));
        raw.stream.write_all(&bytes).await.unwrap();
        let reason = soon(link.closed()).await;
        assert!(matches!(reason, LinkError::Protocol { .. }), "{reason}");
    }
}
