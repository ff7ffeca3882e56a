//! Services die in mid-answer, channels run dry, evidence is wrong: each ends in a clear error at the right place, and
//! nobody's money is off by a nano.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use cocoon_attest::sim::Simulator;
use cocoon_attest::{AttestError, Measurements};
use cocoon_e2e::*;
use cocoon_engine::SealedModel;
use cocoon_localnet::Service;
use cocoon_node::{ChannelError, Node, NodeError};
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{FaultCode, Nano, Role};

#[tokio::test(flavor = "multi_thread")]
async fn attack_79_a_worker_killed_in_mid_answer_is_not_paid_and_the_caller_is_told() {
    let mut net = start(config()).await;
    let answer = begin_long_answer(&net).await;
    net.kill(Service::Worker);
    let fault = fault(answer).await;
    assert_eq!(fault.code, FaultCode::WorkerFailed, "{fault}");
    assert!(fault.message.contains("nothing is billed"), "{fault}");

    net.start_worker().await.unwrap();
    let (text, finished) = ask(&net, "What is Toncoin?").await;
    assert!(text.contains("Toncoin"));
    let books = billed(&net).await;
    assert_eq!((books.client, books.proxy_earned), (finished.cost, finished.cost), "the first answer cost nothing");
    let earned = finished.receipt.receipt.cost;
    assert_eq!((books.proxy_spent, books.worker), (earned, earned));

    let settlement = net.settle().await.unwrap();
    assert_eq!((settlement.claimed, settlement.worker_claimed), (finished.cost, earned));
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_79_a_proxy_killed_in_mid_answer_bears_its_own_loss() {
    let mut net = start(config()).await;
    let answer = begin_long_answer(&net).await;
    net.kill(Service::Proxy);
    let fault = fault(answer).await;
    assert_eq!(fault.code, FaultCode::ProxyFailed, "{fault}");

    net.start_proxy().await.unwrap();
    net.wait_for_offers().await.unwrap();
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let books = billed(&net).await;
    assert_eq!(
        (books.client, books.proxy_earned),
        (finished.cost, finished.cost),
        "the client owes the second answer only"
    );
    assert_eq!(books.proxy_spent, books.worker, "the proxy has adopted what the worker proved");
    assert!(
        books.worker > finished.receipt.receipt.cost,
        "what the worker had released is paid by the proxy that left"
    );

    let settlement = net.settle().await.unwrap();
    assert_eq!((settlement.claimed, settlement.worker_claimed), (finished.cost, books.worker));
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_79_a_caller_that_leaves_pays_for_what_it_got() {
    let mut net = start(config()).await;
    drop(begin_long_answer(&net).await);
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let books = billed(&net).await;
    assert!(books.client > finished.cost, "the tokens up to there are billed");
    assert_eq!(books.client, books.proxy_earned);
    assert_eq!(books.proxy_spent, books.worker);
    let settlement = net.settle().await.unwrap();
    assert_eq!((settlement.claimed, settlement.worker_claimed), (books.client, books.worker));
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_79_a_client_killed_in_mid_answer_finds_its_books_right_when_it_is_back() {
    let mut net = start(config()).await;
    let answer = begin_long_answer(&net).await;
    net.kill(Service::Client);
    drop(answer);
    net.start_client().await.unwrap();
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let books = billed(&net).await;
    assert_eq!(books.client, books.proxy_earned, "compared at the new session");
    assert!(books.client > finished.cost, "what was passed on is billed to the client that left");
    assert_eq!(books.proxy_spent, books.worker);
    let settlement = net.settle().await.unwrap();
    assert_eq!((settlement.claimed, settlement.worker_claimed), (books.client, books.worker));
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_channel_is_told_before_anything_is_spent() {
    let mut config = config();
    config.client.deposit = Nano::new(100_000);
    let mut net = start(config).await;
    let fault = fault(net.ask(question("What is Toncoin?")).await.unwrap()).await;
    assert_eq!(fault.code, FaultCode::InsufficientFunds, "{fault}");
    assert!(fault.message.contains("top the channel up"), "{fault}");
    let books = billed(&net).await;
    assert_eq!([books.client, books.proxy_earned, books.proxy_spent, books.worker], [Nano::ZERO; 4]);
    let mut small = question("What is Toncoin?");
    small["max_tokens"] = 1.into();
    let refused = read(net.ask(small).await.unwrap()).await;
    assert!(refused.is_err(), "twelve prompt tokens alone cost more than the deposit");
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_tops_up_the_channel_of_a_worker_that_earns() {
    let mut config = config();
    // Enough for the worst case of one answer, but not of a second one.
    config.proxy.worker_deposit = Nano::new(210_000_000);
    let mut net = start(config).await;
    let mut cost = Nano::ZERO;
    for _ in 0..3 {
        let finished = loop {
            match read(net.ask(question(LONG)).await.unwrap()).await {
                Ok((_, finished)) => break finished,
                Err(fault) => assert_eq!(fault.code, FaultCode::Overloaded, "{fault}"),
            }
            net.chain.tick().await.unwrap();
        };
        cost = cost.saturating_add(finished.cost);
    }
    let books = billed(&net).await;
    assert_eq!(books.client, cost);
    let settlement = net.settle().await.unwrap();
    assert_eq!((settlement.claimed, settlement.worker_claimed), (cost, books.worker));
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_25_a_channel_is_known_by_the_address_that_its_terms_and_the_code_give() {
    let mut net = start(config()).await;
    let proxy = net.proxy().unwrap().node.clone();
    let honest = net.client().unwrap().client.channel().terms().clone();
    assert!(proxy.payee_channel(&honest).await.is_ok());
    // Any other terms are another address, where nothing is, whatever the client says it deployed.
    let other = ChannelTerms { salt: 99, ..honest.clone() };
    assert!(matches!(proxy.payee_channel(&other).await, Err(ChannelError::NotOpen(_))));
    let short = ChannelTerms { challenge: 600, ..honest.clone() };
    assert!(matches!(proxy.payee_channel(&short).await, Err(ChannelError::Challenge { .. })));
    let not_ours = ChannelTerms { payee_key: honest.payer_key, ..honest.clone() };
    assert!(matches!(proxy.payee_channel(&not_ours).await, Err(ChannelError::Foreign(_))));
    let not_to_us = ChannelTerms { payee: honest.payer.clone(), ..honest };
    assert!(matches!(proxy.payee_channel(&not_to_us).await, Err(ChannelError::Foreign(_))));
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_60_a_node_with_an_unapproved_image_does_not_start() {
    let net = cocoon_localnet::LocalNet::open(config(), &mut |_| {}).await.unwrap();
    let config = net.node_config_with(Role::Worker, &Measurements::simulated(b"a patched worker")).await.unwrap();
    let error = Node::start(config).await.err().unwrap();
    assert!(matches!(&error, NodeError::Unacceptable(AttestError::ImageNotApproved { .. })), "{error}");
    // The approved image of another role does not do either.
    let config = net.node_config_with(Role::Worker, &cocoon_localnet::measurements(Role::Proxy)).await.unwrap();
    let error = Node::start(config).await.err().unwrap();
    assert!(matches!(&error, NodeError::Unacceptable(AttestError::ImageNotApproved { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_66_a_quote_of_another_root_is_refused() {
    let net = cocoon_localnet::LocalNet::open(config(), &mut |_| {}).await.unwrap();
    let stranger = Arc::new(Simulator::from_seed(&[77; 32]).unwrap());
    let mut config = net.node_config(Role::Worker).await.unwrap();
    let quoter = stranger.platform(0).unwrap().quoter(cocoon_localnet::measurements(Role::Worker));
    config.quoter = Some(Arc::new(quoter));
    config.collateral = stranger;
    let error = Node::start(config).await.err().unwrap();
    assert!(matches!(&error, NodeError::Unacceptable(AttestError::RootNotAllowed { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tampered_model_is_not_loaded_and_both_hashes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("cocoon-tiny");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(cocoon_localnet::NetConfig::shipped_model()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let mut honest = config();
    honest.model = model.clone();
    let mut net = cocoon_localnet::LocalNet::open(honest, &mut |_| {}).await.unwrap();
    net.start_proxy().await.unwrap();

    // One bit flips after the vote.
    let weights = model.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();

    let error = format!("{:#}", net.start_worker().await.unwrap_err());
    let found = cocoon_engine::identity::Manifest::of(&model).unwrap().root();
    assert!(error.contains(&found.to_string()) && error.contains(&net.model.to_string()), "{error}");
    assert!(SealedModel::open(&model, &[net.model]).is_err());
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_killed_and_started_again_loses_no_voucher_and_settles_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.data = Some(folder.path().to_owned());
    let mut net = start(config.clone()).await;
    let (_, first) = ask(&net, "What is Toncoin?").await;
    billed(&net).await;
    for service in [Service::Client, Service::Worker, Service::Proxy] {
        net.kill(service);
    }
    net.chain.stop().await;
    drop(net);

    let mut net = start(config).await;
    let (_, second) = ask(&net, "What is TON?").await;
    let books = billed(&net).await;
    let both = first.cost.saturating_add(second.cost);
    assert_eq!((books.client, books.proxy_earned), (both, both));
    assert_eq!(second.receipt.receipt.seqno, 2, "receipts go on where they stopped");
    assert_eq!(second.receipt.receipt.previous, first.receipt.receipt.hash().unwrap());
    let settlement = net.settle().await.unwrap();
    assert_eq!(settlement.claimed, both);
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_follows_a_proxy_that_has_moved() {
    let mut net = start(config()).await;
    let before = net.proxy().unwrap().addr;
    net.kill(Service::Client);
    net.kill(Service::Proxy);
    // Somebody else has the port now.
    let _taken = loop {
        match std::net::TcpListener::bind(before) {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    net.start_proxy().await.unwrap();
    assert_ne!(net.proxy().unwrap().addr, before);
    net.wait_for_offers().await.unwrap();
    net.start_client().await.unwrap();
    let (text, _) = ask(&net, "What is Toncoin?").await;
    assert!(!text.is_empty());
    net.stop().await;
}
