//! `cocoon devnet`: a chain by itself, and the controls of one that runs: its clock, its faucet, copies, faults.

pub(crate) mod serve;

use std::num::NonZeroU16;
use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_devnet::Fault;
use cocoon_localnet::control::call;
use cocoon_protocol::{GlobalId, Nano};
use serde_json::{Value, json};

use crate::args::{Address, Span, Ton};
use crate::exit::Usage;
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
    /// Let other validators follow the present ones, through two key blocks as on a real network.
    Elect {
        /// How many, 100 at most.
        validators: NonZeroU16,
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
    /// Copy the running chain into a folder, from which another one can go on.
    Snapshot {
        /// An empty folder, or one that is to be made.
        folder: PathBuf,
    },
    /// Make a folder for `serve --data` from a copy. A chain that runs stays as it is.
    Restore {
        /// The copy.
        copy: PathBuf,
        /// An empty folder, or one that is to be made. For a network of `cocoon up` it is `chain` in its --data.
        folder: PathBuf,
    },
    /// Let the liteserver do something wrong from now on, for tests of clients.
    Fault {
        /// none, forge-state, forge-proof, forge-signature, stall, lag=BLOCKS.
        fault: String,
    },
    /// Run a chain by itself until Ctrl-C: blocks, proofs, and a liteserver for any TON client.
    Serve(serve::Serve),
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    match &args.command {
        Command::Serve(serve) => return serve.run().await.map(|()| Report::silent()),
        Command::Restore { copy, folder } => {
            let head = serve::restore(copy, folder).await?;
            return Ok(Report::new().number("block", head.seqno).time("time", head.utime.0));
        }
        _ => {}
    }
    let control = session.control()?;
    let (what, body) = match &args.command {
        Command::Advance { by } => ("advance", json!({ "seconds": by.0 })),
        Command::Elect { validators } => ("elect", json!({ "validators": validators })),
        Command::Faucet { to, amount } => {
            let to = to.on(GlobalId::DEVNET)?;
            ("faucet", json!({ "address": to.to_string(), "nano": amount.0 }))
        }
        Command::Snapshot { folder } => {
            let folder = std::path::absolute(folder).with_context(|| format!("finding {}", folder.display()))?;
            ("snapshot", json!({ "folder": folder }))
        }
        Command::Fault { fault } => {
            let fault: Option<Fault> = if fault == "none" { None } else { Some(fault.parse().map_err(usage)?) };
            ("fault", json!({ "fault": fault.map(|fault| fault.to_string()) }))
        }
        Command::Status | Command::Serve(_) | Command::Restore { .. } => ("status", json!({})),
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
    if let Command::Fault { fault } = &args.command {
        return Ok(Report::new().text("fault", fault));
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

fn usage(error: impl std::fmt::Display) -> Usage {
    Usage(error.to_string())
}
