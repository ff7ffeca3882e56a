//! `cocoon log`: the transparency log, for whoever wants to know that nothing was done in secret (docs/transparency.md).

mod events;

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};
use cocoon_actions::System;
use cocoon_node::log;
use cocoon_protocol::{Hash256, UnixSeconds};
use cocoon_transparency::{Index, Leaf, LogHead, evidence_digest};

use crate::args::hash::PublicKey;
use crate::report::Report;
use crate::session::{Common, Session};
use crate::{exit, input};

/// Largest file that can be a certificate.
const MAX_CERTIFICATE: u64 = cocoon_attest::MAX_CERTIFICATE as u64;

/// Arguments of `cocoon log`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one for each command line")]
enum Command {
    /// Show how long the log is and its root, from one account: what to remember for the next audit.
    Head,
    /// Read the whole log, compare it with its contract, and with what you remember of it.
    ///
    /// Ends with 1 if the log does not begin with the head that you remember: then two people were shown different chains, and both
    /// heads are worth keeping.
    Audit {
        /// A head from before, as `cocoon log head` tells it.
        #[arg(long, value_name = "SIZE:ROOT")]
        since: Option<Remembered>,
        /// Show the evidence of this node only.
        #[arg(long, value_name = "KEY")]
        node: Option<PublicKey>,
        /// Show so many of the newest leaves.
        #[arg(long, default_value_t = 20)]
        last: usize,
    },
    /// Say whether a certificate that a node showed is in the log, and since when. Ends with 1 if it is not.
    Evidence {
        /// The node's certificate, DER.
        certificate: PathBuf,
    },
}

/// A head that somebody has written down: `SIZE:ROOT`.
#[derive(Clone, Copy, Debug)]
struct Remembered(LogHead);

impl FromStr for Remembered {
    type Err = String;

    fn from_str(input: &str) -> Result<Self, String> {
        let wrong = || "a head is SIZE:ROOT, such as `cocoon log head` tells".to_owned();
        let (size, root) = input.trim().split_once(':').ok_or_else(wrong)?;
        let size = size.parse().map_err(|_| wrong())?;
        let root: Hash256 = root.parse().map_err(|_| wrong())?;
        Ok(Self(LogHead { size, root }))
    }
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let system = session.system().await?;
    match &args.command {
        Command::Head => {
            let state = log::read(system.chain().as_ref(), system.registry()).await?;
            Ok(head(&state.head()))
        }
        Command::Audit { since, node, last } => {
            let index = read(&system).await?;
            Ok(audit(&index, since.map(|since| since.0), node.map(|node| node.0.as_bytes().to_owned()), *last))
        }
        Command::Evidence { certificate } => {
            let bytes = input::bytes(certificate, MAX_CERTIFICATE)?;
            let digest = evidence_digest(&bytes);
            Ok(find(&read(&system).await?, &digest))
        }
    }
}

async fn read(system: &System) -> Result<Index> {
    log::read_whole(system.chain().as_ref(), system.registry()).await.context("reading the transparency log")
}

fn head(head: &LogHead) -> Report {
    Report::new()
        .number("leaves", head.size)
        .text("root", head.root)
        .text("head", format!("{}:{}", head.size, head.root))
}

fn audit(index: &Index, since: Option<LogHead>, node: Option<[u8; 32]>, last: usize) -> Report {
    let wanted = |leaf: &Leaf| node.is_none_or(|key| matches!(leaf, Leaf::Evidence { node, .. } if node.0 == key));
    let leaves: Vec<_> = index.leaves().iter().enumerate().filter(|(_, leaf)| wanted(leaf)).collect();
    let changes = index.leaves().iter().filter(|leaf| matches!(leaf, Leaf::Entry(_))).count();
    let shown = leaves.iter().skip(leaves.len().saturating_sub(last)).map(|(i, leaf)| leaf_in_words(*i, leaf));
    let report = head(&index.head())
        .number("changes_of_the_registry", changes as u64)
        .number("evidence_of_nodes", (index.leaves().len() - changes) as u64);
    let report = match since.map(|since| continues(index, &since)) {
        None => report,
        Some(Ok(())) => report.flag("continues_the_remembered_head", true),
        Some(Err(why)) => report.flag("continues_the_remembered_head", false).text("why", why).exiting(exit::FAILED),
    };
    report.number("found", leaves.len() as u64).list("newest", shown.collect())
}

/// Whether the log began as it is remembered.
fn continues(index: &Index, since: &LogHead) -> Result<(), String> {
    let LogHead { size, root } = since;
    match index.tree().root_at(*size) {
        Ok(found) if found == *root => Ok(()),
        Ok(found) => Err(format!("its first {size} leaves have root {found}: this is not the log that was remembered")),
        Err(_) => {
            Err(format!("it has {} leaves, and {size} are remembered: leaves were taken back", index.tree().size()))
        }
    }
}

fn find(index: &Index, digest: &Hash256) -> Report {
    let logged = |leaf: &Leaf| matches!(leaf, Leaf::Evidence { digest: found, .. } if found == digest);
    let report = Report::new().text("sha256", digest);
    let Some((position, leaf)) = index.leaves().iter().enumerate().find(|(_, leaf)| logged(leaf)) else {
        return report.flag("logged", false).exiting(exit::FAILED);
    };
    report.flag("logged", true).and(leaf_in_words(position, leaf))
}

fn leaf_in_words(position: usize, leaf: &Leaf) -> Report {
    let of =
        |what: &str, at: UnixSeconds| Report::new().number("leaf", position as u64).time("at", at.0).text("what", what);
    match leaf {
        Leaf::Entry(entry) => of(&events::in_words(entry.event), entry.at)
            .maybe("about", events::about(entry))
            .time("moment", entry.moment.0)
            .number("revision", entry.revision)
            .text("body", entry.body),
        Leaf::Evidence { node, digest, at } => of("evidence", *at).text("node", node).text("digest", digest),
    }
}
