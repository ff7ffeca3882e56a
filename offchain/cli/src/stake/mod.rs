//! `cocoon stake`: lots of stake, and the nodes that they answer for.

mod node;

pub(crate) use node::NodeKeyArgs;

use anyhow::Result;
use cocoon_actions::stake::Stake;
use cocoon_actions::system::{hash, nano};
use cocoon_chain::StdAddr;
use cocoon_wrappers::generated::stake_account::Lot;

use crate::args::{Address, Ton};
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::session::{Common, Session};

/// `Lot.exit_from` while the governor's answer is on its way.
const EXIT_PENDING: u32 = u32::MAX;

/// Arguments of `cocoon stake`.
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
    /// Stake an amount as a new lot. It weighs in votes from the next epoch on.
    Deposit {
        /// How much, with its unit: 300TON.
        amount: Ton,
        #[command(flatten)]
        pay: Pay,
    },
    /// Let a lot leave. It stops weighing with the next epoch, and can be withdrawn after the unbonding delay.
    Unbond {
        /// Its number, as `stake show` tells it.
        lot: u32,
        /// Only this part of it; the rest stays.
        #[arg(long, value_name = "AMOUNT")]
        amount: Option<Ton>,
        #[command(flatten)]
        pay: Pay,
    },
    /// Take a released lot out.
    Withdraw {
        /// Its number, as `stake show` tells it.
        lot: u32,
        #[command(flatten)]
        pay: Pay,
    },
    /// Show an owner's stake: lots, nodes and votes.
    Show {
        /// The owner's wallet.
        owner: Address,
    },
    /// Nodes that the stake answers for.
    #[command(subcommand)]
    Node(node::Command),
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let system = session.system().await?;
    let (pay, plan) = match &args.command {
        Command::Show { owner } => {
            let owner = owner.on(system.chain().network())?;
            let stake = Stake::of(&system, &owner).await?;
            let epoch = system.governor_state(stake.governor()).await?.epoch;
            let weight = stake.weight_at(epoch).await?;
            return Ok(show(&stake, epoch).ton("weight_now", weight).number("epoch", epoch));
        }
        Command::Node(command) => return node::run(command, session, &system).await,
        Command::Deposit { amount, pay } => {
            let wallet = pay.open(&system)?;
            (pay, Stake::of(&system, wallet.address()).await?.deposit(amount.0).await?)
        }
        Command::Unbond { lot, amount, pay } => {
            let wallet = pay.open(&system)?;
            (pay, Stake::of(&system, wallet.address()).await?.unbond(*lot, amount.map(|a| a.0))?)
        }
        Command::Withdraw { lot, pay } => {
            let wallet = pay.open(&system)?;
            let now = system.chain().head().await?.utime.0;
            (pay, Stake::of(&system, wallet.address()).await?.withdraw(*lot, now)?)
        }
    };
    let head = Report::new().text("stake_account", plan.watch.first().cloned().unwrap_or_default());
    Box::pin(carry(session, pay, &system, &pay.open(&system)?, &plan, head)).await
}

fn show(stake: &Stake<'_>, epoch: u32) -> Report {
    let report = Report::new()
        .text("owner", stake.owner())
        .text("stake_account", stake.address())
        .flag("exists", stake.state().is_some());
    let Some(state) = stake.state() else { return report };
    let lots = state.lots.iter().map(|(number, lot)| self::lot(*number, lot, epoch)).collect();
    let nodes = state.nodes.iter().map(|(key, node)| {
        Report::new()
            .text("key", hash(*key))
            .ton("bond", nano(node.bond))
            .time("since", node.since)
            .time("free_at", node.free_at)
    });
    let votes = state.receipts.iter();
    let votes = votes.map(|(proposal, until): (&StdAddr, &u32)| {
        Report::new().text("proposal", proposal).time("receipt_until", *until)
    });
    report
        .ton("held", nano(state.held))
        .ton("staying", nano(state.staying))
        .ton("bonded", nano(state.bonded))
        .ton("pledged", nano(state.pledged))
        .list("lots", lots)
        .list("nodes", nodes.collect())
        .list("votes", votes.collect())
}

fn lot(number: u32, lot: &Lot, epoch: u32) -> Report {
    let status = match (lot.active_from, lot.exit_from) {
        (0, _) => "waits for the governor",
        (_, EXIT_PENDING) => "waits for the governor to leave",
        (from, 0) if from > epoch => "weighs from the next epoch on",
        (_, 0) => "weighs",
        (_, exit) if exit > epoch => "leaves with the next epoch",
        _ => "leaving",
    };
    Report::new()
        .number("lot", number)
        .ton("amount", nano(lot.amount))
        .text("status", status)
        .number("active_from_epoch", lot.active_from)
        .time("release_at", lot.release_at)
}
