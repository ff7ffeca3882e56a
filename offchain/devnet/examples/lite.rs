//! A devnet with a liteserver and an HTTP face, for other people's TON tools.
//!
//! `cargo run -p cocoon-devnet --example lite [--data DIR] [--port N] [--http N] [--config-out FILE] [--validators N]
//! [--prefund ADDRESS=TON]...`
//! prints one line of JSON when it is ready: where its `global.config.json` is, and which account has all the money. It makes a
//! block every second, and whenever something happens, until its standard input ends. Each line there is a command, and is
//! answered with a line of JSON:
//!
//! ```text
//! faucet ADDRESS TON        pays from the account that has all the money
//! advance SECONDS           moves the network's time on
//! param NUMBER BASE64       changes the configuration, which makes a key block
//! elect COUNT               elects other validators, who sign from the next second on
//! fault NAME [BLOCKS]       lies, lags or stalls from now on: none, forge-state, forge-proof, forge-signature, stall, lag N
//! ```

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use cocoon_chain::Chain;
use cocoon_devnet::{Devnet, Fault, LiteServer, Settings};
use cocoon_protocol::{Nano, StdAddr};
use tokio::io::{AsyncBufReadExt, BufReader};
use tycho_types::boc::Boc;
use tycho_types::models::StdAddrFormat;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (mut data, mut port, mut http, mut config_out, mut prefund) = (None, 0u16, 0u16, None, vec![]);
    let mut validators = NonZeroU16::MIN;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--data" => data = Some(PathBuf::from(value)),
            "--port" => port = value.parse()?,
            "--http" => http = value.parse()?,
            "--validators" => validators = value.parse()?,
            "--config-out" => config_out = Some(PathBuf::from(value)),
            "--prefund" => {
                let (address, amount) = value.split_once('=').context("--prefund ADDRESS=TON")?;
                prefund.push((parse_address(address)?, Nano::from_ton(amount.parse()?)));
            }
            other => bail!("unknown option {other}"),
        }
    }
    let devnet = Devnet::start(Settings { folder: data, validators, ..Settings::default() }).await?;
    for (address, amount) in prefund {
        devnet.faucet(&address, amount).await?;
    }
    let server = devnet.serve_lite(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let face = devnet.serve_http(SocketAddr::from(([127, 0, 0, 1], http))).await?;
    let config = serde_json::to_string_pretty(&devnet.global_config(&server).await?)?;
    let path = match config_out {
        Some(path) => path,
        None => std::env::temp_dir().join(format!("devnet-{}.global.config.json", server.address().port())),
    };
    std::fs::write(&path, config)?;
    let ready = serde_json::json!({
        "config": path,
        "liteserver": server.address().to_string(),
        "http": face.endpoint(),
        "giver": devnet.giver().to_string(),
    });
    println!("{ready}");

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match run(&devnet, &server, &line).await {
            Ok(()) => println!("{}", serde_json::json!({ "seqno": devnet.head().await?.seqno })),
            Err(error) => println!("{}", serde_json::json!({ "error": format!("{error:#}") })),
        }
    }
    devnet.stop().await;
    Ok(())
}

async fn run(devnet: &Devnet, server: &LiteServer, line: &str) -> Result<()> {
    let words: Vec<_> = line.split_whitespace().collect();
    match words.as_slice() {
        ["faucet", address, ton] => {
            devnet.faucet(&parse_address(address)?, Nano::from_ton(ton.parse()?)).await?.ok()?;
        }
        ["advance", seconds] => {
            devnet.advance(Duration::from_secs(seconds.parse()?)).await?;
        }
        ["elect", count] => {
            devnet.elect(count.parse()?).await?;
        }
        ["param", number, boc] => {
            let value = Boc::decode(base64::engine::general_purpose::STANDARD.decode(boc)?)?;
            devnet.set_config_param(number.parse()?, Some(value)).await?;
        }
        ["fault", "none"] => server.set_fault(None),
        ["fault", "forge-state"] => server.set_fault(Some(Fault::ForgeState)),
        ["fault", "forge-proof"] => server.set_fault(Some(Fault::ForgeProof)),
        ["fault", "forge-signature"] => server.set_fault(Some(Fault::ForgeSignature)),
        ["fault", "stall"] => server.set_fault(Some(Fault::Stall)),
        ["fault", "lag", blocks] => server.set_fault(Some(Fault::Lag(blocks.parse()?))),
        _ => bail!("unknown command"),
    }
    Ok(())
}

fn parse_address(text: &str) -> Result<StdAddr> {
    Ok(StdAddr::from_str_ext(text, StdAddrFormat::any())?.0)
}
