//! `cocoon up`: the network stays alive until Ctrl-C.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_localnet::LocalNet;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::ModelArgs;
use crate::console::Console;

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
    /// Print one JSON object on standard output when the network is ready.
    #[arg(long)]
    json: bool,
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
        let (mut net, endpoint) = started?;
        if self.json {
            let ready = json!({ "endpoint": format!("http://{endpoint}/v1"), "model": net.config.model_name, "registry": net.registry.to_string() });
            println!("{ready}");
        }
        eprintln!("ready: http://{endpoint}/v1 serves {} — Ctrl-C stops", net.config.model_name);
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

    async fn start(&self, console: &Console, stop: &CancellationToken) -> Result<(LocalNet, SocketAddr)> {
        let mut config = self.model.config();
        config.data.clone_from(&self.data);
        let mut say = |what: &str| console.say(what);
        let mut net = console.step("an embedded TON network and its DAO", LocalNet::open(config, &mut say)).await?;
        console.step("a bonded proxy", net.start_proxy()).await?;
        console.step("a staked worker with mistral.rs and the approved model", net.start_worker()).await?;
        console.step("a client with a prepaid channel", net.start_client()).await?;
        let addr = SocketAddr::from(([127, 0, 0, 1], self.port));
        let endpoint = console.step("the OpenAI endpoint", net.serve_http(addr, stop.clone())).await?;
        Ok((net, endpoint))
    }
}

/// Ctrl-C, or a service manager's request.
async fn asked_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("waiting for a request to stop")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("waiting for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}
