//! What the end-to-end tests share: a network in this process, questions, and books that must agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

pub mod cpu;
pub mod null;
pub mod rogue;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use cocoon_client::{Answer, AnswerEvent, Finished};
use cocoon_link::{Expect, Link};
use cocoon_localnet::{LocalNet, NetConfig};
use cocoon_node::Node;
use cocoon_protocol::openai::fold::Fold;
use cocoon_protocol::{Fault, Nano, NodeKey, Role, Tokens};
use serde_json::{Value, json};

/// A question with a long answer.
pub const LONG: &str = "Tell me a story.";

/// The shipped model, with a small pay-ahead window, so that an answer stops soon when nobody pays.
pub fn config() -> NetConfig {
    let mut config = NetConfig::new(&NetConfig::shipped_model());
    config.client.window = Tokens(8);
    config.client.patience = Duration::from_secs(20);
    config
}

/// A whole network.
pub async fn start(config: NetConfig) -> LocalNet {
    let mut net = LocalNet::open(config, &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();
    net.start_worker().await.unwrap();
    net.start_client().await.unwrap();
    net
}

/// A node beside the network's own, with a key and a store of its own.
pub async fn another_node(net: &LocalNet, role: Role, key: NodeKey) -> Arc<Node> {
    let mut config = net.node_config(role).await.unwrap();
    config.store = net.dir().join(format!("{}.redb", key.public()));
    config.key = key;
    Node::start(config).await.unwrap()
}

/// Dials the network's proxy.
pub async fn dial_proxy(net: &LocalNet, node: &Node) -> Link {
    let proxy = net.proxy().unwrap();
    let expect = Expect::node(Role::Proxy, proxy.node.key().public());
    node.endpoint().connect(proxy.addr, &expect).await.unwrap()
}

/// A request body.
pub fn question(text: &str) -> Value {
    json!({ "model": "cocoon-tiny", "messages": [{ "role": "user", "content": text }], "temperature": 0 })
}

/// Reads an answer to its end.
pub async fn read(mut answer: Answer) -> Result<(String, Finished), Fault> {
    let mut fold = Fold::default();
    loop {
        match answer.next().await? {
            AnswerEvent::Accepted { .. } => {}
            AnswerEvent::Chunk(data) => fold.push(&data).unwrap(),
            AnswerEvent::Finished(finished) => return Ok((fold.text(0).to_owned(), *finished)),
        }
    }
}

/// Asks and reads the whole answer.
pub async fn ask(net: &LocalNet, text: &str) -> (String, Finished) {
    read(net.ask(question(text)).await.unwrap()).await.unwrap()
}

/// Begins a long answer and reads three chunks of it. It then waits for its reader, and so, unpaid, does the worker.
pub async fn begin_long_answer(net: &LocalNet) -> Answer {
    let mut answer = net.ask(question(LONG)).await.unwrap();
    for _ in 0..3 {
        loop {
            if let AnswerEvent::Chunk(_) = answer.next().await.unwrap() {
                break;
            }
        }
    }
    answer
}

/// The fault that ends an answer.
pub async fn fault(answer: Answer) -> Fault {
    match read(answer).await {
        Ok(_) => panic!("the answer should have failed"),
        Err(fault) => fault,
    }
}

/// What each side has on its books: client as payer, proxy as payee, proxy as payer, worker as payee.
#[derive(Debug, PartialEq, Eq)]
pub struct Billed {
    /// The client's books of its channel.
    pub client: Nano,
    /// The proxy's books of the client's channel.
    pub proxy_earned: Nano,
    /// The proxy's books of the worker's channel.
    pub proxy_spent: Nano,
    /// The worker's books of its channel.
    pub worker: Nano,
}

/// Reads all books, and checks that nothing is left in flight or reserved.
pub async fn billed(net: &LocalNet) -> Billed {
    let (client, proxy, worker) = (net.client().unwrap(), net.proxy().unwrap(), net.worker().unwrap());
    let idle = || {
        client.client.channel().with(|b| b.in_flight() == 0)
            && proxy.node.earning_channels().iter().all(|c| c.with(|b| b.in_flight() == 0))
            && proxy.node.paying_channels().iter().all(|c| c.with(|b| b.in_flight() == 0))
            && worker.node.earning_channels().iter().all(|c| c.with(|b| b.in_flight() == 0))
    };
    for _ in 0..500 {
        if idle() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(idle(), "a reservation has leaked");
    let earned = |node: &cocoon_node::Node| node.earning_channels().iter().map(|c| c.with(|b| b.billed())).sum();
    Billed {
        client: client.client.channel().with(|b| b.billed()),
        proxy_earned: earned(&proxy.node),
        proxy_spent: proxy.node.paying_channels().iter().map(|c| c.with(|b| b.billed())).sum(),
        worker: earned(&worker.node),
    }
}

/// All Toncoin is still there.
pub async fn assert_conserved(net: &LocalNet) {
    assert_eq!(net.chain.supply().await.unwrap().sum(), cocoon_devnet::genesis::SUPPLY);
}
