//! A devnet with a liteserver, for other people's TON tools.
//!
//! `cargo run -p cocoon-devnet --example lite [--data DIR] [--port N] [--config-out FILE] [--prefund ADDRESS=TON]...`
//! prints one line of JSON when it is ready, and runs until its standard input ends: where its `global.config.json` is, and
//! which account has all the money, with the seed of its key. A block is made every second, and whenever something happens.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use cocoon_devnet::{Devnet, Settings};
use cocoon_protocol::{Nano, StdAddr};
use tokio::io::AsyncReadExt;
use tycho_types::models::StdAddrFormat;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (mut data, mut port, mut config_out, mut prefund) = (None, 0u16, None, vec![]);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--data" => data = Some(PathBuf::from(value)),
            "--port" => port = value.parse()?,
            "--config-out" => config_out = Some(PathBuf::from(value)),
            "--prefund" => {
                let (address, amount) = value.split_once('=').context("ADDRESS=TON")?;
                let (address, _) = StdAddr::from_str_ext(address, StdAddrFormat::any())?;
                prefund.push((address, Nano::from_ton(amount.parse()?)));
            }
            other => bail!("unknown option {other}"),
        }
    }
    let devnet = Devnet::start(Settings { folder: data, ..Settings::default() }).await?;
    for (address, amount) in prefund {
        devnet.faucet(&address, amount).await?;
    }
    let server = devnet.serve_lite(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let config = serde_json::to_string_pretty(&devnet.global_config(&server).await?)?;
    let path = match config_out {
        Some(path) => path,
        None => std::env::temp_dir().join(format!("devnet-{}.global.config.json", server.address().port())),
    };
    std::fs::write(&path, config)?;
    let ready = serde_json::json!({
        "config": path,
        "liteserver": server.address().to_string(),
        "key": hex::encode(server.public_key()),
        "giver": devnet.giver().to_string(),
    });
    println!("{ready}");
    let mut rest = vec![];
    tokio::io::stdin().read_to_end(&mut rest).await?;
    devnet.stop().await;
    Ok(())
}
