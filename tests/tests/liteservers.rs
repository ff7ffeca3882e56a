//! The services see the chain through liteservers, and trust none of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use cocoon_devnet::Fault;
use cocoon_e2e::*;

#[tokio::test(flavor = "multi_thread")]
async fn attacks_85_86_one_honest_liteserver_among_four_is_enough() {
    let mut config = config();
    config.liars = vec![Fault::ForgeState, Fault::ForgeSignature, Fault::Stall];
    let mut net = start(config).await;
    let (text, finished) = ask(&net, "What is Toncoin?").await;
    assert!(text.contains("Toncoin"));
    let settlement = net.settle().await.unwrap();
    assert_eq!(settlement.claimed, finished.cost);
    assert_conserved(&net).await;
    net.stop().await;
}
