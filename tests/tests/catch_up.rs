//! How fast an index catches up: `scripts/bench index`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocoon_chain::{Chain, OutMessage, Wallet, WalletVersion};
use cocoon_devnet::Devnet;
use cocoon_devnet::clock::SystemClock;
use cocoon_node::channels;
use cocoon_protocol::frame::ChannelTerms;
use cocoon_protocol::{Nano, NodeKey, StdAddr};
use cocoon_watcher::{Follower, Index};
use cocoon_wrappers::generated::pay_channel::TopUp;

const CHANNELS: u64 = 200;
const ROUNDS: u64 = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: scripts/bench index"]
async fn an_index_catches_up() {
    let settings =
        cocoon_devnet::Settings { folder: None, clock: Box::new(SystemClock), tick: None, ..Default::default() };
    let devnet = Devnet::start(settings).await.unwrap();
    let key = NodeKey::from_seed(&[1; 32]);
    let wallet = Wallet::new(key.clone(), WalletVersion::V5R1, devnet.network()).unwrap();
    devnet.faucet(wallet.address(), Nano::from_ton(1_000_000)).await.unwrap();
    let terms = |salt| ChannelTerms {
        payer: wallet.address().clone(),
        payee: devnet.giver().clone(),
        payer_key: key.public(),
        payee_key: key.public(),
        salt,
        challenge: 3600,
        protocol_fee_bps: 0,
    };
    let made: Vec<_> = (0..CHANNELS).map(|salt| channels::identify(&terms(salt)).unwrap()).collect();
    for round in 0..ROUNDS {
        let top_up = |(init, to): &(cocoon_chain::StateInit, StdAddr)| {
            let body = TopUp { query_id: round, amount: Nano::new(1_000).into() }.to_cell().unwrap();
            let message = OutMessage::new(to.clone(), Nano::new(100_000_000)).body(body);
            if round == 0 { message.state_init(init.clone()) } else { message }
        };
        let messages: Vec<_> = made.iter().map(top_up).collect();
        wallet.send_and_confirm(&devnet, &messages).await.unwrap();
    }
    for _ in 0..4 {
        devnet.tick().await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let registry = devnet.giver().clone();
    let index =
        Arc::new(Index::open(&folder.path().join("index.db"), devnet.config().await.unwrap(), registry).unwrap());
    let began = Instant::now();
    Follower::new(index.clone()).catch_up(&devnet).await.unwrap();
    let took = began.elapsed();
    let ours: u64 =
        index.read(|db| db.query_row("SELECT count(*) FROM transactions", [], |r| r.get::<_, i64>(0))).unwrap() as u64;
    assert_eq!(ours, CHANNELS * ROUNDS);
    let all = devnet.supply().await.unwrap().totals.transactions;
    let rate = |n: u64, t: Duration| n as f64 / t.as_secs_f64();
    println!("\n{all} transactions in {} blocks, {ours} of them of channels, in {took:?}", index.seqno());
    println!("{:>8.0} transactions/s, {:>8.0} of channels/s", rate(all, took), rate(ours, took));
}
