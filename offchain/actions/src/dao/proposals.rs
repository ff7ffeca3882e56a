//! Proposals: opened, voted on, executed, closed, and found.

use std::fmt;

use cocoon_chain::{Cell, MessageKind, OutMessage, cell_hash};
use cocoon_protocol::{Nano, StdAddr};
use cocoon_wrappers::generated::proposal::{CloseProposal, Execute, OpenProposal, ProposalState};
use cocoon_wrappers::generated::stake_account::{Propose, Vote};

use super::{Intent, Roots, bundle};
use crate::plan::Purpose;
use crate::stake::{ROUND_TRIP_GAS, Stake};
use crate::system::nano;
use crate::text::snake;
use crate::{ActionError, Plan, System};

/// What opening a proposal needs beside the bond.
const PROPOSE_GAS: Nano = Nano::new(700_000_000);
/// What executing and closing need beside the bundle's own price.
const GAS: Nano = Nano::new(100_000_000);
/// Most transactions of the governor that are searched.
const SEARCH: usize = 100_000;
const PAGE: usize = 100;

/// What a proposal is at a point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The vote has not begun.
    Pending,
    /// The vote is on.
    Active,
    /// No quorum, or no majority.
    Defeated,
    /// Won, and waiting for the timelock.
    Queued,
    /// May be executed.
    Ready,
    /// Being executed.
    Executing,
    /// Done.
    Executed,
    /// Won, and not executed in time.
    Expired,
    /// A number that this program does not know.
    Unknown(u8),
}

impl Status {
    /// By the contract's number.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Pending,
            2 => Self::Active,
            3 => Self::Defeated,
            4 => Self::Queued,
            5 => Self::Ready,
            6 => Self::Executing,
            7 => Self::Executed,
            8 => Self::Expired,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Defeated => "defeated",
            Self::Queued => "queued",
            Self::Ready => "ready",
            Self::Executing => "executing",
            Self::Executed => "executed",
            Self::Expired => "expired",
            Self::Unknown(number) => return write!(f, "unknown ({number})"),
        })
    }
}

/// How somebody votes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// Against.
    No,
    /// In favour.
    Yes,
    /// Neither, but counted for the quorum.
    Abstain,
}

impl Support {
    const fn code(self) -> u8 {
        match self {
            Self::No => 0,
            Self::Yes => 1,
            Self::Abstain => 2,
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Abstain => "abstain",
        })
    }
}

/// A proposal with its place.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is.
    pub address: StdAddr,
    /// What it says.
    pub state: ProposalState,
}

impl Found {
    /// Reads one proposal, and makes sure that it is this governor's.
    pub async fn read(system: &System, governor: &StdAddr, address: &StdAddr) -> Result<Self, ActionError> {
        let state = system.proposal(governor, address).await?;
        Ok(Self { address: address.clone(), state })
    }

    /// Where it stands.
    pub const fn status(&self) -> Status {
        Status::from_code(self.state.status)
    }

    fn must_be(&self, wanted: Status, how: &str) -> Result<(), ActionError> {
        let (status, state) = (self.status(), &self.state);
        if status == wanted {
            return Ok(());
        }
        let when = match status {
            Status::Pending => format!("voting begins at {}", state.starts_at),
            Status::Active => format!("voting ends at {}", state.ends_at),
            Status::Queued => format!("it can be executed from {} on", state.executable_from),
            Status::Ready => format!("it can be executed until {}", state.expires_at),
            _ => "that is final".to_owned(),
        };
        Err(ActionError::invalid("proposal", format!("it is {status}, so {how} is not possible: {when}")))
    }

    /// Votes with every lot of the owner's that weighs at the snapshot.
    pub async fn vote(&self, stake: &Stake<'_>, support: Support) -> Result<Plan, ActionError> {
        self.must_be(Status::Active, "voting")?;
        let state = stake.existing()?;
        if state.receipts.contains_key(&self.address) {
            return Err(ActionError::invalid("proposal", format!("{} has voted on it already", stake.owner())));
        }
        let weight = stake.weight_at(self.state.snapshot).await?;
        if weight.is_zero() {
            let why = format!(
                "it weighs nothing at the proposal's snapshot, epoch {}: stake counts from the epoch after its deposit",
                self.state.snapshot
            );
            return Err(ActionError::invalid("stake", why));
        }
        let body = Vote {
            query_id: 0,
            proposal: self.address.clone(),
            snapshot: self.state.snapshot,
            receipt_until: self.state.last_end,
            support: support.code(),
        };
        let mut plan = stake.message(
            format!("vote {support} with {weight} on {}", self.address),
            body.to_cell()?,
            ROUND_TRIP_GAS,
        )?;
        plan.watch.push(self.address.clone());
        Ok(plan)
    }

    /// Does what was voted.
    pub fn execute(&self, roots: &Roots) -> Result<Plan, ActionError> {
        self.must_be(Status::Ready, "executing it")?;
        let price = nano(self.state.execute_value);
        let message = OutMessage::new(self.address.clone(), Nano::ZERO).body(Execute { query_id: 0 }.to_cell()?);
        let mut plan = Plan::single(
            format!("execute proposal {}", self.address),
            message,
            &[(Purpose::Gas, price.saturating_add(GAS))],
        );
        plan.watch.extend([roots.governor.clone(), roots.registry.clone()]);
        plan.essential = Some(vec![self.address.clone(), roots.governor.clone()]);
        Ok(plan)
    }

    /// Returns the bond of a proposal that is over without having been executed.
    pub fn close(&self) -> Result<Plan, ActionError> {
        if !matches!(self.status(), Status::Defeated | Status::Expired) {
            self.must_be(Status::Defeated, "closing it")?;
        }
        let message = OutMessage::new(self.address.clone(), Nano::ZERO).body(CloseProposal { query_id: 0 }.to_cell()?);
        Ok(Plan::single(format!("close proposal {}", self.address), message, &[(Purpose::Gas, GAS)]))
    }
}

/// A proposal that is to be opened.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where it will be.
    pub address: StdAddr,
    /// What is voted on.
    pub actions: Cell,
    /// How it is described.
    pub metadata: Cell,
    /// What the owner has to send.
    pub plan: Plan,
}

/// Prepares a proposal: the description, and what is to be done in this order.
pub async fn propose(
    system: &System,
    stake: &Stake<'_>,
    description: &str,
    intents: &[Intent],
) -> Result<Draft, ActionError> {
    let governor = stake.governor().clone();
    let roots = Roots { governor: governor.clone(), registry: system.registry().clone() };
    for intent in intents {
        if let Intent::Transfer { to, .. } = intent
            && system.chain().account(to).await?.code.is_none()
        {
            let why =
                format!("{to} has no contract, so the payment would come back; its owner has to use it once before");
            return Err(ActionError::invalid("receiver", why));
        }
    }
    if intents.iter().any(|intent| matches!(intent, Intent::Image { .. })) {
        let state = system.registry_state().await?;
        intents.iter().try_for_each(|intent| crate::rebuild::check(system, &state, intent))?;
    }
    let actions: Vec<_> = intents.iter().map(|intent| intent.to_action(&roots)).collect::<Result<_, _>>()?;
    let (actions, metadata) = (bundle(&actions)?, snake(description)?);
    stake.existing()?;
    let rules = system.governor_state(&governor).await?;
    let weight = stake.weight_at(rules.epoch).await?;
    let threshold = nano(rules.params.proposal_threshold);
    if weight < threshold {
        let why = format!(
            "proposing takes {threshold} of stake, and {} has {weight} in epoch {}; stake counts from the epoch after its \
             deposit",
            stake.owner(),
            rules.epoch
        );
        return Err(ActionError::invalid("stake", why));
    }
    let address = system.proposal_address(&governor, &cell_hash(&actions), &cell_hash(&metadata)).await?;
    if system.chain().account(&address).await?.code.is_some() {
        let why = format!("{address} proposes the same with the same description; change the description");
        return Err(ActionError::invalid("proposal", why));
    }
    let bond = nano(rules.params.proposal_bond);
    let body = Propose { query_id: 0, snapshot: rules.epoch, actions: actions.clone(), metadata: metadata.clone() };
    let message = OutMessage::new(stake.address().clone(), Nano::ZERO).body(body.to_cell()?);
    let mut plan = Plan::single(
        format!("open proposal {address} with {} of stake", weight),
        message,
        &[(Purpose::Bond, bond), (Purpose::Gas, PROPOSE_GAS)],
    );
    plan.watch.push(address.clone());
    Ok(Draft { address, actions, metadata, plan })
}

/// All proposals that the governor has opened, the newest first, found in its history.
pub async fn list(system: &System, governor: &StdAddr) -> Result<Vec<Found>, ActionError> {
    let mut addresses: Vec<StdAddr> = vec![];
    let (mut after, mut seen) = (0, 0);
    loop {
        let page = system.chain().transactions(governor, after, PAGE).await?;
        for message in page.iter().flat_map(|t| &t.out_messages) {
            if message.kind == MessageKind::Internal
                && message.op() == Some(OpenProposal::OP)
                && let Some(address) = &message.dst
                && !addresses.contains(address)
            {
                addresses.push(address.clone());
            }
        }
        seen += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE && seen < SEARCH => after = last.lt,
            _ => break,
        }
    }
    let mut found = vec![];
    for address in addresses.iter().rev() {
        found.push(Found::read(system, governor, address).await?);
    }
    Ok(found)
}
