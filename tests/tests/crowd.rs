//! A crowd at a proxy's door: clients need no trust domain, so anybody can be one, as often as a machine can make links.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use cocoon_e2e::null::NullEngine;
use cocoon_e2e::*;
use cocoon_link::Link;
use cocoon_localnet::{LocalNet, Service};
use cocoon_protocol::{NodeKey, Role};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// Links without a channel that a proxy holds for one address.
const ROOM: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn attack_75_a_crowd_of_strangers_is_bounded_served_clients_notice_nothing_and_the_door_opens_again() {
    let mut config = config();
    config.proxy.patience = Duration::from_secs(5);
    let mut net = LocalNet::open(config, &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();
    net.start_worker_on(NullEngine::new(net.model)).await.unwrap();
    net.start_client().await.unwrap();
    ask(&net, "before").await;

    // A client whom nobody knows, and who says nothing.
    let stranger = another_node(&net, Role::Client, NodeKey::from_seed(&[75; 32])).await;
    let mut links = vec![];
    for _ in 0..ROOM + 8 {
        links.push(dial_proxy(&net, &stranger).await);
    }
    let mut leaving: FuturesUnordered<_> = links.iter().map(Link::closed).collect();
    for _ in 0..8 {
        let why = leaving.next().await.unwrap().to_string();
        assert!(why.contains("too many clients"), "{why}");
    }
    assert_eq!(links.iter().filter(|link| link.error().is_none()).count(), ROOM);
    ask(&net, "in the crowd").await;

    // Whoever shows no channel in time goes.
    while leaving.next().await.is_some() {}
    net.kill(Service::Client);
    net.start_client().await.unwrap();
    ask(&net, "after").await;
    stranger.stop().await;
    net.stop().await;
}
