//! `cocoon devnet serve`: a chain by itself, for whoever builds on TON and needs a network to try it on.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cocoon_chain::Chain;
use cocoon_devnet::{Devnet, Fault, HttpFace, LiteServer, Settings};
use cocoon_localnet::GLOBAL_CONFIG;
use cocoon_localnet::control::Control;
use cocoon_protocol::GlobalId;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::{Address, Ton};
use crate::network::{self, NetworkFile};
use crate::secrets;
use crate::up::{absolute, asked_to_stop};

/// Arguments of `cocoon devnet serve`.
#[derive(clap::Args)]
pub(crate) struct Serve {
    /// Keep the chain in this directory and go on from it; without it the chain is in memory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Make a block this often when nothing happens, in milliseconds; 0 makes none without a message.
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    block_time: u64,
    /// Give an account Toncoin at the start, if it has none: 0:…=100TON. May be repeated.
    #[arg(long, value_name = "ADDRESS=AMOUNT")]
    prefund: Vec<Prefund>,
    /// The network's id, which signatures are bound to. A kept chain has its own.
    #[arg(long, value_name = "ID", allow_negative_numbers = true)]
    global_id: Option<i32>,
    /// How many validators the network begins with, 100 at most. A kept chain has its own.
    #[arg(long, value_name = "N", default_value_t = NonZeroU16::MIN)]
    validators: NonZeroU16,
    /// Port of the liteserver on 127.0.0.1; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Also serve toncenter's HTTP API v2 on 127.0.0.1, at this port; 0 takes a free one.
    #[arg(long, value_name = "PORT")]
    http: Option<u16>,
    /// Port of the controls on 127.0.0.1 (cocoon devnet advance, faucet, …); 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    control_port: u16,
    /// Where to write TON's global.config.json; in --data, or in the current folder, if absent.
    #[arg(long, value_name = "FILE")]
    config_out: Option<PathBuf>,
    /// Where to write what cocoon's commands need; network.json beside the configuration if absent.
    #[arg(long, value_name = "FILE")]
    network_out: Option<PathBuf>,
    /// What the liteserver does wrong, for tests of clients: forge-state, forge-proof, forge-signature, stall, lag=BLOCKS.
    #[arg(long, value_name = "FAULT")]
    fault: Option<Fault>,
    /// Print one JSON object on standard output when the network is ready.
    #[arg(long)]
    ready_json: bool,
}

/// An account and what it gets.
#[derive(Clone, Debug)]
pub(crate) struct Prefund {
    to: Address,
    amount: Ton,
}

impl FromStr for Prefund {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (to, amount) = text.split_once('=').ok_or("an address and an amount are written ADDRESS=AMOUNT")?;
        let to = to.parse::<Address>().map_err(|e| e.to_string())?;
        Ok(Self { to, amount: amount.parse::<Ton>().map_err(|e| e.to_string())? })
    }
}

/// What other processes read.
struct Files {
    network: PathBuf,
    global_config: PathBuf,
}

impl Serve {
    pub(crate) async fn run(&self) -> Result<()> {
        let settings = Settings {
            folder: self.data.clone(),
            tick: (self.block_time > 0).then(|| Duration::from_millis(self.block_time)),
            network: self.global_id.map(GlobalId),
            validators: self.validators,
            ..Settings::default()
        };
        if let Some(folder) = &self.data {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let chain = Arc::new(Devnet::start(settings).await.context("starting the chain")?);
        for Prefund { to, amount } in &self.prefund {
            let to = to.on(chain.network())?;
            if chain.account(&to).await?.balance.is_zero() {
                chain.faucet(&to, amount.0).await.with_context(|| format!("giving {} to {to}", amount.0))?;
            }
        }
        let here = SocketAddr::from(([127, 0, 0, 1], self.port));
        let lite = Arc::new(chain.serve_lite(here).await.context("choose another port with --port")?);
        lite.set_fault(self.fault);
        let http = serve_http(&chain, self.http).await?;
        let stop = CancellationToken::new();
        let files = self.open(&chain, &lite, &stop).await?;
        if self.ready_json {
            let ready = json!({
                "liteserver": lite.address().to_string(),
                "global_config": files.global_config,
                "network": files.network,
                "giver": chain.giver().to_string(),
                "http": http.as_ref().map(HttpFace::endpoint),
            });
            println!("{ready}");
        }
        eprintln!("ready: a liteserver on {} — Ctrl-C stops", lite.address());
        if let Some(http) = &http {
            eprintln!("toncenter's API: {}", http.endpoint());
        }
        eprintln!("TON's tools find this network in {}", files.global_config.display());
        eprintln!("other commands find it with: export COCOON_NETWORK={}", files.network.display());
        asked_to_stop().await?;
        stop.cancel();
        chain.stop().await;
        Ok(())
    }

    async fn open(&self, chain: &Arc<Devnet>, lite: &Arc<LiteServer>, stop: &CancellationToken) -> Result<Files> {
        let beside = |name: &str| self.data.as_deref().unwrap_or(Path::new(".")).join(name);
        let config_out = self.config_out.clone().unwrap_or_else(|| beside(GLOBAL_CONFIG));
        let folder = config_out.parent().unwrap_or(Path::new("."));
        let network_out = self.network_out.clone().unwrap_or_else(|| folder.join("network.json"));
        let token_file = network_out.with_file_name("control.token");
        let control = Control::serve(chain.clone(), lite.clone(), self.control_port, &token_file, stop.clone()).await?;
        let global_config = chain.global_config(lite).await?;
        let text = serde_json::to_string_pretty(&global_config)?;
        secrets::replace(&config_out, format!("{text}\n").as_bytes(), 0o644)?;
        let file = NetworkFile {
            global_config,
            registry: None,
            trusted_state: None,
            control: Some(network::Control { url: control.url(), token_file: absolute(&token_file)? }),
        };
        file.write(&network_out)?;
        Ok(Files { network: absolute(&network_out)?, global_config: absolute(&config_out)? })
    }
}

/// Serves toncenter's API if a port was asked for.
pub(crate) async fn serve_http(chain: &Devnet, port: Option<u16>) -> Result<Option<HttpFace>> {
    let Some(port) = port else { return Ok(None) };
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    chain.serve_http(here).await.context("choose another port with --http").map(Some)
}

/// Makes a folder from a copy, from which `serve --data` goes on; the copy stays as it is.
pub(crate) async fn restore(copy: &Path, folder: &Path) -> Result<cocoon_chain::Head> {
    ensure!(copy.is_dir(), "{} is no folder with a copy (cocoon devnet snapshot FOLDER)", copy.display());
    let entries = std::fs::read_dir(copy).with_context(|| format!("reading {}", copy.display()))?.count();
    ensure!(entries > 0, "{} is empty: it is no copy (cocoon devnet snapshot FOLDER)", copy.display());
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let settings = Settings { folder: Some(copy.to_owned()), tick: None, ..Settings::default() };
    let chain = Devnet::start(settings).await.context("opening the copy")?;
    let head = chain.head().await?;
    chain.snapshot(folder).await?;
    chain.stop().await;
    Ok(head)
}
