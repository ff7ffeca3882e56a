//! A crowd at a proxy's door: clients need no trust domain, so anybody can be one, as often as a machine can make links.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use cocoon_e2e::null::NullEngine;
use cocoon_e2e::*;
use cocoon_link::{Expect, Link};
use cocoon_localnet::{LocalNet, Service};
use cocoon_node::Node;
use cocoon_protocol::{NodeKey, Role};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

/// Links without a channel that a proxy holds for one address.
const ROOM: usize = 32;

/// Dials the proxy as a client whom nobody knows, and says nothing.
async fn strangers(net: &LocalNet, count: usize) -> (std::sync::Arc<Node>, Vec<Link>) {
    let mut config = net.node_config(Role::Client).await.unwrap();
    config.store = net.dir().join("stranger.redb");
    config.key = NodeKey::from_seed(&[75; 32]);
    let node = Node::start(config).await.unwrap();
    let proxy = net.proxy().unwrap();
    let expect = Expect::node(Role::Proxy, proxy.node.key().public());
    let mut links = vec![];
    for _ in 0..count {
        links.push(node.endpoint().connect(proxy.addr, &expect).await.unwrap());
    }
    (node, links)
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_75_a_crowd_of_strangers_is_bounded_served_clients_notice_nothing_and_the_door_opens_again() {
    let mut config = config();
    config.proxy.patience = Duration::from_secs(5);
    let mut net = LocalNet::open(config, &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();
    net.start_worker_on(NullEngine::new(net.model)).await.unwrap();
    net.start_client().await.unwrap();
    ask(&net, "before").await;

    let (stranger, links) = strangers(&net, ROOM + 8).await;
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
