//! `cocoon fault`: proofs of faults. A proof is committed to first and revealed later, so that nobody can copy it in time.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_actions::System;
use cocoon_actions::fault::{Report as Fault, kind};
use cocoon_chain::StdAddr;
use cocoon_protocol::Hash256;
use rand::RngCore;
use rand::rngs::OsRng;

use crate::args::Address;
use crate::dao::file::read_cell;
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::secrets;
use crate::session::{Common, Session};

/// Arguments of `cocoon fault`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Which proof, and who judges it.
#[derive(clap::Args)]
struct About {
    /// The proof: a bag of cells, as the client and the watcher write it.
    proof: PathBuf,
    /// Who judges: the accused node's stake account. The registry if absent, for proxies and for what was revoked.
    #[arg(long, value_name = "ADDRESS")]
    target: Option<Address>,
}

impl About {
    fn report(&self, system: &System, reporter: StdAddr, salt: Hash256) -> Result<Fault> {
        let target = match &self.target {
            Some(target) => target.on(system.chain().network())?,
            None => system.registry().clone(),
        };
        Ok(Fault { target, reporter, salt, proof: read_cell(&self.proof)? })
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Bind yourself to a proof without showing it. The salt is kept in a file until the proof is revealed.
    Commit {
        #[command(flatten)]
        about: About,
        /// Where to keep the salt; a new file.
        #[arg(long, value_name = "FILE")]
        salt: PathBuf,
        #[command(flatten)]
        pay: Pay,
    },
    /// Show the proof to whoever judges it, a minute or more after the commitment.
    Reveal {
        #[command(flatten)]
        about: About,
        /// Where the salt is kept.
        #[arg(long, value_name = "FILE")]
        salt: PathBuf,
        #[command(flatten)]
        pay: Pay,
    },
    /// Say what a proof is about.
    Show {
        /// The proof: a bag of cells.
        proof: PathBuf,
    },
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let (about, salt, pay, first) = match &args.command {
        Command::Show { proof } => {
            let found = kind(&read_cell(proof)?);
            let judge = found.map(|k| if k.1 { "the registry" } else { "the accused node's stake account" });
            return Ok(Report::new().maybe("about", found.map(|k| k.0)).maybe("judged_by", judge));
        }
        Command::Commit { about, salt, pay } => (about, salt, pay, true),
        Command::Reveal { about, salt, pay } => (about, salt, pay, false),
    };
    let system = session.system().await?;
    let wallet = pay.open(&system)?;
    // A dry run leaves no file behind.
    let keep = first && !pay.dry_run;
    let number = if first { fresh() } else { read_salt(salt)? };
    let report = about.report(&system, wallet.address().clone(), number)?;
    let plan = if first { report.commit(&system).await? } else { report.reveal(&system).await? };
    if keep {
        // Before anything is sent: without the salt the commitment is worth nothing.
        secrets::create(salt, format!("{number}\n").as_bytes())?;
    }
    let head = Report::new().text("report", report.address()?).text("target", &report.target);
    Box::pin(carry(session, pay, &system, &wallet, &plan, head)).await
}

fn fresh() -> Hash256 {
    let mut bytes = [0; 32];
    OsRng.fill_bytes(&mut bytes);
    Hash256(bytes)
}

fn read_salt(path: &std::path::Path) -> Result<Hash256> {
    secrets::read(path)?.trim().parse().with_context(|| format!("{} holds no salt", path.display()))
}
