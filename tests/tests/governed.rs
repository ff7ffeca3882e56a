//! What the DAO and its council decide reaches the services within a block.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use cocoon_chain::Chain;
use cocoon_e2e::*;
use cocoon_localnet::EntryKind;
use cocoon_protocol::{FaultCode, Hash256, Role};

/// Waits for something to become true; fails instead of hanging.
async fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} should have happened long ago");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_60_a_suspended_image_loses_its_links_within_a_block() {
    let mut net = start(config()).await;
    ask(&net, "What is Toncoin?").await;
    let image = Hash256(net.image(Role::Worker).0);
    let member = net.wallet("member 1").unwrap();
    let council = net.council();
    net.dao().unwrap().suspend(&member, &council[..2], EntryKind::Image, image).await.unwrap();
    let suspended_at = net.chain.head().await.unwrap().seqno;
    let proxy = net.proxy().unwrap().proxy.clone();
    soon("the worker's link should drop", || proxy.offers().is_empty()).await;
    // No block but the one with the suspension was needed: the clock makes one each second.
    let dropped_at = net.chain.head().await.unwrap().seqno;
    assert!(dropped_at <= suspended_at + 2, "{suspended_at} {dropped_at}");
    let fault = net.ask(question("What is Toncoin?")).await;
    let fault = fault.err().and_then(|e| e.downcast::<cocoon_protocol::Fault>().ok()).unwrap();
    assert_eq!(fault.code, FaultCode::Overloaded, "{fault}");

    // It lapses by itself, unless the DAO ratifies it.
    net.chain.advance(Duration::from_secs(7 * 86_400 + 60)).await.unwrap();
    net.wait_for_offers().await.unwrap();
    ask(&net, "What is Toncoin?").await;
    let again = net.dao().unwrap().suspend(&member, &council[..2], EntryKind::Image, image).await;
    assert!(again.is_err(), "once in each approval (attack 41)");
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_40_one_of_the_council_alone_can_do_nothing() {
    let mut net = start(config()).await;
    let image = Hash256(net.image(Role::Worker).0);
    let member = net.wallet("member 1").unwrap();
    let council = net.council();
    let alone = net.dao().unwrap().suspend(&member, &council[..1], EntryKind::Image, image).await;
    assert!(alone.is_err());
    ask(&net, "What is Toncoin?").await;
    net.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_in_a_claimed_voucher_counts_for_the_worker() {
    let mut config = config();
    config.report_from = cocoon_protocol::Nano::ZERO;
    let mut net = start(config).await;
    let (_, first) = ask(&net, "What is Toncoin?").await;
    let (_, second) = ask(&net, "What is Toncoin?").await;
    let settlement = net.settle().await.unwrap();
    let earned = first.receipt.receipt.cost.saturating_add(second.receipt.receipt.cost);
    assert_eq!(settlement.worker_claimed, earned);
    let record = net.dao().unwrap().reputation(&net.node_key(Role::Worker).public()).await.unwrap();
    assert_eq!((record.good, record.bad), (u128::from(earned.get()), 0));
    assert_conserved(&net).await;
    net.stop().await;
}
