//! `cocoon watcher`: the index of the chain with its API, and the watchtower for payees that are not there.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use cocoon_chain::Chain;
use cocoon_watcher::{Follower, Index, Tower, api};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::{self, NodeTable};
use super::place::Place;
use super::{Args, Service, until_over};

/// A watcher's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: NodeTable,
    watcher: Table,
}

/// `[watcher]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where the API is served.
    listen: SocketAddr,
    /// Take vouchers of payees that cannot watch, and claim with them when their payers close; the wallet pays for the
    /// messages. Not if absent.
    #[serde(default)]
    tower: bool,
}

struct Running {
    listen: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) async fn run(args: &Args) -> Result<()> {
    super::run(args, Box::pin(start(args))).await
}

async fn start(args: &Args) -> Result<Running> {
    let file: File = config::read(&args.config)?;
    let place = Place::open(&file.node, &config::folder(&args.config)).await?;
    let chain = place.chain.clone();
    let config = chain.config().await.context("reading the network's configuration")?;
    let index = Arc::new(Index::open(&place.file("index.sqlite"), config, place.registry.clone())?);
    let follower = Arc::new(Follower::new(index.clone()));
    let stop = CancellationToken::new();
    let mut tasks = vec![];
    let mut routes = api::routes(follower.clone());
    if file.watcher.tower {
        let tower = Arc::new(Tower::open(&place.file("tower.sqlite"), index, chain.network())?);
        let wallet = place.wallet()?;
        routes = routes.merge(api::tower(tower.clone(), chain.subscribe()));
        let (chain, stop) = (chain.clone(), stop.clone());
        tasks.push(tokio::spawn(async move { tower.run(&wallet, &*chain, stop).await }));
    }
    let listener = TcpListener::bind(file.watcher.listen)
        .await
        .with_context(|| format!("listening on {}", file.watcher.listen))?;
    let listen = listener.local_addr()?;
    let until = stop.clone();
    tasks.push(tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(async move { until.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "the API has ended");
        }
    }));
    let until = stop.clone();
    tasks.push(tokio::spawn(async move {
        let head = chain.subscribe();
        follower.run(&*chain, head, until).await;
    }));
    Ok(Running { listen, stop, tasks })
}

impl Service for Running {
    fn ready(&self) -> (String, Value) {
        let api = format!("http://{}/v1", self.listen);
        (format!("ready: the index is at {api}"), json!({ "role": "watcher", "api": api }))
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            until_over(task).await;
        }
    }
}
