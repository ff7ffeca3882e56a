//! `cocoon proxy`: routes requests to workers, meters them, and holds vouchers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use cocoon_actions::proxy as actions;
use cocoon_node::Node;
use cocoon_protocol::{Nano, Role};
use cocoon_proxy::{Proxy, ProxyConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::config::{self, NodeTable, PlatformTable, Text, amount_or};
use super::place::{Place, Seated};
use super::{Args, Service, until_over};
use crate::args::{Span, Ton};

/// From how much unclaimed money on the proxy reports how workers serve, unless its file says otherwise.
const REPORT_FROM: Nano = Nano::new(200_000_000);

/// A proxy's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: NodeTable,
    platform: PlatformTable,
    proxy: Table,
}

/// `[proxy]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where clients and workers dial in; the registry names the address that they see.
    listen: SocketAddr,
    /// The watchtower that gets the vouchers with which this service is paid: `http://host:port/v1`.
    tower: Option<String>,
    /// Added to the workers' prices, in basis points; 500 if absent.
    fee_bps: Option<u16>,
    /// Deposited into the channel of a worker that has none yet; 10 TON if absent.
    worker_deposit: Option<Text<Ton>>,
    /// Challenge period of channels to workers; an hour if absent.
    challenge: Option<Text<Span>>,
    /// From how much unclaimed money on workers' records are reported; 0.2 TON if absent.
    report_from: Option<Text<Ton>>,
    /// How long a peer may be silent when it is its turn; 30 s if absent.
    patience: Option<Text<Span>>,
}

impl Table {
    fn config(&self) -> ProxyConfig {
        let otherwise = ProxyConfig::default();
        let seconds = |span: &Text<Span>| Duration::from_secs(span.0.0.into());
        ProxyConfig {
            fee_bps: self.fee_bps.unwrap_or(otherwise.fee_bps),
            worker_deposit: amount_or(self.worker_deposit.as_ref(), otherwise.worker_deposit),
            challenge: self.challenge.as_ref().map_or(otherwise.challenge, |span| span.0.0),
            patience: self.patience.as_ref().map_or(otherwise.patience, seconds),
        }
    }
}

struct Running {
    node: Seated,
    serving: JoinHandle<()>,
    listen: SocketAddr,
}

pub(crate) async fn run(args: &Args) -> Result<()> {
    super::run(args, Box::pin(start(args))).await
}

async fn start(args: &Args) -> Result<Running> {
    let file: File = config::read(&args.config)?;
    let place = Place::open(&file.node, &config::folder(&args.config)).await?;
    let report_from = amount_or(file.proxy.report_from.as_ref(), REPORT_FROM);
    let node = place.node(Role::Proxy, &file.platform, Some(report_from)).await?;
    let listener = node
        .endpoint()
        .listen(file.proxy.listen, &[Role::Client, Role::Worker])
        .await
        .with_context(|| format!("listening on {}", file.proxy.listen))?;
    let listen = listener.addr();
    registered(&place, &node, listen).await?;
    let proxy = Proxy::new(node.clone(), file.proxy.config());
    let serving = tokio::spawn(proxy.serve(listener));
    super::watch_over(&node, file.proxy.tower);
    Ok(Running { node, serving, listen })
}

/// Waits until the registry names this proxy, after saying how that is done.
async fn registered(place: &Place, node: &Node, listen: SocketAddr) -> Result<()> {
    let key = node.key().public();
    let mut changes = node.registry_changes();
    if !changes.borrow().proxies.iter().any(|p| p.node_key == key) {
        let proof = actions::proof_hash(&place.system(), node.address(), &key)?;
        eprintln!(
            "waiting: the registry names no proxy with node key {key}. From wallet {}:\n\
             cocoon registry proxy register --endpoint {listen} --bond AMOUNT --node {key} --signature {}",
            node.address(),
            hex::encode(node.key().sign(&proof).0)
        );
    }
    let named = changes.wait_for(|registry| registry.proxies.iter().any(|p| p.node_key == key)).await;
    let owner =
        named.context("the node has stopped")?.proxies.iter().find(|p| p.node_key == key).map(|p| p.owner.clone());
    // Clients pay the owner, and the proxy signs for the channels in which its wallet is paid.
    anyhow::ensure!(
        owner.as_ref() == Some(node.address()),
        "the proxy with this node key belongs to {}, and this wallet is {}: give the owner's with wallet = FILE",
        owner.map_or_else(|| "nobody".to_owned(), |owner| owner.to_string()),
        node.address()
    );
    Ok(())
}

impl Service for Running {
    fn ready(&self) -> (String, Value) {
        let (key, address, listen) = (self.node.key().public(), self.node.address(), self.listen);
        let words = format!("ready: proxy {key} on {listen}, paid to {address}");
        (words, json!({ "role": "proxy", "node": key.to_string(), "address": address.to_string(), "listen": listen }))
    }

    async fn stop(self) {
        self.node.stop().await;
        until_over(self.serving).await;
    }
}
