//! `cocoon receipt`: proofs of answers, checked without asking anybody.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_chain::GlobalConfig;
use cocoon_receipt::{Bundle, MAX_BUNDLE, Trust, verify};

use crate::report::Report;
use crate::session::{Common, Session};
use crate::{exit, input};

/// Arguments of `cocoon receipt`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Check that an answer came from an attested worker, offline.
    ///
    /// Nothing in the file is trusted, and nobody is asked: proofs begin at the block in the network's global.config.json, and the
    /// registry is the one in the network file. Ends with 1 if the receipt does not prove what it says.
    Verify {
        /// The bundle, as the client's endpoint gives it: GET /v1/receipts/ID.
        file: PathBuf,
    },
}

pub(crate) async fn run(args: &Args, session: &Session) -> Result<Report> {
    let Command::Verify { file } = &args.command;
    let network = session.network_file()?;
    let trust = Trust {
        network: GlobalConfig::from_json(&network.global_config.to_string())
            .context("reading the global configuration")?,
        registry: network.registry()?.clone(),
    };
    let bundle = Bundle::from_json(&input::bytes(file, MAX_BUNDLE as u64)?)
        .with_context(|| format!("{} is no receipt bundle", file.display()))?;
    let verdict = verify(&bundle, &trust).await;
    let receipt = &bundle.receipt.receipt;
    let checks = verdict.checks().iter().map(|check| {
        Report::new().text("check", check.subject).text("outcome", check.outcome).text("detail", &check.detail)
    });
    let report = Report::new()
        .flag("holds", verdict.holds())
        .time("answered_at", receipt.time.0)
        .text("model", receipt.model)
        .text("image", receipt.image)
        .number("prompt_tokens", receipt.usage.prompt.0)
        .number("completion_tokens", receipt.usage.completion.0)
        .ton("cost", receipt.cost)
        .list("checks", checks.collect());
    Ok(if verdict.holds() { report } else { report.exiting(exit::FAILED) })
}
