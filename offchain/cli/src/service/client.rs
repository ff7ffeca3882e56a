//! `cocoon client`: an OpenAI-compatible endpoint on this machine, in front of a proxy that cannot read what it carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cocoon_client::{Client, ClientConfig};
use cocoon_node::{Node, ProxyEntry};
use cocoon_protocol::Tokens;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::{self, NodeTable, PriceTable, Text};
use super::place::{Place, Seated};
use super::{Args, Service, until_over};
use crate::args::{PublicKey, Span, Ton};

/// A client's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: NodeTable,
    client: Table,
}

/// `[client]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Where applications ask: an address of this machine, such as 127.0.0.1:10000.
    listen: SocketAddr,
    /// Deposited when the channel to the proxy is opened: what the wallet pays without asking again.
    deposit: Text<Ton>,
    /// Node key of the proxy; the first of the registry if absent.
    proxy: Option<Text<PublicKey>>,
    /// The dearest price accepted, per million tokens; any if absent.
    price_cap: Option<PriceTable>,
    /// Challenge period of the channel; an hour if absent.
    challenge: Option<Text<Span>>,
    /// Completion tokens to pay ahead, 64 if absent: what a dishonest proxy could keep at most.
    window: Option<u32>,
    /// How long a peer may be silent when it is its turn; a minute if absent.
    patience: Option<Text<Span>>,
    /// Ask only workers whose evidence is in the transparency log; not if absent.
    #[serde(default)]
    demand_logged: bool,
    /// Keep each question and answer, sealed, with its receipt; not if absent.
    #[serde(default)]
    keep_content: bool,
}

impl Table {
    fn config(&self) -> Result<ClientConfig> {
        let otherwise = ClientConfig::default();
        let window = self.window.map_or(otherwise.window, |tokens| Tokens(tokens.into()));
        ensure!(window >= Tokens(16), "window = {}: at least 16 tokens are paid ahead", window.0);
        Ok(ClientConfig {
            deposit: self.deposit.0.0,
            challenge: self.challenge.as_ref().map_or(otherwise.challenge, |span| span.0.0),
            price_cap: self.price_cap.as_ref().map(PriceTable::price),
            window,
            patience: self.patience.as_ref().map_or(otherwise.patience, |span| Duration::from_secs(span.0.0.into())),
            keep_content: self.keep_content,
            demand_logged: self.demand_logged,
        })
    }
}

struct Running {
    node: Seated,
    client: Arc<Client>,
    serving: JoinHandle<()>,
    endpoint: SocketAddr,
    stop: CancellationToken,
}

pub(crate) async fn run(args: &Args) -> Result<()> {
    super::run(args, Box::pin(start(args))).await
}

async fn start(args: &Args) -> Result<Running> {
    let file: File = config::read(&args.config)?;
    let config = file.client.config()?;
    // Programs of this machine are let in without a key; nobody else may be (attack 87).
    ensure!(
        file.client.listen.ip().is_loopback(),
        "listen = {}: only addresses of this machine are served",
        file.client.listen
    );
    let place = Place::open(&file.node, &config::folder(&args.config)).await?;
    let node = place.client().await?;
    let entry = proxy(&node, file.client.proxy.as_ref()).await?;
    let listener = TcpListener::bind(file.client.listen)
        .await
        .with_context(|| format!("listening on {}; is another one running?", file.client.listen))?;
    let endpoint = listener.local_addr()?;
    let client = Client::new(node.clone(), config, entry)
        .await
        .with_context(|| format!("opening the channel to the proxy; wallet {} pays the deposit", node.address()))?;
    let stop = CancellationToken::new();
    let (serving, until) = (client.clone(), stop.clone());
    let serving = tokio::spawn(async move {
        if let Err(error) = cocoon_client::http::serve(serving, listener, until).await {
            tracing::error!(%error, "the endpoint has ended");
        }
    });
    Ok(Running { node, client, serving, endpoint, stop })
}

/// The proxy that a file names, or the registry's first; waited for until there is one.
pub(super) async fn proxy(node: &Node, key: Option<&Text<PublicKey>>) -> Result<ProxyEntry> {
    let wanted = |entry: &&ProxyEntry| key.is_none_or(|key| entry.node_key == key.0.0);
    let mut changes = node.registry_changes();
    if !changes.borrow().proxies.iter().any(|entry| wanted(&entry)) {
        match key {
            Some(key) => eprintln!("waiting: the registry names no proxy {}", key.0.0),
            None => eprintln!("waiting: the registry names no proxy yet"),
        }
    }
    let named = changes.wait_for(|registry| registry.proxies.iter().any(|entry| wanted(&entry))).await;
    let found = named.context("the node has stopped")?.proxies.iter().find(wanted).cloned();
    found.context("the registry names no proxy")
}

impl Service for Running {
    fn ready(&self) -> (String, Value) {
        let endpoint = format!("http://{}/v1", self.endpoint);
        let channel = self.client.channel().address().to_string();
        let words = format!("ready: {endpoint} answers, paid from channel {channel}");
        let ready = json!({
            "role": "client",
            "endpoint": endpoint,
            "channel": channel,
            "node": self.node.key().public().to_string(),
            "address": self.node.address().to_string(),
        });
        (words, ready)
    }

    async fn stop(self) {
        self.stop.cancel();
        self.client.disconnect().await;
        self.node.stop().await;
        until_over(self.serving).await;
    }
}
