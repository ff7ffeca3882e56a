//! `cocoon devnet`: the clock and the faucet of a network that `cocoon up` runs.

use anyhow::{Context, Result};
use cocoon_localnet::control::call;
use cocoon_protocol::{GlobalId, Nano};
use serde_json::{Value, json};

use crate::args::{Address, Span, Ton};
use crate::report::Report;
use crate::session::{Common, Session};

/// Arguments of `cocoon devnet`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Move the network's time on.
    Advance {
        /// By how much: 3d, 2h, 1d12h.
        by: Span,
    },
    /// Give an account Toncoin that is worth nothing.
    Faucet {
        /// To whom.
        to: Address,
        /// How much, with its unit: 100TON.
        amount: Ton,
    },
    /// Show the network's time and its newest block.
    Status,
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let control = session.control()?;
    let (what, body) = match &args.command {
        Command::Advance { by } => ("advance", json!({ "seconds": by.0 })),
        Command::Faucet { to, amount } => {
            let to = to.on(GlobalId::DEVNET)?;
            ("faucet", json!({ "address": to.to_string(), "nano": amount.0 }))
        }
        Command::Status => ("status", json!({})),
    };
    let answer = call(&control.url, &control.token_file, what, &body).await?;
    let number =
        |name: &str| answer.get(name).and_then(Value::as_u64).with_context(|| format!("the answer has no \"{name}\""));
    if let Command::Faucet { amount, .. } = &args.command {
        let text = |name: &str| {
            answer.get(name).and_then(Value::as_str).with_context(|| format!("the answer has no \"{name}\""))
        };
        let balance = text("balance")?.parse().map(Nano::new).context("the balance is no number")?;
        return Ok(Report::new().text("address", text("address")?).ton("given", amount.0).ton("balance", balance));
    }
    let time = u32::try_from(number("utime")?).context("the time is no time")?;
    let report = Report::new().number("block", number("seqno")?).time("time", time);
    Ok(match &args.command {
        Command::Status => {
            let network = answer.get("network").and_then(Value::as_i64).context("the answer has no \"network\"")?;
            report.text("network", network).number("transactions", number("transactions")?)
        }
        _ => report,
    })
}
