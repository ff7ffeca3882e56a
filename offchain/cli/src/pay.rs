//! Carrying out a plan: tried first, then asked about, then sent, then told with its effect.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use cocoon_actions::exits::contract_of;
use cocoon_actions::{ActionError, Plan, Refused, System, carry_out};
use cocoon_chain::{AccountSnapshot, ComputeOutcome, Trace, TransactionRecord, Wallet, WalletVersion};
use cocoon_simulate::{CAVEATS, Change, Effect, SimulateError, Simulation, changes, run_plan};

use crate::exit::{self, WouldFail};
use crate::report::Report;
use crate::secrets;
use crate::session::Session;

/// What every command takes that pays from a wallet.
#[derive(clap::Args, Clone, Debug)]
pub struct Pay {
    /// The wallet that pays: a file with its 24 words (cocoon wallet new FILE).
    #[arg(long, value_name = "FILE", env = "COCOON_WALLET")]
    pub wallet: PathBuf,
    /// Which contract the wallet is.
    #[arg(long, value_name = "VERSION", default_value = "v5r1")]
    pub wallet_version: Version,
    /// Do not ask before money moves.
    #[arg(long, short)]
    pub yes: bool,
    /// Send nothing; compute on the proven state what would happen.
    #[arg(long)]
    pub dry_run: bool,
}

/// Kinds of wallets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// W5, what wallet applications make today.
    #[default]
    V5r1,
    /// What they made before.
    V4r2,
}

impl From<Version> for WalletVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V5r1 => Self::V5R1,
            Version::V4r2 => Self::V4R2,
        }
    }
}

impl Pay {
    /// The wallet on this network.
    pub fn open(&self, system: &System) -> Result<Wallet> {
        let key = secrets::mnemonic::open(&self.wallet)?;
        Ok(Wallet::new(key, self.wallet_version.into(), system.chain().network())?)
    }
}

/// Tries a plan, asks, sends it, and tells what changed. `head` are facts that the command adds.
pub async fn carry(
    session: &mut Session,
    pay: &Pay,
    system: &System,
    wallet: &Wallet,
    plan: &Plan,
    head: Report,
) -> Result<Report> {
    let chain = system.chain().as_ref();
    let tried = Box::pin(run_plan(chain, wallet, &plan.messages)).await;
    if pay.dry_run {
        return Ok(head.and(dry_run(plan, &tried?)?));
    }
    match &tried {
        Ok(simulation) => {
            if let Some(failure) = plan.judge(&simulation.trace).failure {
                return Err(WouldFail(simulation.explain(failure)).into());
            }
        }
        // It cannot be tried, which says nothing about whether it works.
        Err(SimulateError::Unfit(why)) => tracing::warn!(why, "this was not tried before it is sent"),
        Err(_) => {
            tried.context("nothing was sent")?;
            return Ok(head);
        }
    }
    if !pay.yes {
        session.confirm(wallet, &question(plan), plan.total())?;
    }
    let before = watched(system, plan).await?;
    let kinds = tried.ok();
    let done = Box::pin(carry_out(chain, wallet, plan)).await?;
    let trace = &done.trace;
    let after = watched(system, plan).await?;
    let config = chain.config().await?;
    let mut changed = vec![];
    for (before, after) in before.into_iter().zip(after) {
        let effect = Effect { before, after };
        changed.extend(rows(&effect, &changes(&effect, &config)?));
    }
    Ok(head
        .text("done", &plan.what)
        .ton("attached", plan.total())
        .ton("fees", trace.total_fees())
        .change("balance_change", trace.balance_changes().get(wallet.address()).copied().unwrap_or_default())
        .text("transaction", trace.root.transaction.hash)
        .list("transactions", transactions(trace, |t| kinds.as_ref().and_then(|s| s.kind_of(&t.account))))
        .list("refused_by_others", done.side.iter().map(refusal).collect())
        .list("changes", changed))
}

async fn watched(system: &System, plan: &Plan) -> Result<Vec<AccountSnapshot>, ActionError> {
    let mut states = vec![];
    for address in &plan.watch {
        states.push(system.chain().account(address).await?);
    }
    Ok(states)
}

/// What is asked before money moves.
fn question(plan: &Plan) -> String {
    let mut text = format!("This will {}.\nIt pays {}:", plan.what, plan.total());
    for part in &plan.parts {
        text.push_str(&format!(
            "\n  {:<9} {:>16}   {}",
            part.purpose.to_string(),
            part.amount.to_string(),
            part.purpose.fate()
        ));
    }
    text
}

/// Which kind of contract an account of a trace is.
type KindOf<'a> = &'a dyn Fn(&TransactionRecord) -> Option<&'static str>;

fn transactions(trace: &Trace, kind: impl Fn(&TransactionRecord) -> Option<&'static str>) -> Vec<Report> {
    let kind: KindOf<'_> = &kind;
    trace.transactions().into_iter().map(|t| transaction(t, kind(t))).collect()
}

fn transaction(t: &TransactionRecord, contract: Option<&'static str>) -> Report {
    let op = t.in_message.as_ref().and_then(|m| m.op());
    let report = Report::new()
        .text("account", &t.account)
        .maybe("contract", contract)
        .maybe("op", op.map(|op| format!("{op:#010x}")));
    let report = match t.compute {
        ComputeOutcome::Skipped(reason) => report.text("result", format!("no code ran ({reason:?})")),
        ComputeOutcome::Executed { exit_code: 0, success: true, .. } => report.text("result", "ok"),
        ComputeOutcome::Executed { exit_code, .. } => {
            let exit = cocoon_actions::exits::explain(contract, exit_code);
            let name = exit.map_or_else(String::new, |e| format!(" {}", e.name.unwrap_or(e.meaning)));
            report.text("result", format!("exit code {exit_code}{name}"))
        }
    };
    report.number("gas", t.gas_used()).ton("fees", t.total_fees).change("balance_change", t.balance_change())
}

fn rows(effect: &Effect, changes: &[Change]) -> Vec<Report> {
    let contract = contract_of(&effect.after).or_else(|| contract_of(&effect.before));
    changes
        .iter()
        .map(|change| {
            Report::new()
                .maybe("contract", contract)
                .text("account", &effect.after.address)
                .text("field", &change.field)
                .maybe("before", change.before.as_ref())
                .maybe("after", change.after.as_ref())
        })
        .collect()
}

/// What would happen.
fn dry_run(plan: &Plan, simulation: &Simulation) -> Result<Report> {
    let mut changed = vec![];
    for effect in simulation.effects.values() {
        changed.extend(rows(effect, &changes(effect, &simulation.config)?));
    }
    let balances = simulation.trace.balance_changes();
    let balances =
        balances.iter().map(|(account, change)| Report::new().text("account", account).change("change", *change));
    let kind = |t: &TransactionRecord| simulation.kind_of(&t.account);
    let report = Report::new()
        .flag("dry_run", true)
        .text("would", &plan.what)
        .list(
            "pays",
            plan.parts.iter().map(|p| Report::new().text("purpose", p.purpose).ton("amount", p.amount)).collect(),
        )
        .ton("attached", plan.total())
        .ton("fees", simulation.trace.total_fees())
        .number("block", simulation.at.seqno)
        .time("time", simulation.at.utime.0)
        .list("transactions", transactions(&simulation.trace, kind))
        .list("balances", balances.collect())
        .list("changes", changed)
        .list("not_known", CAVEATS.iter().map(|caveat| Report::new().text("caveat", caveat)).collect());
    let verdict = plan.judge(&simulation.trace);
    let side = verdict.side.into_iter().map(|failure| refusal(&simulation.explain(failure))).collect();
    let report = report.list("refused_by_others", side);
    Ok(match verdict.failure {
        None => report.flag("succeeds", true),
        Some(failure) => report
            .flag("succeeds", false)
            .section("failure", refusal(&simulation.explain(failure)))
            .exiting(exit::REFUSED),
    })
}

fn refusal(refused: &Refused) -> Report {
    Report::new()
        .maybe("contract", refused.contract)
        .maybe("name", refused.name)
        .text("account", &refused.account)
        .text("meaning", &refused.meaning)
}
