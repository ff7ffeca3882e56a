//! `cocoon dao propose`: what can be put to the vote.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use cocoon_actions::dao::{Approval, Intent, Roots, bundle, decode, proposals};
use cocoon_actions::genesis::code;
use cocoon_actions::stake::Stake;
use cocoon_actions::{ActionError, System};
use cocoon_protocol::{GlobalId, Hash256, ImageId, ModelHash};
use cocoon_wrappers::generated::registry::CodeHashes;
use tycho_types::cell::HashBytes;

use crate::args::entry::{EntryArgs, RoleArg};
use crate::args::{Address, Commit, Moment, PublicKey, Signed, Span, Ton};
use crate::pay::{Pay, carry};
use crate::report::Report;
use crate::session::Session;

use super::{file, show};

/// Arguments of `cocoon dao propose`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What every proposal takes.
#[derive(clap::Args)]
struct About {
    /// Why, for those who vote.
    #[arg(long, value_name = "TEXT", required_unless_present = "save")]
    description: Option<String>,
    /// Propose nothing yet; write the action to a file, to propose it together with others.
    #[arg(long, value_name = "FILE", conflicts_with = "description")]
    save: Option<PathBuf>,
    #[command(flatten)]
    pay: Pay,
}

/// What is said about an image or a model.
#[derive(clap::Args)]
struct ApprovalArgs {
    /// The commit that it is built from, in full.
    #[arg(long, value_name = "COMMIT")]
    source_commit: Commit,
    /// SHA-256 of the recipe that builds it.
    #[arg(long, value_name = "HASH", default_value_t)]
    recipe: Hash256,
    /// When it may be used at the earliest; as soon as the rules allow if absent.
    #[arg(long, value_name = "TIME")]
    active_from: Option<Moment>,
    /// Why it is approved, in up to 127 bytes.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl ApprovalArgs {
    fn read(&self, now: u32) -> Approval {
        Approval {
            active_from: self.active_from.map_or(0, |time| time.unix(now)),
            source_commit: self.source_commit.0,
            recipe_hash: self.recipe,
            reason: self.reason.clone(),
        }
    }
}

#[derive(clap::Subcommand)]
enum What {
    /// Approve a virtual machine image.
    Image {
        /// Hash of its measurements.
        id: ImageId,
        /// Who runs it.
        #[arg(long)]
        role: RoleArg,
        #[command(flatten)]
        approval: ApprovalArgs,
        /// A signature of somebody who rebuilt it (cocoon registry sign-rebuild); once for each.
        #[arg(long = "rebuild", value_name = "KEY:SIGNATURE")]
        rebuilds: Vec<Signed>,
        #[command(flatten)]
        about: About,
    },
    /// Approve a model.
    Model {
        /// Hash of its files.
        id: ModelHash,
        /// Its name.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        approval: ApprovalArgs,
        #[command(flatten)]
        about: About,
    },
    /// Let an entry end at a time.
    Deprecate {
        #[command(flatten)]
        entry: EntryArgs,
        /// When it ends.
        #[arg(long, value_name = "TIME")]
        sunset: Moment,
        /// Why, in up to 127 bytes.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        about: About,
    },
    /// End an entry at once.
    Revoke {
        #[command(flatten)]
        entry: EntryArgs,
        /// Why, in up to 127 bytes.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        about: About,
    },
    /// Drop an ended entry, to make room.
    Remove {
        #[command(flatten)]
        entry: EntryArgs,
        #[command(flatten)]
        about: About,
    },
    /// Trust an attestation root, or stop trusting it.
    Root {
        /// SHA-256 of the root's public key.
        root: Hash256,
        /// Stop trusting it, at once.
        #[arg(long)]
        withdraw: bool,
        #[command(flatten)]
        about: About,
    },
    /// Demand a newer TCB evaluation of machines.
    MinTcb {
        /// The least evaluation number.
        number: u32,
        #[command(flatten)]
        about: About,
    },
    /// Ban a machine, or lift its ban.
    Ban {
        /// The platform's id.
        platform: Hash256,
        /// Lift the ban.
        #[arg(long)]
        lift: bool,
        #[command(flatten)]
        about: About,
    },
    /// Change what the network asks of its members. What is not named stays.
    Params {
        #[command(flatten)]
        changes: ParamChanges,
        #[command(flatten)]
        about: About,
    },
    /// Change the rules of voting. What is not named stays.
    Rules {
        #[command(flatten)]
        changes: RuleChanges,
        #[command(flatten)]
        about: About,
    },
    /// End an entry's suspension by the council.
    Lift {
        #[command(flatten)]
        entry: EntryArgs,
        /// Why, in up to 127 bytes.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        about: About,
    },
    /// Replace the emergency council; without members there is none.
    Council {
        /// A member's public key; once for each.
        #[arg(long = "member", value_name = "KEY")]
        members: Vec<PublicKey>,
        /// How many must sign.
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        threshold: u8,
        #[command(flatten)]
        about: About,
    },
    /// Count rebuilds by a key, or stop counting them.
    Rebuilder {
        /// The rebuilder's public key.
        key: PublicKey,
        /// Stop counting them.
        #[arg(long)]
        remove: bool,
        #[command(flatten)]
        about: About,
    },
    /// Demand so many rebuilds of every image.
    RebuildThreshold {
        /// How many.
        threshold: u8,
        #[command(flatten)]
        about: About,
    },
    /// Accept other contract code. What is not named stays.
    Codes {
        #[command(flatten)]
        changes: CodeChanges,
        /// Until when evidence from channels of the code so far counts.
        #[arg(long, value_name = "TIME", default_value = "+90d")]
        former_until: Moment,
        #[command(flatten)]
        about: About,
    },
    /// Move the network to another registry, or withdraw that.
    Successor {
        /// Its address.
        #[arg(required_unless_present = "withdraw")]
        successor: Option<Address>,
        /// Stay with this registry.
        #[arg(long, conflicts_with = "successor")]
        withdraw: bool,
        #[command(flatten)]
        about: About,
    },
    /// Let the governor believe this network's registry when it accuses nodes. A new network decides this once.
    Registry {
        #[command(flatten)]
        about: About,
    },
    /// Hand the registry to another governor.
    Governor {
        /// Its address.
        governor: Address,
        #[command(flatten)]
        about: About,
    },
    /// Send a proxy away.
    Evict {
        /// The proxy's owner.
        owner: Address,
        #[command(flatten)]
        about: About,
    },
    /// Pay from the treasury.
    Transfer {
        /// To whom.
        to: Address,
        /// How much, with its unit: 5TON.
        amount: Ton,
        /// What the receiver reads.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        about: About,
    },
    /// Propose the actions of files, together and in this order.
    Actions {
        /// Files that `--save` has written, or others of the same form.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        about: About,
    },
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct ParamChanges {
    /// Least stake that answers for a worker.
    #[arg(long, value_name = "AMOUNT")]
    min_worker_stake: Option<Ton>,
    /// Least bond of a proxy.
    #[arg(long, value_name = "AMOUNT")]
    min_proxy_bond: Option<Ton>,
    /// Between an approval and its effect.
    #[arg(long, value_name = "TIME")]
    activation_delay: Option<Span>,
    /// Between a proxy's leaving and the return of its bond.
    #[arg(long, value_name = "TIME")]
    proxy_unbonding: Option<Span>,
    /// Least challenge period of channels.
    #[arg(long, value_name = "TIME")]
    min_challenge: Option<Span>,
    /// Part of claims that burns, in hundredths of a percent.
    #[arg(long, value_name = "BPS")]
    protocol_fee_bps: Option<u16>,
    /// How long the council's suspensions last.
    #[arg(long, value_name = "TIME")]
    suspension_period: Option<Span>,
}

/// Compiled code, as `scripts/build-contracts` writes it: NAME.code.boc.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct CodeChanges {
    /// Code of payment channels.
    #[arg(long, value_name = "FILE")]
    channel: Option<PathBuf>,
    /// Code of stake accounts.
    #[arg(long, value_name = "FILE")]
    stake_account: Option<PathBuf>,
    /// Code of proposals.
    #[arg(long, value_name = "FILE")]
    proposal: Option<PathBuf>,
    /// Code of fault reports.
    #[arg(long, value_name = "FILE")]
    fault_report: Option<PathBuf>,
}

impl CodeChanges {
    fn apply(&self, codes: &mut CodeHashes) -> Result<()> {
        let read = |path: &Option<PathBuf>| path.as_deref().map(file::read_cell).transpose();
        set(&mut codes.pay_channel, read(&self.channel)?.map(|cell| code(&cell)));
        set(&mut codes.stake_account, read(&self.stake_account)?.map(|cell| code(&cell)));
        set(&mut codes.proposal, read(&self.proposal)?.map(|cell| code(&cell)));
        set(&mut codes.fault_report, read(&self.fault_report)?.map(|cell| code(&cell)));
        Ok(())
    }
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct RuleChanges {
    /// Least stake to propose.
    #[arg(long, value_name = "AMOUNT")]
    proposal_threshold: Option<Ton>,
    /// Bond of a proposal.
    #[arg(long, value_name = "AMOUNT")]
    proposal_bond: Option<Ton>,
    /// From proposing to the start of voting.
    #[arg(long, value_name = "TIME")]
    voting_delay: Option<Span>,
    /// How long the vote is on.
    #[arg(long, value_name = "TIME")]
    voting_period: Option<Span>,
    /// By how much a late quorum extends the vote.
    #[arg(long, value_name = "TIME")]
    late_extension: Option<Span>,
    /// From the end of voting until execution.
    #[arg(long, value_name = "TIME")]
    timelock: Option<Span>,
    /// How long execution stays possible.
    #[arg(long, value_name = "TIME")]
    execution_window: Option<Span>,
    /// From unbonding until withdrawal.
    #[arg(long, value_name = "TIME")]
    unbonding_delay: Option<Span>,
    /// Votes that are needed, in hundredths of a percent of the stake.
    #[arg(long, value_name = "BPS")]
    quorum_bps: Option<u16>,
}

impl What {
    fn about(&self) -> &About {
        match self {
            Self::Image { about, .. }
            | Self::Model { about, .. }
            | Self::Deprecate { about, .. }
            | Self::Revoke { about, .. }
            | Self::Remove { about, .. }
            | Self::Root { about, .. }
            | Self::MinTcb { about, .. }
            | Self::Ban { about, .. }
            | Self::Params { about, .. }
            | Self::Rules { about, .. }
            | Self::Codes { about, .. }
            | Self::Lift { about, .. }
            | Self::Council { about, .. }
            | Self::Rebuilder { about, .. }
            | Self::RebuildThreshold { about, .. }
            | Self::Successor { about, .. }
            | Self::Registry { about, .. }
            | Self::Governor { about, .. }
            | Self::Evict { about, .. }
            | Self::Transfer { about, .. }
            | Self::Actions { about, .. } => about,
        }
    }

    async fn intents(&self, system: &System, roots: &Roots) -> Result<Vec<Intent>> {
        let network: GlobalId = system.chain().network();
        let now = system.chain().head().await?.utime.0;
        Ok(vec![match self {
            Self::Image { id, role, approval, rebuilds, .. } => {
                let rebuilds: BTreeMap<_, _> =
                    rebuilds.iter().map(|s| (HashBytes(*s.key.as_bytes()), s.signature.0)).collect();
                Intent::Image { id: *id, role: (*role).into(), approval: approval.read(now), rebuilds }
            }
            Self::Model { id, name, approval, .. } => {
                Intent::Model { id: *id, name: name.clone(), approval: approval.read(now) }
            }
            Self::Deprecate { entry, sunset, reason, .. } => {
                let (kind, sunset, reason) = (entry.kind.into(), sunset.unix(now), reason.clone());
                Intent::Deprecate { kind, id: entry.id, sunset, reason }
            }
            Self::Revoke { entry, reason, .. } => {
                Intent::Revoke { kind: entry.kind.into(), id: entry.id, reason: reason.clone() }
            }
            Self::Remove { entry, .. } => Intent::Remove { kind: entry.kind.into(), id: entry.id },
            Self::Root { root, withdraw, .. } => Intent::Root { root: *root, allowed: !withdraw },
            Self::MinTcb { number, .. } => Intent::MinTcb { number: *number },
            Self::Ban { platform, lift, .. } => Intent::Ban { platform: *platform, banned: !lift },
            Self::Params { changes: c, .. } => {
                let mut params = system.registry_state().await?.params;
                set(&mut params.min_worker_stake, c.min_worker_stake.map(|t| t.0.into()));
                set(&mut params.min_proxy_bond, c.min_proxy_bond.map(|t| t.0.into()));
                set(&mut params.activation_delay, c.activation_delay.map(|s| s.0));
                set(&mut params.proxy_unbonding, c.proxy_unbonding.map(|s| s.0));
                set(&mut params.min_challenge, c.min_challenge.map(|s| s.0));
                set(&mut params.protocol_fee_bps, c.protocol_fee_bps);
                set(&mut params.suspension_period, c.suspension_period.map(|s| s.0));
                Intent::Params(params)
            }
            Self::Rules { changes: c, .. } => {
                let mut params = system.governor_state(&roots.governor).await?.params;
                set(&mut params.proposal_threshold, c.proposal_threshold.map(|t| t.0.into()));
                set(&mut params.proposal_bond, c.proposal_bond.map(|t| t.0.into()));
                set(&mut params.voting_delay, c.voting_delay.map(|s| s.0));
                set(&mut params.voting_period, c.voting_period.map(|s| s.0));
                set(&mut params.late_extension, c.late_extension.map(|s| s.0));
                set(&mut params.timelock, c.timelock.map(|s| s.0));
                set(&mut params.execution_window, c.execution_window.map(|s| s.0));
                set(&mut params.unbonding_delay, c.unbonding_delay.map(|s| s.0));
                set(&mut params.quorum_bps, c.quorum_bps);
                Intent::Rules(params)
            }
            Self::Codes { changes, former_until, .. } => {
                let mut codes: CodeHashes = system.registry_state().await?.codes;
                changes.apply(&mut codes)?;
                Intent::Codes { codes, former_until: former_until.unix(now) }
            }
            Self::Lift { entry, reason, .. } => {
                Intent::Lift { kind: entry.kind.into(), id: entry.id, reason: reason.clone() }
            }
            Self::Council { members, threshold, .. } => {
                Intent::Council { threshold: *threshold, members: members.iter().map(|key| key.0).collect() }
            }
            Self::Rebuilder { key, remove, .. } => Intent::Rebuilder { key: key.0, allowed: !remove },
            Self::RebuildThreshold { threshold, .. } => Intent::RebuildThreshold { threshold: *threshold },
            Self::Successor { successor, .. } => {
                Intent::Successor { successor: successor.as_ref().map(|s| s.on(network)).transpose()? }
            }
            Self::Registry { .. } => Intent::Registry { registry: system.registry().clone() },
            Self::Governor { governor, .. } => Intent::Governor { governor: governor.on(network)? },
            Self::Evict { owner, .. } => Intent::Evict { owner: owner.on(network)? },
            Self::Transfer { to, amount, comment, .. } => {
                Intent::Transfer { to: to.on(network)?, amount: amount.0, comment: comment.clone() }
            }
            Self::Actions { files, .. } => {
                let mut intents = vec![];
                for path in files {
                    intents.extend(file::read(path, network)?);
                }
                return Ok(intents);
            }
        }])
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

pub(crate) async fn run(args: &Args, session: &mut Session, system: &System, roots: &Roots) -> Result<Report> {
    let about = args.what.about();
    let intents = args.what.intents(system, roots).await?;
    let words = |actions| -> Result<Vec<Report>, ActionError> {
        Ok(decode(&actions, roots)?.iter().map(show::action).collect())
    };
    if let Some(path) = &about.save {
        file::write(&intents, roots, path)?;
        let actions: Vec<_> = intents.iter().map(|i| i.to_action(roots)).collect::<Result<_, _>>()?;
        return Ok(Report::new().text("saved", path.display()).list("actions", words(bundle(&actions)?)?));
    }
    let wallet = about.pay.open(system)?;
    let stake = Stake::of(system, wallet.address()).await?;
    let description = about.description.as_deref().unwrap_or_default();
    let draft = proposals::propose(system, &stake, description, &intents).await?;
    let head = Report::new().text("proposal", &draft.address).list("actions", words(draft.actions.clone())?);
    Box::pin(carry(session, &about.pay, system, &wallet, &draft.plan, head)).await
}
