//! `cocoon attest`: look at evidence and hear, rule by rule, whether it holds (docs/attestation.md).

mod gpu;
mod probe;
mod show;
mod terms;
mod verify;
mod words;

use std::path::Path;

use anyhow::Result;

use crate::input;
use crate::report::Report;
use crate::session::{Common, Session};

/// Arguments of `cocoon attest`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Verify a quote in a file: signatures, collateral, and every rule of the policy.
    Verify(verify::Verify),
    /// Ask a node for its certificate, verify the evidence in it, and have the node prove itself anew.
    Show(show::Show),
    /// Verify the evidence of an NVIDIA GPU: its report, its certificates, and every rule of the policy.
    Gpu(gpu::Gpu),
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    match &args.command {
        Command::Verify(args) => args.run(session).await,
        Command::Show(args) => Box::pin(args.run(session)).await,
        Command::Gpu(args) => args.run(),
    }
}

/// Reads a file that holds bytes, or their hexadecimal digits.
fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let bytes = input::bytes(path, limit.saturating_mul(2).saturating_add(2))?;
    let digits = std::str::from_utf8(&bytes).ok().and_then(|text| hex::decode(text.trim()).ok());
    Ok(digits.unwrap_or(bytes))
}
