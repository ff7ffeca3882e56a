//! A client demands that the worker it talks to is in the transparency log.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use cocoon_chain::Chain;
use cocoon_e2e::*;
use cocoon_localnet::LocalNet;
use cocoon_node::log;
use cocoon_protocol::{Fault, FaultCode, Hash256, NodeKey, Role};
use cocoon_transparency::evidence_digest;

/// Why a question is not even sent.
async fn refusal(net: &LocalNet) -> Fault {
    let refused = net.ask(question("What is Toncoin?")).await;
    refused.err().and_then(|error| error.downcast::<Fault>().ok()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_demands_the_log_is_answered_by_a_logged_worker() {
    let mut net = start(config()).await;
    let (text, finished) = ask(&net, "What is Toncoin?").await;
    assert!(text.contains("Toncoin"));
    let offered = net.proxy().unwrap().proxy.offers();
    let shown = &offered[0].candidates[0];
    assert_eq!(shown.evidence, finished.evidence);
    let proof = shown.logged.as_ref().unwrap();
    let state = log::read(&*net.chain, &net.registry).await.unwrap();
    assert!(proof.index < state.size());
    assert_conserved(&net).await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_59_a_worker_that_is_not_logged_is_refused_by_a_client_that_demands_it_and_by_no_other() {
    let mut config = config();
    config.log_evidence = false;
    let mut net = start(config).await;
    let fault = refusal(&net).await;
    assert_eq!(fault.code, FaultCode::AttestationFailed, "{fault}");
    assert!(fault.message.contains("does not show that its evidence is in the transparency log"), "{fault}");
    assert!(fault.message.contains("demand_logged"), "{fault}");
    let books = billed(&net).await;
    assert_eq!(books.client, books.proxy_earned);

    net.kill(cocoon_localnet::Service::Client);
    net.config.client.demand_logged = false;
    net.start_client().await.unwrap();
    ask(&net, "What is Toncoin?").await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_of_others_disturb_nobody() {
    let mut net = start(config()).await;
    let others = net.wallet("member 1").unwrap();
    let proof = |net: &LocalNet| net.proxy().unwrap().proxy.offers()[0].candidates[0].logged.clone().unwrap();
    let first = proof(&net);
    for i in 0..5u8 {
        let (node, digest) = (NodeKey::from_seed(&[i; 32]), Hash256([i; 32]));
        log::publish(&others, &*net.chain, &net.registry, &node, &digest).await.unwrap();
        // One that has seen the worker in the log before, and one that has not.
        ask(&net, "What is Toncoin?").await;
        net.kill(cocoon_localnet::Service::Client);
        net.start_client().await.unwrap();
        ask(&net, "What is Toncoin?").await;
    }
    let last = proof(&net);
    assert_eq!((last.index, last.at), (first.index, first.at), "its leaf is the same");
    assert!(last.path.len() > first.path.len() || last == first);
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_logged_before_it_is_shown() {
    let mut net = start(config()).await;
    let (_, first) = ask(&net, "What is Toncoin?").await;
    net.chain.advance(Duration::from_secs(50 * 60)).await.unwrap();
    let key = net.node_key(Role::Worker).public();
    let mut seen = vec![];
    for _ in 0..400 {
        let shown = net.proxy().unwrap().proxy.offers()[0].candidates[0].clone();
        assert!(shown.logged.is_some(), "what is not in the log is not shown");
        if shown.evidence != first.evidence {
            seen.push(shown);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let renewed = seen.pop().unwrap();
    let state = log::read(&*net.chain, &net.registry).await.unwrap();
    let digest = evidence_digest(&renewed.evidence);
    cocoon_transparency::require_evidence(&state, &key, &digest, &renewed.logged.unwrap()).unwrap();
    let (_, second) = ask(&net, "What is TON?").await;
    assert_eq!(second.evidence, renewed.evidence);
    assert!(net.chain.head().await.unwrap().utime > first.receipt.receipt.time);
    net.stop().await;
}
