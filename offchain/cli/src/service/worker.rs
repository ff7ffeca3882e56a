//! `cocoon worker`: serves an approved model and is paid for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use cocoon_actions::stake::Stake;
use cocoon_engine::{Engine, MistralConfig, MistralEngine, SealedModel};
use cocoon_node::{ChannelError, Node, ProxyEntry};
use cocoon_protocol::{ModelHash, Role, StdAddr};
use cocoon_worker::{Worker, WorkerConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::config::{self, NodeTable, PlatformTable, PriceTable, Text};
use super::place::{Place, Seated};
use super::{Args, Service, until_over};
use crate::args::{Address, PublicKey, Span};

/// How long a silent payer is waited for, unless the file says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A worker's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: NodeTable,
    platform: PlatformTable,
    worker: Table,
}

/// `[worker]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Whose stake answers for this worker, and who is paid.
    owner: Text<Address>,
    /// Directory of the model.
    model: PathBuf,
    /// The watchtower that gets the vouchers with which this service is paid: `http://host:port/v1`.
    tower: Option<String>,
    /// Copies of the model in memory; 1 if absent.
    engines: Option<usize>,
    /// What it asks, per million tokens.
    price: PriceTable,
    /// Node key of the proxy that it serves; the first of the registry if absent.
    proxy: Option<Text<PublicKey>>,
    /// Log each certificate in the transparency log, for some 1 TON a day out of the worker's wallet; not if absent.
    #[serde(default)]
    log_evidence: bool,
    /// How long a peer may be silent when it is its turn; 30 s if absent.
    patience: Option<Text<Span>>,
}

struct Running {
    node: Seated,
    serving: JoinHandle<()>,
    model: ModelHash,
    proxy: ProxyEntry,
}

pub(crate) async fn run(args: &Args) -> Result<()> {
    super::run(args, Box::pin(start(args))).await
}

async fn start(args: &Args) -> Result<Running> {
    let file: File = config::read(&args.config)?;
    let folder = config::folder(&args.config);
    let place = Place::open(&file.node, &folder).await?;
    let node = place.node(Role::Worker, &file.platform, None).await?;
    let owner = file.worker.owner.0.on(node.network())?;
    answered_for(&place, &node, &owner).await?;

    let approved: Vec<ModelHash> = node.registry().models.keys().copied().collect();
    let sealed = SealedModel::open(&folder.join(&file.worker.model), &approved)?;
    let engines = file.worker.engines.unwrap_or(1);
    let engine = MistralEngine::load(sealed, MistralConfig { engines, ..MistralConfig::default() }).await?;
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let model = engine.info().model;
    let patience = file.worker.patience.as_ref().map_or(PATIENCE, |span| Duration::from_secs(span.0.0.into()));
    let config =
        WorkerConfig { owner, price: file.worker.price.price(), patience, log_evidence: file.worker.log_evidence };
    let worker = Worker::new(node.clone(), engine, config)?;

    let proxy = super::client::proxy(&node, file.worker.proxy.as_ref()).await?;
    let serving = tokio::spawn(worker.serve(proxy.node_key));
    super::watch_over(&node, file.worker.tower);
    Ok(Running { node, serving, model, proxy })
}

/// Waits until the owner's stake answers for this worker's key, after saying how that is done.
async fn answered_for(place: &Place, node: &Node, owner: &StdAddr) -> Result<()> {
    let key = node.key().public();
    let mut head = node.chain().subscribe();
    let mut told = false;
    loop {
        match node.check_worker(owner, &key).await {
            Ok(()) => return Ok(()),
            Err(error @ ChannelError::Stake { .. }) if !told => {
                let proof = Stake::of(&place.system(), owner).await?.node_proof(&key)?;
                eprintln!(
                    "waiting: {error}. From wallet {owner}:\n\
                     cocoon stake node register --bond AMOUNT --node {key} --signature {}",
                    hex::encode(node.key().sign(&proof).0)
                );
                told = true;
            }
            Err(ChannelError::Stake { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        head.changed().await.context("the chain has ended")?;
    }
}

impl Service for Running {
    fn ready(&self) -> (String, Value) {
        let (key, model, proxy) = (self.node.key().public(), self.model, &self.proxy);
        let words =
            format!("ready: worker {key} serves model {model} to proxy {} at {}", proxy.node_key, proxy.endpoint);
        let ready = json!({
            "role": "worker",
            "node": key.to_string(),
            "address": self.node.address().to_string(),
            "model": model.to_string(),
            "proxy": proxy.node_key.to_string(),
        });
        (words, ready)
    }

    async fn stop(self) {
        self.node.stop().await;
        until_over(self.serving).await;
    }
}
