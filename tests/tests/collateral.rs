//! Collateral where nobody fetches any.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use cocoon_attest::CollateralStore;
use cocoon_client::{Client, ClientConfig};
use cocoon_e2e::*;
use cocoon_localnet::LocalNet;
use cocoon_node::Node;
use cocoon_protocol::Role;

/// A client that reaches no collateral service is handed the vendor's word by its proxy, about the proxy's platform and the worker's,
/// and verifies both (attack 64).
#[tokio::test(flavor = "multi_thread")]
async fn attack_64_a_client_without_collateral_verifies_proxy_and_worker_with_what_it_is_handed() {
    let mut net = LocalNet::open(config(), &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();
    net.start_worker().await.unwrap();
    let mut own = net.node_config(Role::Client).await.unwrap();
    own.collateral = Arc::new(CollateralStore::default());
    let node = Node::start(own).await.unwrap();
    assert_eq!(node.image(), None, "a client shows a key and runs where it likes");
    let entry = node.registry().proxies.first().unwrap().clone();
    let client = Client::new(node.clone(), ClientConfig::default(), entry).await.unwrap();
    let body = serde_json::to_vec(&question("What is Toncoin?")).unwrap();
    let (text, _) = read(client.ask("cocoon-tiny", body).await.unwrap()).await.unwrap();
    assert!(!text.is_empty());
    let stats = node.endpoint().verifier().stats();
    assert!(stats.verified > 0, "{stats:?}");
    node.stop().await;
    net.stop().await;
}
