//! What rebuilders and members of the council sign, and what is done with their signatures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use cocoon_actions::council::{self, Order};
use cocoon_actions::{System, rebuild};
use cocoon_protocol::{Hash256, ImageId};

use crate::args::entry::{EntryArgs, RoleArg};
use crate::args::{Commit, Moment, Signed};
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::secrets::seed;
use crate::session::Session;

/// Arguments of `sign-rebuild`.
#[derive(clap::Args)]
pub(crate) struct Rebuild {
    /// Hash of the measurements of what you have built.
    image: ImageId,
    /// Who runs it.
    #[arg(long)]
    role: RoleArg,
    /// The commit that you have built, in full.
    #[arg(long, value_name = "COMMIT")]
    source_commit: Commit,
    /// SHA-256 of the recipe that you have followed.
    #[arg(long, value_name = "HASH", default_value_t)]
    recipe: Hash256,
    /// The file with your key (cocoon key new FILE).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Rebuild {
    pub(crate) fn run(&self, system: &System) -> Result<Report> {
        let key = seed::open(&self.key)?;
        let hash = rebuild::to_sign(system, &self.image, self.role.into(), &self.source_commit.0, &self.recipe)?;
        Ok(signature(&key, &hash))
    }
}

/// Arguments of `sign-suspension`.
#[derive(clap::Args)]
pub(crate) struct Suspension {
    #[command(flatten)]
    entry: EntryArgs,
    /// Until when the signature may be used. All members must sign the same time.
    #[arg(long, value_name = "TIME")]
    valid_until: Moment,
    /// The file with your key (cocoon key new FILE).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Suspension {
    pub(crate) async fn run(&self, system: &System, now: u32) -> Result<Report> {
        let key = seed::open(&self.key)?;
        let order = Order { kind: self.entry.kind.into(), id: self.entry.id, valid_until: self.valid_until.unix(now) };
        let hash = council::to_sign(system, &order).await?;
        // The others and whoever sends it need the very same second.
        let report = Report::new().text("valid_until", format!("@{}", order.valid_until));
        Ok(report.and(signature(&key, &hash)))
    }
}

fn signature(key: &cocoon_protocol::NodeKey, hash: &Hash256) -> Report {
    let text = format!("{}:{}", key.public(), hex::encode(key.sign(hash).0));
    Report::new().text("signed_hash", hash).text("signature", text)
}

/// Arguments of `suspend`.
#[derive(clap::Args)]
pub(crate) struct Suspend {
    #[command(flatten)]
    entry: EntryArgs,
    /// The time that the members have signed: @1700000000.
    #[arg(long, value_name = "TIME")]
    valid_until: Moment,
    /// Why, in up to 127 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A member's signature (cocoon registry sign-suspension); once for each.
    #[arg(long = "signature", value_name = "KEY:SIGNATURE", required = true)]
    signatures: Vec<Signed>,
    #[command(flatten)]
    pay: Pay,
}

impl Suspend {
    pub(crate) async fn run(&self, session: &mut Session, system: &System, now: u32) -> Result<Report> {
        let order = Order { kind: self.entry.kind.into(), id: self.entry.id, valid_until: self.valid_until.unix(now) };
        let signatures: BTreeMap<_, _> = self.signatures.iter().map(|s| (s.key, s.signature)).collect();
        let plan = council::suspend(system, &order, &self.reason, &signatures).await?;
        let wallet = self.pay.open(system)?;
        Box::pin(carry(session, &self.pay, system, &wallet, &plan, Report::new().text("entry", order.id))).await
    }
}
