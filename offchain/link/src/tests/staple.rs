//! Collateral from the peer, for nodes that reach no collateral service.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use bytes::BytesMut;
use cocoon_attest::sim::{Publication, SIM_FMSPC};
use tokio::io::AsyncWriteExt;

use super::streams::raw_to;
use super::*;
use crate::frame::Frame;

/// Reaches nobody.
fn offline() -> Arc<CollateralStore> {
    Arc::default()
}

/// What the vendor published at some time.
fn published(world: &World, issued: UnixSeconds) -> Arc<CollateralStore> {
    let store = CollateralStore::default();
    let publication = Publication { issued, ..Publication::on_day_of(issued) };
    store.put(SIM_FMSPC, world.vendor.publish(&publication).unwrap());
    Arc::new(store)
}

async fn workers_link(worker: &Endpoint, proxy: &Endpoint) -> (Result<Link, LinkError>, Result<Link, LinkError>) {
    soon(meet(worker, &Expect::role(Role::Proxy), proxy, &[Role::Worker])).await
}

#[tokio::test]
async fn a_node_without_a_network_is_handed_the_collateral_of_its_peer() {
    let world = World::new();
    let ours = || world.node(Role::Worker, 3, world.vendor.clone());
    for dialler_is_offline in [false, true] {
        let (worker, proxy) = match dialler_is_offline {
            true => (world.node(Role::Worker, 3, offline()), world.node(Role::Proxy, 2, world.vendor.clone())),
            false => (ours(), world.node(Role::Proxy, 2, offline())),
        };
        let refused = if dialler_is_offline { proxy.clone() } else { worker.clone() };
        let (dialled, accepted) = workers_link(&worker, &proxy).await;
        let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!((dialled.peer().role, accepted.peer().role), (Role::Proxy, Role::Worker));
        assert_eq!(refused.verifier().stats().verified, 1);
        // The next link asks for nothing: one handshake, from the cache.
        let offline = if dialler_is_offline { &worker } else { &proxy };
        let before = offline.verifier().stats();
        let (again, _other) = workers_link(&worker, &proxy).await;
        assert!(again.is_ok());
        assert_eq!(offline.verifier().stats().verified, before.verified);
    }
}

#[tokio::test]
async fn attack_64_two_nodes_without_a_network_do_not_take_each_others_word() {
    let world = World::new();
    let (worker, proxy) = (world.node(Role::Worker, 3, offline()), world.node(Role::Proxy, 2, offline()));
    let (dialled, accepted) = workers_link(&worker, &proxy).await;
    let missing = LinkError::Attestation { reason: AttestError::NoCollateral { fmspc: SIM_FMSPC } };
    let told = |error: &LinkError| matches!(error, LinkError::ClosedByPeer { reason } if reason.contains("COCOON") || reason.contains("434F"));
    for error in [refused(dialled), refused(accepted)] {
        assert!(error == missing || told(&error), "{error}");
    }
}

#[tokio::test]
async fn attack_64_a_peer_whose_collateral_has_expired() {
    let world = World::new();
    let old = published(&world, UnixSeconds(NOW.0 - 40 * 86_400));
    let (worker, proxy) = (world.node(Role::Worker, 3, old), world.node(Role::Proxy, 2, offline()));
    let (_, accepted) = workers_link(&worker, &proxy).await;
    let error = refused(accepted);
    assert!(matches!(&error, LinkError::Attestation { reason: AttestError::CollateralOutOfDate { .. } }), "{error}");
    // Our own out of date is asked for anew, and not by a lesser one.
    let old = published(&world, UnixSeconds(NOW.0 - 40 * 86_400));
    let proxy = world.node(Role::Proxy, 2, old);
    let worker = world.node(Role::Worker, 3, world.vendor.clone());
    workers_link(&worker, &proxy).await.1.unwrap();
}

#[tokio::test]
async fn attack_63_a_peer_that_staples_what_came_before_its_revocation() {
    let world = World::new();
    // The worker's machine is revoked, and it hands over what was published before.
    let before = published(&world, UnixSeconds(NOW.0 - 2));
    world.vendor.revoke_platform(Role::Worker.code().into());
    let worker = world.node(Role::Worker, 3, before);
    let knows = world.node(Role::Proxy, 2, published(&world, UnixSeconds(NOW.0 - 1)));
    let error = refused(workers_link(&worker, &knows).await.1);
    assert!(
        matches!(&error, LinkError::Attestation { reason: AttestError::QuoteRejected { why } } if why.contains("Revoked")),
        "{error}"
    );
    // Whoever reaches nobody and has met an honest peer since knows better too, for the day and after it.
    let offline = world.node(Role::Proxy, 2, offline());
    let machine = world.vendor.platform(77).unwrap().quoter(image(Role::Worker));
    let (identity, knows) = (issue(&machine, Role::Worker, 4), published(&world, UnixSeconds(NOW.0 - 1)));
    let verifier = world.node(Role::Worker, 4, knows).verifier().clone();
    let honest = Endpoint::new(IdentityHandle::new(identity), Arc::new(machine), verifier, LinkConfig::default());
    workers_link(&honest, &offline).await.1.unwrap();
    let error = refused(workers_link(&worker, &offline).await.1);
    assert!(matches!(&error, LinkError::Attestation { reason: AttestError::QuoteRejected { .. } }), "{error}");
}

#[tokio::test]
async fn attack_66_a_staple_brings_no_root() {
    let world = World::new();
    let stranger = Arc::new(Simulator::from_seed(&[7; 32]).unwrap());
    let quoter = quoter(&stranger, Role::Worker);
    let identity = IdentityHandle::new(issue(&quoter, Role::Worker, 3));
    let now = Arc::new(|| NOW);
    let mut policy = Policy::new(GlobalId::DEVNET);
    policy.allow_root(world.vendor.root());
    policy.allow_image(Role::Proxy, image_id(&image(Role::Proxy)), ImageWindow::ALWAYS);
    /// Says the same of every model, asked for its own.
    struct Both(Arc<Simulator>, Arc<Simulator>, AtomicUsize);
    impl CollateralProvider for Both {
        fn collateral(&self, fmspc: Fmspc, now: UnixSeconds) -> Option<Arc<Collateral>> {
            // The peer's first, then its own.
            let vendor = if self.2.fetch_add(1, Ordering::Relaxed) < 1 { &self.0 } else { &self.1 };
            vendor.collateral(fmspc, now)
        }
    }
    let both = Arc::new(Both(world.vendor.clone(), stranger.clone(), AtomicUsize::new(0)));
    let verifier = Arc::new(Verifier::new(PolicyHandle::new(policy), both, now));
    let thief = Endpoint::new(identity, Arc::new(quoter), verifier, LinkConfig::default());
    let proxy = world.node(Role::Proxy, 2, offline());
    let error = refused(workers_link(&thief, &proxy).await.1);
    let reason = AttestError::RootNotAllowed { root: stranger.root(), network: GlobalId::DEVNET };
    assert_eq!(error, LinkError::Attestation { reason });
}

/// Counts quotes.
struct Counted(SimQuoter, Arc<AtomicUsize>);

impl Quoter for Counted {
    fn quote(&self, report_data: &[u8; 64]) -> Result<Vec<u8>, QuoterError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.quote(report_data)
    }
}

#[tokio::test]
async fn attack_75_nobody_gets_a_quote_out_of_a_node_before_having_been_verified() {
    let world = World::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let quoter = Counted(quoter(&world.vendor, Role::Proxy), asked.clone());
    let identity = IdentityHandle::new(world.issue(Role::Proxy, 2));
    let verifier = world.node(Role::Proxy, 2, offline()).verifier().clone();
    let proxy = Endpoint::new(identity, Arc::new(quoter), verifier, LinkConfig::default());
    let (_, accepted) = workers_link(&world.node(Role::Worker, 3, offline()), &proxy).await;
    assert!(accepted.is_err());
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    workers_link(&world.node(Role::Worker, 3, world.vendor.clone()), &proxy).await.1.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// Knows what the vendor says until it is switched off.
struct Switched(Arc<Simulator>, AtomicBool);

impl CollateralProvider for Switched {
    fn collateral(&self, fmspc: Fmspc, now: UnixSeconds) -> Option<Arc<Collateral>> {
        self.1.load(Ordering::Relaxed).then(|| self.0.collateral(fmspc, now)).flatten()
    }
}

/// A client that has a link to the proxy and then loses its collateral service.
async fn cut_off(world: &World) -> (Link, Link, Endpoint) {
    let switched = Arc::new(Switched(world.vendor.clone(), AtomicBool::new(true)));
    let client = world.node(Role::Client, 4, switched.clone());
    let (dialled, accepted) = soon(meet(&client, &Expect::role(Role::Proxy), &world.proxy, &[Role::Client])).await;
    switched.1.store(false, Ordering::Relaxed);
    (dialled.unwrap(), accepted.unwrap(), client)
}

#[tokio::test]
async fn somebody_elses_evidence_is_verified_with_what_the_peer_knows() {
    let world = World::new();
    let (link, _proxys, client) = cut_off(&world).await;
    let worker = world.issue(Role::Worker, 3);
    let verifier = client.verifier();
    let missing = Err(AttestError::NoCollateral { fmspc: SIM_FMSPC });
    assert_eq!(verifier.verify(worker.certificate(), &[Role::Worker]), missing);
    // Two at once cost one question.
    let ask = || soon(link.verify_relayed(worker.certificate(), &[Role::Worker]));
    let (peer, same) = tokio::join!(ask(), ask());
    assert_eq!(peer.as_ref().unwrap().node_key, worker.node_key().public());
    assert_eq!(peer, same);
    // What is wrong for other reasons is no reason to ask.
    let error = soon(link.verify_relayed(worker.certificate(), &[Role::Proxy])).await.unwrap_err();
    assert!(matches!(error, LinkError::Attestation { reason: AttestError::WrongRole { .. } }), "{error}");
    assert_eq!(link.error(), None);
}

#[tokio::test]
async fn a_peer_that_knows_nothing_either_says_so_and_one_that_is_silent_is_not_waited_for() {
    let world = World::new();
    let switched = Arc::new(Switched(world.vendor.clone(), AtomicBool::new(true)));
    let proxy = world.node(Role::Proxy, 2, switched.clone());
    let client = world.node(Role::Client, 4, switched.clone());
    let (dialled, _accepted) = soon(meet(&client, &Expect::role(Role::Proxy), &proxy, &[Role::Client])).await;
    let link = dialled.unwrap();
    switched.1.store(false, Ordering::Relaxed);
    let worker = world.issue(Role::Worker, 3);
    let error = soon(link.verify_relayed(worker.certificate(), &[Role::Worker])).await.unwrap_err();
    assert_eq!(error, LinkError::Attestation { reason: AttestError::NoCollateral { fmspc: SIM_FMSPC } });

    // Somebody who never answers: the worker's end of this link is in the test's hands.
    let switched = Arc::new(Switched(world.vendor.clone(), AtomicBool::new(true)));
    let proxy = world.node(Role::Proxy, 2, switched.clone());
    let (_raw, link) = raw_to(&world, &proxy).await;
    switched.1.store(false, Ordering::Relaxed);
    let other = world.issue(Role::Worker, 5);
    let asking = tokio::spawn(async move { link.verify_relayed(other.certificate(), &[Role::Worker]).await });
    settle().await;
    world.time.pass(11).await;
    let error = soon(asking).await.unwrap().unwrap_err();
    assert!(matches!(error, LinkError::PeerSilent { .. }), "{error}");
}

#[tokio::test]
async fn attack_75_questions_without_end_and_answers_to_no_question_end_the_link() {
    let world = World::new();
    let asks = |count: usize| {
        let mut frames = BytesMut::new();
        (0..count).for_each(|_| Frame::Ask(SIM_FMSPC.0).encode(&mut frames));
        frames
    };
    let (mut raw, link) = raw_to(&world, &world.proxy).await;
    for _ in 0..9 {
        assert_eq!(link.error(), None);
        raw.stream.write_all(&asks(1)).await.unwrap();
        raw.stream.flush().await.unwrap();
        settle().await;
    }
    let ended = soon(link.closed()).await;
    assert!(matches!(&ended, LinkError::Protocol { why } if why.contains("questions")), "{ended}");

    let (mut raw, link) = raw_to(&world, &world.proxy).await;
    let mut answer = BytesMut::new();
    Frame::Collateral(world.vendor.collateral(SIM_FMSPC, NOW).unwrap().to_staple().into()).encode(&mut answer);
    raw.stream.write_all(&answer).await.unwrap();
    raw.stream.flush().await.unwrap();
    let ended = soon(link.closed()).await;
    assert!(matches!(&ended, LinkError::Protocol { why } if why.contains("nobody asked")), "{ended}");
}
