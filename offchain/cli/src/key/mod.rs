//! `cocoon key`: Ed25519 keys in files.

use std::path::PathBuf;

use anyhow::Result;

use crate::report::Report;
use crate::secrets::seed;
use crate::session::Common;

/// Arguments of `cocoon key`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a key. Only its owner can read the file; an existing one is never replaced.
    New {
        /// Where to keep it.
        file: PathBuf,
    },
    /// Show the public key of a file.
    Show {
        /// Where it is kept.
        file: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    let (key, file) = match &args.command {
        Command::New { file } => (seed::new(file)?, file),
        Command::Show { file } => (seed::open(file)?, file),
    };
    Ok(Report::new().text("public_key", key.public()).text("file", file.display()))
}
