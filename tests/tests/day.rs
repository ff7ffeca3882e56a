//! A day in the life of a network, in a minute: `scripts/soak`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::light::LightClient;
use cocoon_chain::{BlockFeed, Chain, ChainError, NetworkBlock};
use cocoon_e2e::*;
use cocoon_localnet::Service;
use cocoon_protocol::{Nano, Role};
use cocoon_watcher::{Follower, Index};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DAY: u32 = 86_400;

/// A feed that breaks off somewhere: the watcher dies there.
struct BreaksOff<'a>(&'a LightClient, u32);

#[async_trait::async_trait]
impl BlockFeed for BreaksOff<'_> {
    async fn network_block(&self, seqno: u32) -> Result<Option<NetworkBlock>, ChainError> {
        if seqno > self.1 { Ok(None) } else { self.0.network_block(seqno).await }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute or two: scripts/soak"]
async fn a_day_with_kills_ends_with_every_nano_accounted_for() {
    let seed = std::env::var("COCOON_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("COCOON_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let mut net = start(config()).await;
    let began = net.chain.head().await.unwrap().utime;
    let (mut answered, mut failed, mut kills, mut paid) = (0u32, 0u32, 0u32, Nano::ZERO);
    while net.chain.head().await.unwrap().utime.0 < began.0 + DAY {
        net.chain.advance(Duration::from_secs(rng.gen_range(30..1500))).await.unwrap();
        for _ in 0..rng.gen_range(0..4) {
            match net.ask(question("What is Toncoin?")).await {
                Ok(answer) => match read(answer).await {
                    Ok((_, finished)) => {
                        answered += 1;
                        paid = paid.saturating_add(finished.cost);
                    }
                    Err(fault) => {
                        println!("in mid-answer: {fault}");
                        failed += 1;
                    }
                },
                Err(error) => {
                    println!("not asked: {error:#}");
                    failed += 1;
                }
            }
        }
        if rng.gen_bool(0.12) {
            // In the middle of an answer, or between two.
            let dying = if rng.gen_bool(0.5) { net.ask(question(LONG)).await.ok() } else { None };
            net.kill(Service::Proxy);
            drop(dying);
            kills += 1;
            net.start_proxy().await.unwrap();
            net.wait_for_offers().await.unwrap();
        }
        if rng.gen_bool(0.3) {
            // The watcher lives for some blocks and dies.
            let light = LightClient::connect(net.light_settings(Role::Client).unwrap()).await.unwrap();
            let index = Index::open(&path, light.config().await.unwrap(), net.registry.clone()).unwrap();
            let until = index.seqno() + rng.gen_range(0..200);
            Follower::new(Arc::new(index)).catch_up(&BreaksOff(&light, until)).await.unwrap();
            kills += 1;
        }
    }
    let books = billed(&net).await;
    assert_eq!(books.client, books.proxy_earned);
    assert_eq!(books.proxy_spent, books.worker);
    assert!(books.client >= paid, "an answer that was cut off by a kill may be billed, too: {} < {paid}", books.client);
    let settlement = net.settle().await.unwrap();
    assert_eq!((settlement.claimed, settlement.worker_claimed), (books.client, books.worker));
    assert_conserved(&net).await;

    let open = |name| {
        let (chain, registry) = (net.chain.clone(), net.registry.clone());
        let path = folder.path().join(name);
        async move { Arc::new(Index::open(&path, chain.config().await.unwrap(), registry).unwrap()) }
    };
    let (lived, replayed) = (open("index.db").await, open("replay.db").await);
    let end = net.chain.head().await.unwrap().seqno;
    for index in [&lived, &replayed] {
        let light = LightClient::connect(net.light_settings(Role::Client).unwrap()).await.unwrap();
        while light.head().await.unwrap().seqno < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Follower::new(index.clone()).catch_up(&BreaksOff(&light, end)).await.unwrap();
        assert_eq!(index.seqno(), end);
    }
    assert_eq!(lived.digest().unwrap(), replayed.digest().unwrap(), "the index is its replay");
    println!("{answered} answers, {failed} failed, {kills} kills, {end} blocks, {} billed", books.client);
    assert!(answered > 20 && kills > 5);
    net.stop().await;
}
