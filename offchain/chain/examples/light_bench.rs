//! How long a cold light client takes from nothing to its first proven account, and what it costs to follow and read.
//!
//!     cargo run -p cocoon-chain --example light_bench -- global.config.json ADDRESS [ROUNDS]
//!
//! Without arguments it starts a devnet of its own, with a hundred key blocks and a thousand blocks to go through. Figures are
//! medians, in milliseconds; data goes to stdout, one line each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use cocoon_chain::light::{GlobalConfig, LightClient, LightSettings};
use cocoon_chain::{Cell, Chain, StdAddr};
use cocoon_devnet::{Devnet, LiteServer};
use cocoon_protocol::Nano;

const ROUNDS: usize = 15;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    if let Some(path) = args.next() {
        let network = GlobalConfig::from_json(&std::fs::read_to_string(Path::new(&path)).context(path)?)?;
        let address = args.next().context("an address is missing: workchain:hash")?;
        let address: StdAddr = address.parse().ok().context("the address is not of the form workchain:hash")?;
        let rounds = args.next().map_or(Ok(ROUNDS), |rounds| rounds.parse()).context("rounds")?;
        return measure("given network", &network, &address, rounds).await;
    }
    let (devnet, server) = long_devnet().await?;
    let config = devnet.global_config(&server).await?.to_string();
    let mut network = GlobalConfig::from_json(&config)?;
    measure("devnet, from the newest key block", &network, devnet.giver(), ROUNDS).await?;
    network.init_block = None;
    measure("devnet, from the zerostate, 100 key blocks", &network, devnet.giver(), ROUNDS).await
}

/// A network with a past.
async fn long_devnet() -> anyhow::Result<(Devnet, LiteServer)> {
    let devnet = Devnet::ephemeral().await?;
    let someone = StdAddr::new(0, [0x11; 32].into());
    for round in 0..100u8 {
        let value: Cell = tycho_types::cell::CellBuilder::build_from(round)?;
        devnet.set_config_param(u32::MAX - 7, Some(value)).await?;
        for _ in 0..9 {
            devnet.tick().await?;
        }
        devnet.faucet(&someone, Nano::from_ton(1)).await?;
    }
    let server = devnet.serve_lite("127.0.0.1:0".parse()?).await?;
    Ok((devnet, server))
}

async fn measure(name: &str, network: &GlobalConfig, address: &StdAddr, rounds: usize) -> anyhow::Result<()> {
    let (mut cold, mut head, mut history, mut config, mut warm) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let begin = Instant::now();
        let client = LightClient::connect(LightSettings::new(network.clone())).await?;
        head.push(begin.elapsed());
        let account = client.account(address).await?;
        cold.push(begin.elapsed());
        // Another account each time, so that none is kept from before.
        let other = StdAddr::new(0, [0xab; 32].into());
        warm.push(timed(client.account(&other)).await?);
        history.push(timed(client.transactions(address, account.last_trans_lt.saturating_sub(1), 1)).await?);
        config.push(timed(client.config()).await?);
    }
    println!("{name}");
    for (what, mut times) in [
        ("cold: connected and newest block proven", head),
        ("cold: first proven account", cold),
        ("another account", warm),
        ("newest transaction", history),
        ("whole configuration", config),
    ] {
        times.sort();
        let median = times.get(times.len() / 2).context("no rounds")?;
        println!("  {what:<42}{:>9.2} ms", median.as_secs_f64() * 1e3);
    }
    Ok(())
}

async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<Duration, E> {
    let begin = Instant::now();
    work.await?;
    Ok(begin.elapsed())
}
