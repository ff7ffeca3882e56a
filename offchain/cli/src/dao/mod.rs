//! `cocoon dao`: proposals and votes.

pub(crate) mod file;
mod propose;
mod show;

use anyhow::Result;
use cocoon_actions::dao::proposals::list;
use cocoon_actions::dao::{Found, Roots, Support};
use cocoon_actions::stake::Stake;

use crate::args::Address;
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::session::{Common, Session};

/// Arguments of `cocoon dao`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

/// How to vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Vote {
    /// In favour.
    Yes,
    /// Against.
    No,
    /// Neither, but counted for the quorum.
    Abstain,
}

impl From<Vote> for Support {
    fn from(vote: Vote) -> Self {
        match vote {
            Vote::Yes => Self::Yes,
            Vote::No => Self::No,
            Vote::Abstain => Self::Abstain,
        }
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Open a proposal.
    Propose(propose::Args),
    /// Vote with everything that weighed when the proposal was opened.
    Vote {
        /// The proposal.
        proposal: Address,
        /// How.
        vote: Vote,
        #[command(flatten)]
        pay: Pay,
    },
    /// Carry out a proposal that has passed, after its timelock.
    Execute {
        /// The proposal.
        proposal: Address,
        #[command(flatten)]
        pay: Pay,
    },
    /// End a proposal that was defeated or has expired: its bond returns, or goes to the treasury.
    Close {
        /// The proposal.
        proposal: Address,
        #[command(flatten)]
        pay: Pay,
    },
    /// List all proposals, the newest first.
    List,
    /// Show what a proposal will do, in words, and how the vote stands.
    Show {
        /// The proposal.
        proposal: Address,
    },
    /// Show the rules of voting, the stake and the treasury.
    Rules,
}

pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Report> {
    let system = session.system().await?;
    let network = system.chain().network();
    let roots = Roots { governor: system.governor().await?, registry: system.registry().clone() };
    let (address, pay) = match &args.command {
        Command::Propose(args) => return propose::run(args, session, &system, &roots).await,
        Command::List => {
            let found = list(&system, &roots.governor).await?;
            return Ok(Report::new().list("proposals", found.iter().map(|f| show::line(f, &roots)).collect()));
        }
        Command::Show { proposal } => {
            let found = Found::read(&system, &roots.governor, &proposal.on(network)?).await?;
            return show::whole(&found, &roots);
        }
        Command::Rules => {
            let state = system.governor_state(&roots.governor).await?;
            let balance = system.chain().account(&roots.governor).await?.balance;
            return Ok(show::rules(&roots, &state, balance));
        }
        Command::Vote { proposal, pay, .. } | Command::Execute { proposal, pay } | Command::Close { proposal, pay } => {
            (proposal.on(network)?, pay)
        }
    };
    let found = Found::read(&system, &roots.governor, &address).await?;
    let wallet = pay.open(&system)?;
    let plan = match &args.command {
        Command::Vote { vote, .. } => {
            let stake = Stake::of(&system, wallet.address()).await?;
            found.vote(&stake, (*vote).into()).await?
        }
        Command::Execute { .. } => found.execute(&roots)?,
        _ => found.close()?,
    };
    let mut head = Report::new().text("proposal", &address);
    if !pay.yes && !pay.dry_run {
        // Whoever is asked should know what they vote for.
        head = head.list("actions", show::actions(&found, &roots)?);
    }
    Box::pin(carry(session, pay, &system, &wallet, &plan, head)).await
}
