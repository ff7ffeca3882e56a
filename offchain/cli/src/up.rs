//! `cocoon up`: the network stays alive until Ctrl-C.
//!
//! Its folder has what other commands need: `network.json`, TON's `global.config.json`, and in `keys/` the keys of its emergency
//! council, of its rebuilders and of its simulated hardware vendor, so that one person can play every part.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cocoon_devnet::HttpFace;
use cocoon_localnet::control::Control;
use cocoon_localnet::{GLOBAL_CONFIG, LocalNet};
use cocoon_protocol::Role;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::ModelArgs;
use crate::console::Console;
use crate::devnet::serve::serve_http;
use crate::network::{self, NetworkFile};
use crate::secrets::{self, seed};

/// Arguments of `cocoon up`.
#[derive(clap::Args)]
pub struct Up {
    #[command(flatten)]
    model: ModelArgs,
    /// Keep everything in this directory and resume from it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Port of the OpenAI endpoint on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 10_000)]
    port: u16,
    /// Port of the liteserver on 127.0.0.1, for TON's own tools; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    lite_port: u16,
    /// Also serve toncenter's HTTP API v2 on 127.0.0.1, at this port; 0 takes a free one.
    #[arg(long, value_name = "PORT")]
    http: Option<u16>,
    /// Port of the controls on 127.0.0.1 (cocoon devnet); 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    control_port: u16,
    /// Where to write what other commands need to find this network; network.json in its folder if absent.
    #[arg(long, value_name = "FILE")]
    network_out: Option<PathBuf>,
    /// Where to write TON's global.config.json; in its folder if absent.
    #[arg(long, value_name = "FILE")]
    config_out: Option<PathBuf>,
    /// Print one JSON object on standard output when the network is ready.
    #[arg(long)]
    json: bool,
}

/// A running network and the ways into it.
struct Running {
    net: LocalNet,
    endpoint: SocketAddr,
    files: Files,
}

/// What other processes read.
struct Files {
    network: PathBuf,
    global_config: PathBuf,
    keys: PathBuf,
    /// It ends when this is dropped.
    http: Option<HttpFace>,
}

impl Up {
    pub async fn run(&self) -> Result<()> {
        let console = Console::new();
        let stop = CancellationToken::new();
        let started = tokio::select! {
            started = self.start(&console, &stop) => started,
            signal = asked_to_stop() => {
                signal?;
                console.finish();
                eprintln!("stopped before the network was ready; start it again to go on");
                return Ok(());
            }
        };
        console.finish();
        let Running { mut net, endpoint, files } = started?;
        if self.json {
            let images: BTreeMap<_, _> = [Role::Proxy, Role::Worker]
                .map(|role| (role.to_string(), net.image(role).to_string()))
                .into_iter()
                .collect();
            let ready = json!({
                "endpoint": format!("http://{endpoint}/v1"),
                "model": net.config.model_name,
                "registry": net.registry.to_string(),
                "images": images,
                "model_hash": net.model.to_string(),
                "network": files.network,
                "global_config": files.global_config,
                "keys": files.keys,
                "http": files.http.as_ref().map(HttpFace::endpoint),
            });
            println!("{ready}");
        }
        eprintln!("ready: http://{endpoint}/v1 serves {} — Ctrl-C stops", net.config.model_name);
        eprintln!("other commands find this network with: export COCOON_NETWORK={}", files.network.display());
        asked_to_stop().await?;
        match &self.data {
            Some(dir) => eprintln!("stopping; --data {} resumes here", dir.display()),
            None => eprintln!("stopping; this network was temporary, --data DIR keeps one"),
        }
        stop.cancel();
        net.stop().await;
        net.chain.stop().await;
        Ok(())
    }

    async fn start(&self, console: &Console, stop: &CancellationToken) -> Result<Running> {
        let mut config = self.model.config();
        config.data.clone_from(&self.data);
        config.lite = SocketAddr::from(([127, 0, 0, 1], self.lite_port));
        let mut say = |what: &str| console.say(what);
        let mut net = console.step("an embedded TON network and its DAO", LocalNet::open(config, &mut say)).await?;
        console.step("a bonded proxy", net.start_proxy()).await?;
        console.step("a staked worker with mistral.rs and the approved model", net.start_worker()).await?;
        console.step("a client with a prepaid channel", net.start_client()).await?;
        let addr = SocketAddr::from(([127, 0, 0, 1], self.port));
        let endpoint = console.step("the OpenAI endpoint", net.serve_http(addr, stop.clone())).await?;
        let files = console.step("the controls", self.open(&net, stop)).await?;
        Ok(Running { net, endpoint, files })
    }

    /// Lets other processes in: TON's tools through the liteserver, `cocoon devnet` through the controls.
    async fn open(&self, net: &LocalNet, stop: &CancellationToken) -> Result<Files> {
        let token_file = net.dir().join("control.token");
        let control =
            Control::serve(net.chain.clone(), net.lite().clone(), self.control_port, &token_file, stop.clone()).await?;
        let http = serve_http(&net.chain, self.http).await?;
        let config_out = self.config_out.clone().unwrap_or_else(|| net.dir().join(GLOBAL_CONFIG));
        let text = serde_json::to_string_pretty(&net.global_config)?;
        secrets::replace(&config_out, format!("{text}\n").as_bytes(), 0o644)?;
        let file = NetworkFile {
            global_config: net.global_config.clone(),
            registry: Some(net.registry.clone()),
            trusted_state: None,
            control: Some(network::Control { url: control.url(), token_file: absolute(&token_file)? }),
        };
        let network_out = self.network_out.clone().unwrap_or_else(|| net.dir().join("network.json"));
        file.write(&network_out)?;
        let keys = keep_keys(net)?;
        Ok(Files {
            network: absolute(&network_out)?,
            global_config: absolute(&config_out)?,
            keys: absolute(&keys)?,
            http,
        })
    }
}

/// Keeps the keys of council and rebuilders where their owner can use them. Those of an earlier start are the same.
fn keep_keys(net: &LocalNet) -> Result<PathBuf> {
    let folder = net.dir().join("keys");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for (name, keys) in [("council", net.council()), ("rebuilder", net.rebuilders())] {
        for (number, key) in (1..).zip(&keys) {
            let path = folder.join(format!("{name}-{number}.key"));
            if !path.exists() {
                seed::keep(&path, key)?;
            }
        }
    }
    let vendor = folder.join("simulated-vendor.key");
    if !vendor.exists() {
        seed::keep(&vendor, &net.vendor_seed())?;
    }
    Ok(folder)
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("finding {}", path.display()))
}

/// Ctrl-C, or a service manager's request.
pub(crate) async fn asked_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for a request to stop")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("waiting for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}
