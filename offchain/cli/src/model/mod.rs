//! `cocoon model`: which model a directory holds.

use std::path::PathBuf;

use anyhow::Result;
use cocoon_engine::identity::Manifest;

use crate::report::Report;
use crate::session::Common;

/// Arguments of `cocoon model`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compute the hash under which the DAO approves a model and workers serve it. Every file in the directory counts.
    Hash {
        /// Directory of the model. Links are refused: copy it with `cp -rL`.
        dir: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let Command::Hash { dir } = &args.command;
    let manifest = Manifest::of(dir)?;
    let files = manifest.entries().iter().map(|entry| {
        Report::new().text("sha256", hex::encode(entry.sha256)).number("bytes", entry.size).text("path", &entry.path)
    });
    Ok(Report::new()
        .text("model_hash", manifest.root())
        .number("bytes", manifest.total_bytes())
        .list("files", files.collect()))
}
