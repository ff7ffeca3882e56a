//! How links end.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn attack_60_a_revoked_image_loses_its_live_links_with_the_reason() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let (worker_2, proxy_2) = world.linked().await;
    let mut stream = proxy.open().unwrap();
    let image = image_id(&image(Role::Worker));
    // A change that does not touch the peer leaves the links alone.
    world.change(|p| p.allow_image(Role::Worker, cocoon_protocol::ImageId([9; 32]), ImageWindow::ALWAYS));
    settle().await;
    assert_eq!((worker.error(), proxy.error()), (None, None));

    world.change(|p| p.revoke_image(Role::Worker, image));
    let reason = LinkError::Revoked { reason: AttestError::ImageNotApproved { image, role: Role::Worker } };
    assert_eq!(soon(proxy.closed()).await, reason);
    assert_eq!(soon(proxy_2.closed()).await, reason);
    assert_eq!(stream.recv().await, Some(Err(StreamError::Link(reason))));
    for link in [worker, worker_2] {
        let told = soon(link.closed()).await;
        assert!(matches!(&told, LinkError::ClosedByPeer { reason } if reason.contains("not approved")), "{told}");
    }
}

#[tokio::test]
async fn attack_65_a_banned_platform_loses_its_live_links() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let platform = proxy.peer().domain.unwrap().platform;
    world.change(|p| p.ban_platform(platform));
    assert_eq!(soon(proxy.closed()).await, LinkError::Revoked { reason: AttestError::PlatformBanned { platform } });
    soon(worker.closed()).await;
}

#[tokio::test]
async fn attack_48_an_image_loses_its_live_links_at_its_sunset() {
    let world = World::new();
    let sunset = NOW.plus(100);
    let window = ImageWindow { active_from: NOW, sunset: Some(sunset) };
    world.change(|p| p.allow_image(Role::Worker, image_id(&image(Role::Worker)), window));
    let (_worker, proxy) = world.linked().await;
    world.time.pass(60).await;
    assert_eq!(proxy.error(), None);
    // The registry does not change; chain time does.
    world.clock.store(sunset.0, Ordering::Relaxed);
    world.time.pass(10).await;
    let ended = soon(proxy.closed()).await;
    assert!(matches!(&ended, LinkError::Revoked { reason: AttestError::ImageNotActive { .. } }), "{ended}");
}

#[tokio::test]
async fn expired_evidence_takes_no_new_streams_and_lets_the_old_ones_end() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let mut asking = proxy.open().unwrap();
    let mut answering = worker.accept().await.unwrap();
    let valid_until = proxy.peer().valid_until;
    world.clock.store(valid_until.0 + 1, Ordering::Relaxed);
    world.time.pass(20).await;
    assert!(matches!(proxy.open(), Err(LinkError::Draining { .. })));
    assert!(matches!(worker.open(), Err(LinkError::Draining { .. })));
    answering.send("answer".into()).await.unwrap();
    answering.finish().unwrap();
    assert_eq!(asking.recv().await.unwrap().unwrap(), "answer");
    assert_eq!((worker.error(), proxy.error()), (None, None));
    asking.finish().unwrap();
    assert_eq!(asking.recv().await, None);
    // Whichever side notices first ends it.
    assert!(matches!(soon(proxy.closed()).await, LinkError::Expired { .. } | LinkError::ClosedByPeer { .. }));
    assert!(matches!(soon(worker.closed()).await, LinkError::Expired { .. } | LinkError::ClosedByPeer { .. }));
}

#[tokio::test]
async fn expired_evidence_ends_the_link_after_a_grace_in_any_case() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let _stream = proxy.open().unwrap();
    let valid_until = proxy.peer().valid_until;
    world.clock.store(valid_until.0 + 601, Ordering::Relaxed);
    world.time.pass(10).await;
    assert!(matches!(soon(proxy.closed()).await, LinkError::Expired { .. } | LinkError::ClosedByPeer { .. }));
    soon(worker.closed()).await;
}

#[tokio::test]
async fn an_idle_link_stays_up() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    world.time.pass(3600).await;
    assert_eq!((worker.error(), proxy.error()), (None, None));
    let mut stream = worker.open().unwrap();
    stream.send("still here".into()).await.unwrap();
    assert_eq!(proxy.accept().await.unwrap().recv().await.unwrap().unwrap(), "still here");
}

/// A connection in memory that can be frozen: nothing moves, nothing ends.
struct Freezer {
    near: tokio::io::DuplexStream,
    far: tokio::io::DuplexStream,
}

impl Freezer {
    async fn copy(mut self, mut frozen: tokio::sync::oneshot::Receiver<()>) -> Self {
        tokio::select! {
            biased;
            _ = &mut frozen => {}
            _ = tokio::io::copy_bidirectional(&mut self.near, &mut self.far) => {}
        }
        self
    }
}

async fn freezable(world: &World) -> (Link, Link, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<Freezer>) {
    let ((a, near), (far, b)) = (pipe(), pipe());
    let (freeze, frozen) = tokio::sync::oneshot::channel();
    let wire = tokio::spawn(Freezer { near, far }.copy(frozen));
    let expect = Expect::role(Role::Proxy);
    let (worker, proxy) =
        tokio::join!(world.worker.connect_over(a, None, &expect), world.proxy.accept_over(b, None, &[Role::Worker]));
    (worker.unwrap(), proxy.unwrap(), freeze, wire)
}

#[tokio::test]
async fn attack_82_a_peer_behind_a_dead_wire_is_noticed() {
    let world = World::new();
    let (worker, proxy, freeze, wire) = freezable(&world).await;
    let mut stream = worker.open().unwrap();
    freeze.send(()).unwrap();
    let _wire = wire.await.unwrap();
    let limit = LinkConfig::default().idle_timeout;
    world.time.pass(29).await;
    assert_eq!(worker.error(), None);
    world.time.pass(11).await;
    assert_eq!(soon(worker.closed()).await, LinkError::PeerSilent { limit });
    assert_eq!(stream.recv().await, Some(Err(StreamError::Link(LinkError::PeerSilent { limit }))));
    assert_eq!(soon(proxy.closed()).await, LinkError::PeerSilent { limit });
}

#[tokio::test]
async fn attack_82_a_peer_that_does_not_read_is_noticed() {
    let config = LinkConfig { ping_interval: Duration::from_secs(3600), ..LinkConfig::default() };
    let world = World::with_config(config);
    let (worker, _proxy, freeze, wire) = freezable(&world).await;
    freeze.send(()).unwrap();
    let _wire = wire.await.unwrap();
    for _ in 0..20 {
        let mut stream = worker.open().unwrap();
        tokio::spawn(async move {
            // Kept: dropping the stream would take back what is not written yet.
            let _ = stream.send(vec![0; 100_000].into()).await;
            std::future::pending::<()>().await;
        });
    }
    settle().await;
    world.time.pass(31).await;
    assert!(matches!(soon(worker.closed()).await, LinkError::PeerStalled { .. }));
}

#[tokio::test]
async fn attack_82_a_handshake_that_does_not_go_on_ends() {
    let world = World::new();
    let limit = LinkConfig::default().handshake_timeout;
    let (mut silent, b) = pipe();
    silent.write_all(&[0x16, 3, 1]).await.unwrap();
    let (accepted, ()) = tokio::join!(world.proxy.accept_over(b, None, &[Role::Worker]), world.time.pass(11));
    assert_eq!(refused(accepted), LinkError::HandshakeTimeout { limit });
    let (a, _silent) = pipe();
    let expect = Expect::role(Role::Proxy);
    let (dialled, ()) = tokio::join!(world.worker.connect_over(a, None, &expect), world.time.pass(11));
    assert_eq!(refused(dialled), LinkError::HandshakeTimeout { limit });
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_link() {
    let world = World::new();
    let (worker, proxy) = world.linked().await;
    let clone = worker.clone();
    drop(worker);
    settle().await;
    assert_eq!(proxy.error(), None);
    drop(clone);
    assert_eq!(soon(proxy.closed()).await, LinkError::ClosedByPeer { reason: "no longer needed".into() });
}
