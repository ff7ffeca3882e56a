//! The explorer's index and the watchtower, on a network that lives.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cocoon_chain::light::LightClient;
use cocoon_chain::{BlockFeed, Chain, ChainError, NetworkBlock};
use cocoon_e2e::*;
use cocoon_localnet::{LocalNet, Service};
use cocoon_node::channels;
use cocoon_protocol::{Nano, Role, UnixSeconds};
use cocoon_watcher::{Follower, Index, Tower, TowerError, api};
use futures::StreamExt;
use serde_json::Value;

async fn index(net: &LocalNet, path: &Path) -> Arc<Index> {
    Arc::new(Index::open(path, net.chain.config().await.unwrap(), net.registry.clone()).unwrap())
}

/// A feed that ends after a number of blocks: what a watcher sees that is killed there.
struct Until<'a>(&'a dyn BlockFeed, u32);

#[async_trait::async_trait]
impl BlockFeed for Until<'_> {
    async fn network_block(&self, seqno: u32) -> Result<Option<NetworkBlock>, ChainError> {
        if seqno > self.1 { Ok(None) } else { self.0.network_block(seqno).await }
    }
}

fn one(index: &Index, sql: &str) -> i64 {
    index.read(|db| db.query_row(sql, [], |row| row.get(0))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_knows_what_the_chain_knows_and_is_the_same_however_it_was_made() {
    let mut net = start(config()).await;
    let (_, finished) = ask(&net, "What is Toncoin?").await;
    let settlement = net.settle().await.unwrap();
    assert_eq!(settlement.claimed, finished.cost);
    let folder = tempfile::tempdir().unwrap();

    let whole = index(&net, &folder.path().join("whole.db")).await;
    let follower = Follower::new(whole.clone());
    follower.catch_up(&*net.chain).await.unwrap();
    assert_eq!(whole.seqno(), net.chain.head().await.unwrap().seqno);

    // Against the contracts themselves.
    let client = net.client().unwrap().client.channel().address().clone();
    let state = channels::read(&*net.chain, &client).await.unwrap().unwrap();
    let (deposit, claimed, epoch): (i64, i64, u32) = whole
        .read(|db| {
            let sql = "SELECT deposit, claimed, epoch FROM channels WHERE address = ?1";
            db.query_row(sql, [client.to_string()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        })
        .unwrap();
    assert_eq!((deposit as u64, claimed as u64, epoch), (state.deposit.get(), state.claimed.get(), state.epoch));
    assert_eq!(one(&whole, "SELECT count(*) FROM channels"), 2);
    assert_eq!(one(&whole, "SELECT count(*) FROM claims"), 2);
    assert_eq!(
        one(&whole, "SELECT sum(amount) FROM claims") as u64,
        (settlement.claimed.get() + settlement.worker_claimed.get())
    );
    assert_eq!(one(&whole, "SELECT count(*) FROM stakes"), 4);
    assert_eq!(one(&whole, "SELECT count(*) FROM entries WHERE kind = 'image'"), 2);
    assert_eq!(one(&whole, "SELECT count(*) FROM entries WHERE kind = 'model'"), 1);
    assert_eq!(one(&whole, "SELECT count(*) FROM proxies"), 1);
    assert_eq!(one(&whole, "SELECT count(*) FROM proposals WHERE status = 7"), 1, "executed");
    assert_eq!(one(&whole, "SELECT count(*) FROM nodes"), 1);
    assert_eq!(one(&whole, "SELECT max(id) - count(*) FROM events"), 0, "ids have no gaps");
    for (account,) in whole
        .read(|db| {
            db.prepare("SELECT address FROM contracts")?
                .query_map([], |r| Ok((r.get::<_, String>(0)?,)))?
                .collect::<Result<Vec<_>, _>>()
        })
        .unwrap()
    {
        let found = net.chain.transactions(&account.parse().unwrap(), 0, 1000).await.unwrap().len();
        let sql = format!("SELECT count(*) FROM transactions WHERE account = '{account}'");
        assert_eq!(one(&whole, &sql), found as i64, "every transaction of {account}");
    }

    // Killed and opened again after every few blocks, and made anew.
    let pieces = folder.path().join("pieces.db");
    for until in (0..whole.seqno() + 7).step_by(7) {
        let index = index(&net, &pieces).await;
        Follower::new(index).catch_up(&Until(&*net.chain, until)).await.unwrap();
    }
    let pieces = index(&net, &pieces).await;
    pieces.read(|db| db.query_row("SELECT 1", [], |_| Ok(()))).unwrap();
    Follower::new(pieces.clone()).catch_up(&Until(&*net.chain, whole.seqno())).await.unwrap();
    assert_eq!(pieces.digest().unwrap(), whole.digest().unwrap());

    // Through a liteserver that is not trusted: the same blocks, the same rows.
    let light = LightClient::connect(net.light_settings(Role::Client).unwrap()).await.unwrap();
    let proven = index(&net, &folder.path().join("proven.db")).await;
    Follower::new(proven.clone()).catch_up(&Until(&light, whole.seqno())).await.unwrap();
    assert_eq!(proven.digest().unwrap(), whole.digest().unwrap());

    let other = Index::open(&folder.path().join("whole.db"), net.chain.config().await.unwrap(), client);
    assert!(other.err().unwrap().to_string().contains("use another file"));
    net.stop().await;
}

async fn serve(follower: Arc<Follower>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, api::routes(follower)).await.unwrap() });
    addr
}

async fn get(addr: SocketAddr, path: &str) -> (u16, Value) {
    let response = reqwest::get(format!("http://{addr}{path}")).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_lists_pages_and_streams() {
    let net = start(config()).await;
    let folder = tempfile::tempdir().unwrap();
    let follower = Arc::new(Follower::new(index(&net, &folder.path().join("index.db")).await));
    follower.catch_up(&*net.chain).await.unwrap();
    let addr = serve(follower.clone()).await;

    let (code, status) = get(addr, "/v1/status").await;
    assert_eq!((code, &status["registry"]), (200, &Value::from(net.registry.to_string())));
    let channels = get(addr, "/v1/channels").await.1;
    let channel = channels[0]["address"].as_str().unwrap();
    assert_eq!(get(addr, &format!("/v1/channels/{channel}")).await.1, channels[0]);
    assert!(channels[0]["deposit"].is_string(), "amounts are strings");
    assert_eq!(get(addr, "/v1/stakes").await.1.as_array().unwrap().len(), 4);
    let mut ids = vec![];
    loop {
        let after = ids.last().copied().unwrap_or(0);
        let page = get(addr, &format!("/v1/events?after={after}&limit=5")).await.1;
        let page: Vec<i64> = page.as_array().unwrap().iter().map(|e| e["id"].as_i64().unwrap()).collect();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 5);
        ids.extend(page);
    }
    assert_eq!(ids, (1..=ids.len() as i64).collect::<Vec<_>>());
    assert_eq!(get(addr, "/v1/channels/0:00").await.0, 404);
    assert_eq!(get(addr, "/v1/events?after=x").await.0, 400);
    assert_eq!(get(addr, "/v1/transactions").await.0, 400);
    assert_eq!(get(addr, "/v1/channels?payer=%27%20OR%201=1--").await.1, Value::Array(vec![]));

    // A stream begins where it is told, and goes on with what happens.
    let from = ids.len() - 2;
    let stream = reqwest::get(format!("http://{addr}/v1/events/stream?after={from}")).await.unwrap();
    let mut bytes = stream.bytes_stream();
    let wallet = net.wallet("member 1").unwrap();
    let heard = async {
        let mut text = String::new();
        while text.matches("id:").count() < 3 {
            text.push_str(&String::from_utf8_lossy(&bytes.next().await.unwrap().unwrap()));
        }
        text
    };
    let happen = async {
        let gift = cocoon_chain::OutMessage::new(net.registry.clone(), Nano::from_ton(1));
        let body = cocoon_wrappers::generated::registry::SetUpRegistry { query_id: 0 }.to_cell().unwrap();
        wallet.send_and_confirm(&*net.chain, &[gift.body(body)]).await.unwrap();
        follower.catch_up(&*net.chain).await.unwrap();
        std::future::pending::<()>().await;
    };
    let text = tokio::select! {
        text = tokio::time::timeout(Duration::from_secs(20), heard) => text.unwrap(),
        () = happen => unreachable!(),
    };
    for id in ids.len() - 1..=ids.len() + 1 {
        assert!(text.contains(&format!("id:{id}\n")) || text.contains(&format!("id: {id}\n")), "{id} in {text}");
    }
    assert!(text.contains("Registry.SetUpRegistry"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchtower_protects_a_payee_that_is_not_there() {
    let mut net = start(config()).await;
    let mut earned = Nano::ZERO;
    // More than a claim costs.
    while earned <= Nano::new(2 * cocoon_watcher::CLAIM_FEE.get()) {
        earned = earned.saturating_add(ask(&net, LONG).await.1.cost);
    }
    billed(&net).await;
    let folder = tempfile::tempdir().unwrap();
    let index = index(&net, &folder.path().join("index.db")).await;
    let follower = Follower::new(index.clone());
    follower.catch_up(&*net.chain).await.unwrap();
    let tower = Tower::open(&folder.path().join("tower.db"), index.clone(), net.chain.network()).unwrap();

    let now = net.chain.head().await.unwrap().utime;
    let channel = net.proxy().unwrap().node.earning_channels().remove(0);
    let voucher = channel.with(|books| books.claimable().cloned()).unwrap();
    let mut forged = voucher.clone();
    forged.voucher.cumulative = Nano::from_ton(9);
    assert!(matches!(tower.keep(&forged, now), Err(TowerError::Signature)));
    let mut foreign = voucher.clone();
    foreign.voucher.channel = net.registry.clone();
    assert!(matches!(tower.keep(&foreign, now), Err(TowerError::Unknown(..))));
    tower.keep(&voucher, now).unwrap();
    tower.keep(&voucher, now).unwrap();

    // The payee is gone, and its payer closes.
    net.kill(Service::Proxy);
    let client = net.client().unwrap();
    let (wallet, address) = (client.node.wallet().clone(), channel.address().clone());
    channels::request_close(&wallet, &*net.chain, &address).await.unwrap();
    follower.catch_up(&*net.chain).await.unwrap();
    // The tower is killed and started again meanwhile.
    drop(tower);
    let tower = Tower::open(&folder.path().join("tower.db"), index, net.chain.network()).unwrap();
    let stranger = net.wallet("member 2").unwrap();
    assert_eq!(tower.defend(&stranger, &*net.chain).await.unwrap(), 1);
    follower.catch_up(&*net.chain).await.unwrap();
    assert_eq!(tower.defend(&stranger, &*net.chain).await.unwrap(), 0, "once");
    let state = channels::read(&*net.chain, &address).await.unwrap().unwrap();
    assert_eq!(state.claimed, earned);
    assert!(state.close_at.is_some_and(|at| at > UnixSeconds(0)), "still within the challenge period");
    assert_conserved(&net).await;
    net.stop().await;
}
